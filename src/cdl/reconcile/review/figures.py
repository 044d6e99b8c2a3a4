"""What was measured on the test side, beside what answers in production."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import Experiment
from cdl.reconcile.release.papers import Papers
from cdl.reconcile.release.significance import Judge, MetricDiff, metrics_diff
from cdl.reconcile.release.statement import member

from .defused import folded, mono, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from cdl.reconcile.release.diff import ReleaseFacts

    from .facts import Candidate

CLASSES = 30
"""Rows of a table per class."""
OPEN = 12
"""Classes of a table that is not folded."""
CELLS = 20
"""Classes of a confusion matrix as a table."""
FIGURES = 40
LEAST = 0.001
"""A probability below this is not told more exactly."""
NEVER = "not measured yet"


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation."""

    report: Mapping[str, JsonValue]
    """With `metrics`, and as far as it is known `n`, `correct`, `perClass`."""
    version: str = ""
    """The dataset's."""
    test: tuple[str, str] = ("", "")
    """Repository and commit of the test side."""
    files: Mapping[str, str] | None = None
    """What is on the test side, path to digest, where that is known."""
    per_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    confusion: tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None = None
    examples: int | None = None


def of_release(facts: ReleaseFacts) -> Measured:
    """Read what a Release's members and the kept report say."""
    said = facts.report if isinstance(facts.report, dict) else {}
    papers = Papers(facts.release, "", report=said)
    test, data = member(facts.release, "data", "test"), member(facts.release, "data")
    metrics: dict[str, JsonValue] = dict(papers.metrics)
    return Measured(
        {**said, "metrics": metrics},
        str(data.get("version") or ""),
        (str(test.get("repo") or ""), str(test.get("commit") or "")),
        facts.data.get("test"),
        papers.per_class,
        papers.confusion,
        papers.measured,
    )


def of_status(experiment: Experiment) -> Measured | None:
    """Read what an Experiment says that made no Release; None: it has measured nothing."""
    found, data = experiment.status.evaluation, experiment.status.data
    if found is None or not found.metrics:
        return None
    counts = [row.get("support") for row in found.per_class.values()]
    examples = int(sum(c for c in counts if c is not None)) if counts and None not in counts else None
    metrics: dict[str, JsonValue] = dict(found.metrics)
    test = (data.test.repo, data.test.commit) if data else ("", "")
    return Measured(
        {"metrics": metrics, **({"n": examples} if examples else {})},
        data.version if data else "",
        test,
        None,
        found.per_class,
        None,
        examples,
    )


def measured(experiment: Experiment, candidate: Candidate | None) -> Measured | None:
    """Give what is known of an Experiment's evaluation: of its Release, and of its status what nobody could read."""
    said = of_status(experiment)
    if candidate is None:
        return said
    found = of_release(candidate.release)
    if found.per_class or said is None:
        return found
    examples = {"n": said.examples} if said.examples and not found.examples else {}
    return replace(found, report={**found.report, **examples}, per_class=said.per_class, examples=said.examples)


def compared(mine: Measured, other: Measured | None) -> tuple[MetricDiff, ...]:
    """Compare with production; the same files are the same test side, wherever they lie."""
    if other is None:
        return ()
    same = mine.version == other.version != "" or mine.test == other.test != ("", "")
    same = same or (mine.files is not None and mine.files == other.files)
    return metrics_diff(other.report, mine.report, same_test=same)


def figures(mine: Measured, production: ReleaseFacts | None) -> Iterator[str]:
    """Write the table of metrics, the classes and the confusion matrix's numbers."""
    other = of_release(production) if production is not None else None
    items = f"{mine.examples} items of the test side" if mine.examples else "the test side"
    yield f"#### Measured on {items}"
    yield _metrics(mine, other, production)
    if mine.per_class:
        yield _classes(mine.per_class, other.per_class if other else {})


