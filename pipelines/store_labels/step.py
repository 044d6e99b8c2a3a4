"""Write labels as one table: from folders' names, and from annotations as Label Studio exports them.

A file `x.json` that holds an annotated task is read; every other file below a folder is labelled by the folder. The
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs

COMMIT = "in_COMMIT"
"""Pachyderm calls the commit of an input after the input."""
COLUMNS = ("label_id", "label", "path", "data_commit", "annotator", "labelled_at")


def row_of(name: str, label: str, annotator: str = "", moment: str = "", task: str = "") -> list[str]:
    """Make a row; the same item has the same id in every commit, so that a later label replaces an earlier one."""
    known = task or hashlib.sha256(name.encode()).hexdigest()[:32]
    return [known, label, f"/{name}", os.environ.get(COMMIT, ""), annotator, moment]


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
