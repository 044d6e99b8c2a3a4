"""A Release told to people: what the model is, what it was measured to do, its limits, and how to check all that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.experiment import GateStatus
from cdl.api.v1alpha1.release import ApprovalState

from .papers import confusion, measured, per_class
from .statement import member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release

    from .papers import Papers

    Row = tuple[str, ...]


class Mono(str):
    """A text that a machine reads too: a digest, an address, a name in a program."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Title:
    """A heading; level 1 is the card's own."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What nobody may overlook: whether the model may be used."""

    text: str
    usable: bool


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; with `shares`, cells are shaded by their part of the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: bool = False


@dataclass(frozen=True, slots=True)
class Commands:
    """What to type."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture, drawn by our own pencil: SVG whose every text is escaped. Where none can be shown, what it says."""

    svg: str
    caption: str


Block = Title | Prose | Verdict | Points | Grid | Commands | Figure


def model_card(papers: Papers) -> tuple[Block, ...]:
    """Say everything, part by part; a part about which nothing is known says so or is left out."""
    parts = (_head, _data, _training, _results, _gates, _approval, _limits, _environment, members, _verify)
    return tuple(block for part in parts for block in part(papers))


def _head(papers: Papers) -> Iterator[Block]:
    release = papers.release
    spec, status = release.spec, release.status
    yield Title(f"{spec.model}, version {spec.version}", 1)
    yield Verdict(_standing(papers), release.approved)
    serve = member(release, "code", "serve")
    rows: list[Row] = [
        ("Release", Mono(release.metadata.name)),
        ("Digest of all members", Mono(spec.digest)),
        ("Made", at(release.metadata.creation_timestamp)),
        ("Made by the Experiment", Mono(release.metadata.labels.get("cdl.dev/experiment", ""))),
        ("Answers through", Mono(str(serve.get("entrypoint") or ""))),
        ("Serves now", ", ".join(status.served_by)),
    ]
    yield facts(rows)


def _standing(papers: Papers) -> str:
    approval = papers.release.status.approval
    match approval.state:
        case ApprovalState.APPROVED:
            until = f" It is good until {at(approval.expires_at)}." if approval.expires_at else ""
            request = approval.merge_request
            where = f"merge request {request.url}, head {request.sha}" if request is not None else "no reason was given"
            return f"Approved by {approval.by} at {at(approval.at)}: {approval.reason or where}.{until}"
        case ApprovalState.REJECTED:
            return f"Rejected by {approval.by} at {at(approval.at)}: {approval.reason}. It must not be used."
        case ApprovalState.VOID:
            return f"Not approved any more: {approval.reason}. It must not be used."
        case ApprovalState.PENDING:
            return "Nobody has approved it yet. It must not be used."


def _data(papers: Papers) -> Iterator[Block]:
    release = papers.release
    data, labels = member(release, "data"), member(release, "labels")
    yield Title("Data")
    yield facts(
        (
            ("DataPipeline", Mono(said(data.get("pipeline")))),
            ("Version of the dataset", Mono(said(data.get("version")))),
            ("Trained on", Mono(_commit(member(release, "data", "train")))),
            ("Measured on", Mono(_commit(member(release, "data", "test")))),
            ("Labels", f"{said(labels.get('rows'))} rows"),
            ("Snapshot of the labels", Mono(said(labels.get("snapshot")))),
            ("Transformations, the same for both sides", Mono(said(member(release, "transforms").get("digest")))),
        )
    )


