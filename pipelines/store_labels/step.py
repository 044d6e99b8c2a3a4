"""Write labels as one table: from folders' names, from annotations as Label Studio exports them, or from tables.

A file `x.json` that holds an annotated task is read; every other file below a folder is labelled by the folder. With
`CDL_LABEL_FILES` only tables are read: the files of that pattern, by their columns `CDL_LABEL_ID` and `CDL_LABEL`. The
table lies at `/labels/0000` without a heading, as an egress of Pachyderm's into a table called `labels` wants it, and
at `/labels.csv` with a heading, for people.
"""

import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the steps share pfs.py, wherever the folder is unpacked
# How tables are read is said in one library: beside this folder in the image and in a checkout, above it in a wheel.
sys.path.append(str(Path(__file__).resolve().parents[1].parent / "src"))
sys.path.append(str(Path(__file__).resolve().parents[1].parent.parent))

import pfs

from cdl.checks.tables import NoTableError, columns_of, is_table, rows_of

COMMIT = "in_COMMIT"
"""Pachyderm calls the commit of an input after the input."""
COLUMNS = ("label_id", "label", "path", "data_commit", "annotator", "labelled_at")


def row_of(name: str, label: str, annotator: str = "", moment: str = "", task: str = "") -> list[str]:
    """Make a row; the same item has the same id in every commit, so that a later label replaces an earlier one."""
    known = task or hashlib.sha256(name.encode()).hexdigest()[:32]
    return [known, label, f"/{name}", os.environ.get(COMMIT, ""), annotator, moment]


def in_tables(pattern: str, report: pfs.Report) -> Iterator[list[str]]:
    """Give a row for each row of the tables; one without its item or its label is counted."""
    item, label = os.environ.get("CDL_LABEL_ID", "id"), os.environ.get("CDL_LABEL", "label")
    for name, path in pfs.incoming():
        if not (fnmatchcase(name, pattern) or fnmatchcase(path.name, pattern)):
            continue
        for number, cells in enumerate(_table(name, path.read_bytes(), (item, label)), 1):
            known, said = (_cell(cells.get(column)) for column in (item, label))
            if known and said:
                report.accept(rows=1)
                digest = hashlib.sha256(known.encode(errors="replace")).hexdigest()[:32]
                yield [digest, said, known, os.environ.get(COMMIT, ""), "", ""]
            else:
                report.reject(f"{name} row {number}", "no-label", f"column {label if known else item} is empty")


def _table(name: str, raw: bytes, wanted: tuple[str, ...]) -> list[dict[str, object]]:
    if not is_table(name):
        raise pfs.StepError(f"{name}: matches CDL_LABEL_FILES and is no table")
    try:
        text = raw.decode()
        rows, heading = rows_of(name, text), columns_of(name, text)
    except (UnicodeDecodeError, NoTableError) as error:
        raise pfs.StepError(f"{name}: {error}") from error
    missing = [column for column in wanted if heading and column not in heading]
    if missing:
        raise pfs.StepError(f"{name}: has no column {missing[0]!r}; columns: {', '.join(heading)}")
    return rows


def _cell(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int | float) else ""


def annotated(name: str, raw: bytes) -> list[str] | None:
    """Read the newest annotation of a task; None when the file is no task, or nobody has labelled it."""
    try:
        task = json.loads(raw)
    except ValueError:
        return None
    done = task.get("annotations") if isinstance(task, dict) else None
    kept = (
        [a for a in done or () if isinstance(a, dict) and not a.get("was_cancelled")] if isinstance(done, list) else []
    )
    for annotation in sorted(kept, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""), reverse=True):
        label = _choice(annotation.get("result"))
        if label:
            by = annotation.get("completed_by")
            who = by.get("email") if isinstance(by, dict) else by
            when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
            return row_of(_path(task) or name, label, str(who or ""), when, f"task-{task.get('id')}")
    return None


def _choice(result: object) -> str:
    for part in result if isinstance(result, list) else ():
        value = part.get("value") if isinstance(part, dict) else None
        choices = value.get("choices") if isinstance(value, dict) else None
        if isinstance(choices, list) and choices:
            return ";".join(sorted(str(choice) for choice in choices))
    return ""


def _path(task: dict[str, object]) -> str:
    shown = task.get("data")
    told = shown.get("path") if isinstance(shown, dict) else None
    return str(told).lstrip("/") if told else ""


def rows(report: pfs.Report) -> Iterator[list[str]]:
    """Give a row for each labelled item, and count those without a label."""
    pattern = os.environ.get("CDL_LABEL_FILES")
    if pattern:
        yield from in_tables(pattern, report)
        return
    for name, path in pfs.incoming():
        if name.lower().endswith(".json"):
            row = annotated(name, path.read_bytes())
        else:
            row = row_of(name, pfs.label_of(name)) if pfs.label_of(name) else None
        if row is None:
            report.reject(name, "no-label", "neither an annotated task nor a file in a folder")
        else:
            report.accept(rows=1)
            yield row


def work(report: pfs.Report) -> None:
    """Write the labels of this datum."""
    found: dict[str, list[str]] = {}
    for row in rows(report):
        before = found.setdefault(row[0], row)
        if before[2] != row[2]:
            raise pfs.StepError(f"{row[2]}: has the label id {row[0]}, as {before[2]} has")
        if before[1] != row[1]:
            raise pfs.StepError(f"{row[2]}: has two labels, {before[1]} and {row[1]}")
    ordered = [found[known] for known in sorted(found)]
    body = _csv(ordered)
    pfs.deliver("labels/0000", body)
    pfs.deliver("labels.csv", _csv([list(COLUMNS)]) + body)


def _csv(lines: list[list[str]]) -> bytes:
    page = io.StringIO()
    csv.writer(page, lineterminator="\n").writerows(lines)
    return page.getvalue().encode(errors="replace")


if __name__ == "__main__":
    pfs.run("store_labels", work)
