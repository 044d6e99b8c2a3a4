"""The parts of a note about one Experiment, each as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import Experiment
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.reconcile.release import authors, sentence
from cdl.reconcile.release.diff import diff
from cdl.reconcile.release.files import DataDiff, data_files
from cdl.reconcile.release.statement import member

from .defused import folded, mono, plain, table
from .figures import number
from .merging import lasting, listed
from .standing import waits_for_approval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.v1alpha1.experiment import TrialStatus
    from cdl.reconcile.release.diff import ReleaseFacts

    from .facts import Candidate, Part

TRIALS = 10
PARAMETERS = 8
GATES = 30
CHANGES = 20
DIGEST = 19
HOUR = 3600
SIDES = ("train", "test")


def trials(experiment: Experiment) -> Iterator[str]:
    """Write the trials, best first."""
    rows, status = experiment.status.trial_table, experiment.status
    if not rows:
        return
    counts = status.trials
    told = {"running": counts.running, "completed": counts.completed, "stopped early": counts.stopped}
    told |= {"failed": counts.failed}
    how = ", ".join(f"{count} {what}" for what, count in told.items() if count)
    yield f"#### Trials: {counts.total or len(rows)}{f' ({how})' if how else ''}"
    metric, smaller = _searcher(experiment)
    best = sorted(rows, key=lambda t: _rank(t, smaller=smaller))[:TRIALS]
    names = _varied(rows)
    head = ["Trial", mono(metric), "State", "Batches", *map(mono, names)]
    body = [[str(t.id), number(t.metric), _state(t), str(t.steps), *(_value(t, n) for n in names)] for t in best]
    more = f"\n\nand {len(rows) - TRIALS} more" if len(rows) > TRIALS else ""
    yield table(head, body) + more


def gates(experiment: Experiment) -> Iterator[str]:
    """Write what the evaluation had to show."""
    evaluation = experiment.status.evaluation
    if evaluation is None or not evaluation.gates:
        if evaluation is not None and evaluation.metrics and not experiment.spec.evaluation.gates:
            yield "#### Gates"
            yield "There is none: any figures pass."
        return
    yield "#### Gates"
    rows = [
        (mono(g.about), number(g.value), number(g.min), number(g.max), "passed" if g.passed else "**not passed**")
        for g in evaluation.gates[:GATES]
    ]
    yield table(("Metric", "Found", "At least", "At most", ""), rows)
    told = [f"- {mono(g.about)}: {plain(g.words)}" for g in evaluation.gates[:GATES] if g.words]
    if told:
        yield "\n".join(told)
    if evaluation.looks is not None:
        yield f"This test side has been looked at {evaluation.looks} times."


def released(candidate: Candidate) -> Iterator[str]:
    """Write which Release it is, and what of it is other than in production."""
    release, production = candidate.release.release, candidate.production
    yield "#### Release"
    yield f"{mono(release.metadata.name)} in {mono(release.metadata.namespace)}, {mono(release.spec.digest, 80)}"
    if production is None:
        return
    name = mono(production.release.metadata.name)
    if release.spec.digest == production.release.spec.digest:
        yield f"It is exactly what answers in production as {name}."
        return
    differs = diff(production, candidate.release)
    other = [n for n, changed in differs.members.items() if changed and n not in {"git", "data"}]
    yield f"Other than {name} in production: {', '.join(map(mono, other)) or 'nothing but where it comes from'}."
    lines = [plain(c.words) for c in (*differs.config, *differs.hparams, *differs.environment)]
    lines += [f"{mono(c.part)} code: {mono(f.path, 120)} {f.change}" for c in differs.code for f in c.files]
    if lines:
        more = [f"and {len(lines) - CHANGES} more"] if len(lines) > CHANGES else []
        yield folded(
            f"What changed: {len(lines)} place{'' if len(lines) == 1 else 's'}", listed([*lines[:CHANGES], *more])
        )


def drift(candidate: Candidate) -> Iterator[str]:
    """Write how its data differ from those of what answers in production."""
    mine, other = candidate.release, candidate.production
    if other is None:
        return
    versions = [str(member(f.release, "data").get("version") or "") for f in (other, mine)]
    yield "#### Data since production"
    if versions[0] == versions[1] != "":
        yield f"The same dataset version, {mono(versions[1][:DIGEST])}."
        return
    yield f"Another dataset version: {mono(versions[0][:DIGEST])} → {mono(versions[1][:DIGEST])}."
    yield listed(f"{side}: {_files(side, other, mine)}" for side in SIDES)


def _files(side: str, old: ReleaseFacts, new: ReleaseFacts) -> str:
    before, now = old.data.get(side), new.data.get(side)
    if before is None or now is None:
        silent = old if before is None else new
        return f"files were not compared: {plain(silent.why.get(side, 'nobody was asked'))}"
    found = data_files(side, ("", ""), before, now)
    counts = {"added": found.added, "removed": found.removed, "changed": found.changed}
    counts |= {"under another label": found.relabelled}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{said or 'the same files'} ({len(before)} → {len(now)} files){_labels(found)}"


def _labels(found: DataDiff) -> str:
    names = sorted({*found.classes_a, *found.classes_b})
    moved = [n for n in names if found.classes_a.get(n, 0) != found.classes_b.get(n, 0)][:GATES]
    told = ", ".join(f"{mono(n)} {found.classes_a.get(n, 0)} → {found.classes_b.get(n, 0)}" for n in moved)
    return f"; files by label: {told}" if told else ""


def cost(experiment: Experiment) -> Iterator[str]:
    """Write what it took."""
    status, run = experiment.status, experiment.status.run
    trained = status.condition(ConditionType.TRAINED)
    if trained is not None and trained.reason is Reason.ADOPTED:
        yield "#### Cost"
        yield f"None: nothing was trained. It {plain(trained.message)}."
        return
    if run is None or run.started_at is None:
        return
    used = status.cost.slot_seconds
    ended = status.evaluation.finished_at if status.evaluation and status.evaluation.finished_at else run.finished_at
    parts = [f"{status.trials.total} trial{'' if status.trials.total == 1 else 's'}"]
    parts += [f"{used:.0f} slot-seconds ({used / HOUR:.3g} slot hours)"] if used else []
    parts += [f"{lasting((ended - run.started_at).total_seconds())} from start to end"] if ended else []
    yield "#### Cost"
    yield f"{', '.join(parts)}, of run {mono(run.id)}."


def approval(part: Part, candidate: Candidate) -> Iterator[str]:
    """Write what was decided about the Release, or who is waited for."""
    release, experiment = candidate.release.release, part.resource
    yield "#### Approval"
    yield f"{mono(release.metadata.name)}: {plain(sentence(release, release.status.approval))}."
    waiting = waits_for_approval(part)
    if waiting is not None and waiting.message:
        yield f"{plain(waiting.message)}."
    wrote = authors(release)
    if isinstance(experiment, Experiment) and experiment.spec.approval.policy is not ApprovalPolicy.AUTOMATIC and wrote:
        yield f"None of its authors may approve it: {', '.join(plain(name, 80) for name in wrote[:CHANGES])}."


def is_released(experiment: Experiment) -> bool:
    """Its Release is the one of what is asked for now."""
    found = experiment.status.condition(ConditionType.RELEASED)
    return found is not None and found.status == "True" and bool(experiment.status.release)


def _searcher(experiment: Experiment) -> tuple[str, bool]:
    found = experiment.spec.config.get("searcher")
    searcher = found if isinstance(found, dict) else {}
    return str(searcher.get("metric") or "metric"), searcher.get("smaller_is_better") is not False


def _rank(trial: TrialStatus, *, smaller: bool) -> tuple[bool, float, int]:
    value = trial.metric if trial.metric is not None else 0.0
    return trial.metric is None, value if smaller else -value, trial.id


def _varied(rows: tuple[TrialStatus, ...]) -> list[str]:
    """Hyperparameters in which trials differ; all of them where there is one trial."""
    names = sorted({name for trial in rows for name in trial.hparams})
    differ = [n for n in names if len({str(trial.hparams.get(n)) for trial in rows}) > 1]
    return (differ or names)[:PARAMETERS]


def _state(trial: TrialStatus) -> str:
    return "stopped early" if trial.stopped_early else plain(trial.state, 40).lower()


def _value(trial: TrialStatus, name: str) -> str:
    found = trial.hparams.get(name)
    if isinstance(found, int | float) and not isinstance(found, bool):
        return number(found)
    return "" if found is None else mono(str(found))