def _training(papers: Papers) -> Iterator[Block]:
    found, run = member(papers.release, "experiment"), papers.experiment.run if papers.experiment else None
    parameters = member(papers.release, "experiment", "hparams")
    searcher = papers.config.get("searcher")
    yield Title("Training")
    yield facts(
        (
            ("Run and trial", f"{said(found.get('run'))}, trial {said(found.get('trial'))}"),
            ("Seed", said(found.get("seed"))),
            ("Searcher", said(searcher.get("name")) if isinstance(searcher, dict) else ""),
            ("Best value of the searcher's metric", said(found.get("metric"))),
            ("Began and ended", f"{at(run.started_at)} to {at(run.finished_at)}" if run and run.finished_at else ""),
        )
    )
    if parameters:
        rows = tuple((Mono(name), said(value)) for name, value in sorted(parameters.items()))
        yield Grid(("Hyperparameter", "Value"), rows)


def _results(papers: Papers) -> Iterator[Block]:
    return results(papers.metrics, papers.report)


def results(metrics: Mapping[str, float], report: Mapping[str, JsonValue]) -> Iterator[Block]:
    """Tell what was measured on the test side, from the figures and the evaluator's report, as far as there is one."""
    yield Title("What was measured")
    items = measured(report)
    count = f"{items} items of " if items is not None else ""
    yield Prose(f"On {count}the test side alone, which training never saw.")
    yield _figures(metrics, report)
    classes = per_class(report)
    if classes:
        columns = tuple(dict.fromkeys(name for row in classes.values() for name in row))
        rows = (
            (label, *(number(row[c]) if c in row else "" for c in columns)) for label, row in sorted(classes.items())
        )
        yield Title("Per class", 3)
        yield Grid(("Class", *columns), tuple(rows))
    taken = confusion(report)
    if taken is not None:
        names, table = taken
        yield Title("What was taken for what", 3)
        yield Prose("A row holds what an item is, a column what the model says.")
        counted = ((name, *map(str, row)) for name, row in zip(names, table, strict=True))
        yield Grid(("", *names), tuple(counted), shares=True)


def _figures(metrics: Mapping[str, float], report: Mapping[str, JsonValue]) -> Grid:
    """Tell each figure, with the values between which it lies in 95 of 100 cases where known, and the costs."""
    between, costs = report.get("intervals"), report.get("costs")
    bounds = {name: _bounds(pair) for name, pair in between.items()} if isinstance(between, dict) else {}
    paid = costs.items() if isinstance(costs, dict) else ()
    rows = [(name, number(value), bounds.get(name, "")) for name, value in sorted(metrics.items())]
    rows += [(name, number(value), "") for name, value in sorted(paid) if isinstance(value, int | float)]
    if any(pair for _, _, pair in rows):
        return Grid(("Metric", "Value", "95 % interval"), tuple(rows))
    return Grid(("Metric", "Value"), tuple((name, value) for name, value, _ in rows))


def _bounds(pair: JsonValue) -> str:
    return " to ".join(number(v) for v in pair if isinstance(v, int | float)) if isinstance(pair, list) else ""


def _gates(papers: Papers) -> Iterator[Block]:
    gates = papers.experiment.evaluation.gates if papers.experiment and papers.experiment.evaluation else ()
    gates = gates or gates_kept(papers.release)
    yield Title("Gates")
    if not gates:
        yield Prose("No gate is known: the Experiment has none, is gone, or has measured something else since.")
        return
    yield gated(gates)
    yield from (Prose(f"{g.about}: {g.words}.") for g in gates if g.words)


def gates_kept(release: Release) -> tuple[GateStatus, ...]:
    """Read how the gates went that a Release was written with; none of those written before they were noted."""
    return GateStatus.kept(member(release, "evaluation").get("gates"))


def gated(gates: Iterable[GateStatus]) -> Grid:
    """Tell how each gate went."""
    return Grid(
        ("Metric", "Found", "At least", "At most", "Passed"),
        tuple((g.about, _maybe(g.value), _maybe(g.min), _maybe(g.max), "yes" if g.passed else "no") for g in gates),
    )


