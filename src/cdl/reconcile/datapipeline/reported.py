"""The checks of a dataset, judged and written down."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.datapipeline import CheckedStatus, Side
from cdl.checks import checks_in
from cdl.checks.page import page
from cdl.checks.profile import outline, together
from cdl.checks.report import report_of
from cdl.checks.whole import Whole, broken_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdl.api.v1alpha1.datapipeline import Check, DataPipeline
    from cdl.checks import Check as Word

    from .seen import Seen


PAGE, DOCUMENT = ".html", ".json"
"""What the two forms of a report end with on the shelf."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A report and where it belongs."""

    status: CheckedStatus | None
    """None: there is no shelf to put it on, or nothing to report."""
    fields: dict[str, str]
    document: bytes = b""
    page: bytes = b""


def broken_checks(resource: DataPipeline, seen: Seen, version: str) -> list[tuple[Check, str]]:
    """Give every check about the whole dataset that this version of it does not keep, with its sentence."""
    found = _whole(resource, seen, version)
    words = _words(resource)
    judged = zip(resource.spec.checks, words, strict=True)
    return [(check, said) for check, word in judged if (said := broken_whole(word, found)) is not None]


def checked(resource: DataPipeline, seen: Seen, version: str) -> Checked:
    """Write the report over a version of the data: what the steps reported, and the verdict on the whole."""
    sides = {side.value: _side(seen, side) for side in Side}
    found = _whole(resource, seen, version)
    if not seen.shelf or not resource.spec.checks:
        return Checked(None, dict(found.outline))
    whole = report_of(_words(resource), sides, found)
    told = {"pipeline": resource.metadata.name, "dataset": version, **whole}
    document = json.dumps(told, sort_keys=True).encode()
    place = f"{seen.shelf}{sha256(document).hexdigest()}{DOCUMENT}"
    last = resource.status.checked
    if last is not None and last.document == place and {last.page, place} <= seen.kept:
        return Checked(last, dict(found.outline))  # the page of the same report is there: it is not drawn at each look
    # half a character, which a table's cell may hold, cannot be said in UTF-8
    shown = page(told).encode(errors="replace")
    status = CheckedStatus(version=version, page=f"{seen.shelf}{sha256(shown).hexdigest()}{PAGE}", document=place)
    return Checked(status, dict(found.outline), document, shown)


def rows_of(seen: Seen, side: Side) -> int:
    """Count the items of a side: rows of tables where a step counted them, else labelled files, else files."""
    items = [step.report.items for step in seen.steps if step.side is side and step.report.items]
    manifest = next(m for m in seen.manifests if m.side is side)
    return items[-1] if items else manifest.label_rows or manifest.files


def _whole(resource: DataPipeline, seen: Seen, version: str) -> Whole:
    status = resource.status
    # what was said of a version is said of it until there is another: it is never compared with itself
    same = status.dataset is not None and status.dataset.version == version
    reports = [step.report for step in seen.steps]
    return Whole(
        rows=sum(rows_of(seen, side) for side in Side),
        rejected=sum(sum(report.rejected.values()) for report in reports),
        overlap=seen.overlap,
        outline=outline(together(_last_words(seen, side) for side in Side)),
        before=status.fields_before if same else status.fields,
    )


def _last_words(seen: Seen, side: Side) -> Mapping[str, object]:
    """What the values of a side look like after the last step that says so."""
    reports = [step.report for step in seen.steps if step.side is side and step.report.fields]
    return reports[-1].fields if reports else {}


def _words(resource: DataPipeline) -> tuple[Word, ...]:
    return checks_in([check.spoken for check in resource.spec.checks])


def _side(seen: Seen, side: Side) -> dict[str, object]:
    """Put together what all steps said of one side; only the last of them knows what went on."""
    reports = [step.report for step in seen.steps if step.side is side]
    return {
        "accepted": rows_of(seen, side),
        "rejected": _sum(report.rejected for report in reports),
        "warned": _sum(report.warned for report in reports),
        "examples": [dict(example) for report in reports for example in report.examples],
        "fields": dict(_last_words(seen, side)),
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for count in counts:
        found.update(count)
    return dict(sorted(found.items()))
