"""Hold every file, and every row of a table, against the checks of a DataPipeline.

`CDL_CHECKS` is the JSON list under `spec.checks`. What is refused stays out of the output and is counted; the report
says what broke and what the values look like, as JSON and as a page. Checks about the whole data set are judged later,
by the operator, from these reports.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the steps share pfs.py, wherever the folder is unpacked
# The words of checks are one library for everybody: beside this folder in the image and in a checkout, above it in a
# wheel, where the folder lies inside the package.
sys.path.append(str(Path(__file__).resolve().parents[1].parent / "src"))
sys.path.append(str(Path(__file__).resolve().parents[1].parent.parent))

import pfs

from cdl.checks import Finding, Judge, WrongCheckError, checks_in
from cdl.checks.images import image
from cdl.checks.page import page
from cdl.checks.prints import print_of
from cdl.checks.profile import Profile
from cdl.checks.report import report_of, side_of
from cdl.checks.tables import NoTableError, columns_of, is_table, rows_of, written
from cdl.checks.words import Check

FIELDS = ("text", "label", "file", "bytes", "image")
COLUMN = "columns."
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".pgm", ".ppm", ".pbm", ".pnm")

Row = dict[str, object]


def load() -> tuple[Check, ...]:
    """Read and verify the checks of this step's environment."""
    raw = os.environ.get("CDL_CHECKS")
    if raw is None:
        raise pfs.StepError("CDL_CHECKS is not set: this step needs the JSON list of checks of its DataPipeline")
    try:
        documents = json.loads(raw)
    except ValueError as error:
        raise pfs.StepError(f"CDL_CHECKS is no JSON: {error}") from error
    if not isinstance(documents, list):
        raise pfs.StepError("CDL_CHECKS must be a JSON list of objects, each with a name and what it asks")
    try:
        checks = checks_in(documents)
    except WrongCheckError as error:
        raise pfs.StepError(f"CDL_CHECKS: {error}") from error
    for check in checks:
        for field in check.fields:
            if field not in FIELDS and not field.startswith(COLUMN):
                known = ", ".join((*FIELDS, "columns.NAME"))
                raise pfs.StepError(
                    f"CDL_CHECKS: check {check.name}: field {field} is unknown here, allowed are {known}"
                )
    return checks


def row_of(name: str, raw: bytes) -> Row:
    """Give everything that a check can ask of a file."""
    text = raw.decode("utf-8", errors="replace")
    return {"text": text, "label": pfs.label_of(name), "file": name, "bytes": raw, "image": image(raw) or ""}


class Run:
    """One datum's way through the checks."""

    def __init__(self, checks: tuple[Check, ...], report: pfs.Report) -> None:
        """Divide the checks into those about files and those about rows of tables."""
        items = [check for check in checks if not check.whole]
        self._files = Judge(tuple(c for c in items if not _about_columns(c)))
        self._rows = Judge(tuple(c for c in items if _about_columns(c)))
        doubles = next((c.asks["duplicates"] for c in checks if "duplicates" in c.asks), None)
        self._near = isinstance(doubles, Mapping) and doubles.get("near") is not None
        self._prints: dict[str, str] | None = None if doubles is None else {}
        self._report, self._profile = report, Profile()

    def file(self, name: str, raw: bytes) -> None:
        """Judge a file; what is refused stays out of the output."""
        row = row_of(name, raw)
        if not self._passes(self._files, name, row):
            return
        if is_table(name) and self._rows.checks:
            self._table(name, row)
        else:
            pfs.deliver(name, raw)
            self._report.accept(rows=1 if row["label"] else 0)
            self._profile.add(_shown(name, row))
        if self._prints is not None:
            sketched = self._near and not name.lower().endswith(PICTURES)
            self._prints[f"/{name}"] = print_of(raw, str(row["text"]) if sketched else None)

    def close(self, checks: tuple[Check, ...]) -> None:
        """Say what was seen, as JSON and as a page."""
        self._report.more["fields"] = self._profile.document()
        if self._rows.checks:
            self._report.more["items"] = self._report.accepted
        if self._prints is not None:
            self._report.more["prints"] = self._prints
        told = report_of(checks, {"": side_of([self._report.document()])}) | {"step": self._report.step}
        pfs.leave("html", page(told).encode(errors="replace"))

    def _table(self, name: str, file: Row) -> None:
        text = str(file["text"])
        try:
            rows, heading = rows_of(name, text), columns_of(name, text)
        except NoTableError as error:
            raise pfs.StepError(f"{name}: {error}") from error
        kept: list[Row] = []
        for number, cells in enumerate(rows, 1):
            # a line of JSON may leave out a column that others have: that is an empty cell
            named: Row = {f"{COLUMN}{column}": cells.get(column) for column in heading}
            if self._passes(self._rows, f"{name} row {number}", file | named):
                kept.append(cells)
                self._profile.add({"label": file["label"], **named})
        pfs.deliver(name, written(name, heading, kept).encode() if len(kept) < len(rows) else text.encode())
        self._report.accept(rows=len(kept), items=len(kept))

    def _passes(self, judge: Judge, name: str, row: Row) -> bool:
        for finding in judge.judge(row, name):
            if finding.on_fail == "fail":
                raise pfs.StepError(f"{name}: {finding.sentence}")
            note = self._report.warn if finding.warns else self._report.reject
            note(name, finding.check, _found(finding))
            if not finding.warns:
                return False
        return True


def _about_columns(check: Check) -> bool:
    return any(field.startswith(COLUMN) for field in check.fields)


def _shown(name: str, row: Row) -> Row:
    """What the report describes of a file: a picture's outline, or a document's text."""
    if name.lower().endswith(PICTURES):
        return {"label": row["label"], "image": row["image"] or None}
    return {"label": row["label"], "text": row["text"]}


def _found(finding: Finding) -> str:
    return (
        f"{finding.field.removeprefix(COLUMN)} {finding.found}" if finding.field.startswith(COLUMN) else finding.found
    )


def work(report: pfs.Report) -> None:
    """Check one datum's files."""
    checks = load()
    run = Run(checks, report)
    for name, path in pfs.incoming():
        run.file(name, path.read_bytes())
    run.close(checks)


if __name__ == "__main__":
    pfs.run("checks", work)