def _approval(papers: Papers) -> Iterator[Block]:
    production = papers.release.status.approval.production
    if not production:
        return
    yield Title("Compared with what answered when it was decided")
    for other in production:
        names = sorted(other.metrics.keys() | other.differences.keys())
        rows = ((n, _maybe(other.metrics.get(n)), _signed(other.differences.get(n))) for n in names)
        yield Grid(("Metric", other.release, "This one, by difference"), tuple(rows))


def _limits(papers: Papers) -> Iterator[Block]:
    yield Title("Limits")
    points = [
        "The figures hold for data like the test side named above. About other data they say nothing.",
        "Nothing was measured about groups of people, about fairness, or about attempts to deceive the model.",
    ]
    worst = _weakest(papers)
    if worst:
        points.insert(0, worst)
    if not papers.per_class:
        points.append("The evaluation reports no figures per class, so a weak class would not show.")
    points.append(
        "A model that is served is as good as its code: this card says which code that is, not that it is right."
    )
    yield Points(tuple(points))


def _weakest(papers: Papers) -> str:
    """Name the class with the lowest recall, or else the lowest f1: what averages hide."""
    for metric in ("recall", "f1"):
        known = {label: row[metric] for label, row in papers.per_class.items() if metric in row}
        if len(known) > 1:
            label = min(sorted(known), key=lambda name: known[name])
            return f"It is weakest for the class {label}: {metric} {number(known[label])}."
    return ""


def _environment(papers: Papers) -> Iterator[Block]:
    found = member(papers.release, "environment")
    main = member(papers.release, "environment", "packages")
    yield Title("Environment")
    yield facts(
        (
            ("Python", said(found.get("python"))),
            ("Image", Mono(said(found.get("image")))),
            ("Platform", said(papers.lock.get("platform"))),
            ("Frameworks", ", ".join(f"{name} {said(version)}" for name, version in sorted(main.items()))),
            ("Installed in all", f"{len(papers.packages)} packages" if papers.packages else ""),
        )
    )


def members(papers: Papers) -> Iterator[Block]:
    """Name every member with its digest and where it lies."""
    release = papers.release
    git = member(release, "git")
    commit = git.get("commit")
    parts = (
        ("code", "code", "model"),
        ("serving code", "code", "serve"),
        ("configuration", "experiment", "config"),
        ("checkpoint", "checkpoint"),
        ("evaluation", "evaluation", "report"),
        ("environment", "environment", "lock"),
    )
    yield Title("Members")
    rows: list[Row] = [("git", Mono(said(commit)), "")] if commit else []
    for name, *path in parts:
        kept = member(release, *path)
        if kept:
            rows.append((name, Mono(said(kept.get("digest"))), Mono(said(kept.get("uri")))))
    rows += ((name, "signed statement", Mono(uri)) for name, uri in papers.addresses())
    yield Grid(("Member", "Digest", "Where it lies"), tuple(rows))


def _verify(papers: Papers) -> Iterator[Block]:
    name, namespace = papers.release.metadata.name, papers.release.metadata.namespace
    where = "" if namespace == "default" else f" -n {namespace}"
    yield Title("Check it yourself")
    yield Prose(
        "The first command reads every member again. The others write what was signed, and the key to check it."
    )
    yield Commands(
        (
            f"cdl verify {name}{where}",
            f"cdl export {name}{where} --as intoto -o {name}.intoto.jsonl",
            "cdl export --public-key -o release.pub",
        )
    )


def facts(rows: Iterable[Row]) -> Grid:
    """A table without a head of what is known."""
    return Grid((), tuple(row for row in rows if row[1]))


def _commit(side: dict[str, JsonValue]) -> str:
    return f"{said(side.get('repo'))}@{said(side.get('commit'))}" if side else ""


def said(value: JsonValue) -> str:
    """A value as people read it; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def number(value: float) -> str:
    """A figure with five digits."""
    return str(int(value)) if value == int(value) else f"{value:.5g}"


def _maybe(value: float | None) -> str:
    return "" if value is None else number(value)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4g}"


def at(moment: datetime | None) -> str:
    """A moment to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""