def confusion(mine: Measured, picture: str) -> Iterator[str]:
    """Write what was taken for what: the picture, and its numbers as text."""
    if mine.confusion is None:
        return
    names, rows = mine.confusion
    yield "#### What was taken for what"
    if picture:
        yield f"{picture}\n\nA row holds what an item is, a column what the model says; blue is right, orange wrong."
    if len(names) > CELLS:
        yield f"{len(names)} classes: the numbers are in the report that is kept with the Release."
        return
    head = ["", *(f"{number}" for number in range(1, len(names) + 1))]
    body = ([f"{n} {mono(name, 40)}", *map(str, row)] for n, (name, row) in enumerate(zip(names, rows, strict=True), 1))
    yield folded("The same in numbers", table(head, body, right=len(names)))


def _metrics(mine: Measured, other: Measured | None, production: ReleaseFacts | None) -> str:
    found = _numbers(mine.report.get("metrics"))
    if other is None or production is None:
        shown, bounds = sorted(found.items())[:FIGURES], _intervals(mine.report)
        rows = [[mono(name), number(value), *([bounds.get(name, "")] if bounds else [])] for name, value in shown]
        head = ["Metric", "Here", *(["95 % interval"] if bounds else [])]
        return f"{table(head, rows, right=1)}\n\nNothing answers in production to compare it with."
    differs = compared(mine, other)[:FIGURES]
    body = [[mono(d.metric), number(d.b), number(d.a), *_difference(d)] for d in differs]
    head = ["Metric", "Here", mono(production.release.metadata.name), "Difference", "95 % interval", "What that means"]
    judges = {d.test for d in differs} - {Judge.NONE}
    how = f"\n\nJudged by {' and '.join(sorted(j.value for j in judges))}." if judges else ""
    return table(head, body) + how


def _intervals(report: Mapping[str, JsonValue]) -> dict[str, str]:
    """Give between which values each figure lies, in words."""
    told, found = report.get("intervals"), {}
    for name, pair in (told if isinstance(told, dict) else {}).items():
        bounds = [v for v in pair if isinstance(v, int | float)] if isinstance(pair, list) else []
        found[name] = " to ".join(number(v) for v in bounds)
    return found


def _difference(differs: MetricDiff) -> tuple[str, str, str]:
    gap = f"{differs.difference:+.4g}" if differs.difference is not None else "-"
    between = f"{differs.interval[0]:+.4f} to {differs.interval[1]:+.4f}" if differs.interval else "-"
    if differs.significant is None:
        where = "here" if differs.a is None else "in production"
        only = differs.a is None or differs.b is None
        return gap, between, f"only reported {where}" if only else plain(differs.words)
    said = "more than chance" if differs.significant else "may be chance" if differs.difference else "no difference"
    p = differs.p if differs.p is not None else 1.0
    chance = f"p = {p:.3g}" if p >= LEAST else f"p &lt; {LEAST}"
    return gap, between, f"{said} ({chance}, {differs.examples} items)"


def _classes(mine: Mapping[str, Mapping[str, float]], other: Mapping[str, Mapping[str, float]]) -> str:
    columns = list(dict.fromkeys(name for row in mine.values() for name in row))[:8]
    shown = sorted(mine)[:CLASSES]
    rows = [[mono(name), *(_cell(mine[name].get(c), other.get(name, {}).get(c)) for c in columns)] for name in shown]
    body = table(["Class", *map(mono, columns)], rows, right=len(columns))
    body += f"\n\nand {len(mine) - CLASSES} classes more" if len(mine) > CLASSES else ""
    aside = ", in brackets by how much more than in production" if other else ""
    return folded(f"Per class{aside}", body) if len(mine) > OPEN else f"Per class{aside}:\n\n{body}"


def _cell(value: float | None, before: float | None) -> str:
    if value is None:
        return ""
    return number(value) if before is None or value == before else f"{number(value)} ({value - before:+.3g})"


def number(value: float | None) -> str:
    """Write a figure."""
    if value is None:
        return "-"
    whole = float(value).is_integer() and abs(value) < 10**15
    return str(int(value)) if whole else f"{value:.4g}"


def _numbers(found: JsonValue) -> dict[str, float]:
    rows = found.items() if isinstance(found, dict) else ()
    return {n: float(v) for n, v in rows if isinstance(v, int | float) and not isinstance(v, bool)}
