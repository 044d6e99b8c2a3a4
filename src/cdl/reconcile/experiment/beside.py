"""Production, as a gate compares with it: measured on the same test commit, here if it was not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import Reason
from cdl.api.v1alpha1.experiment import Archive, GateStatus
from cdl.reconcile.summary import busy, stalled

from .gate import Beside
from .seen import RunPhase, StartRun, TrainWish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment

    from .seen import ProductionSeen, Seen

FOR_EVALUATION = frozenset({"environment", "checkpoint_storage", "workspace", "project"})


def compares(resource: Experiment) -> bool:
    """Tell whether any gate is about what answers in production."""
    return any(gate.against is not None for gate in resource.spec.evaluation.gates)


def reads_report(resource: Experiment) -> bool:
    """Tell whether any gate is about more than the figures that a Release's members name."""
    return any(g.against is not None or g.of_class or g.group for g in resource.spec.evaluation.gates)


def production_key(production: ProductionSeen, data: Dataset) -> str:
    """Same Release, same test side: measured once for this resource."""
    return f"p{short([production.digest, data.test.repo, data.test.commit])}"


def kept_key(resource: Experiment, seen: Seen, data: Dataset) -> str:
    """Give the key of the run that measures production for this wish; empty: there is none to keep."""
    there = seen.production if compares(resource) else None
    return production_key(there, data) if there is not None and not _is_measured(there, data) else ""


def beside(
    resource: Experiment, seen: Seen, data: Dataset, release: str
) -> tuple[Beside, Condition | None, tuple[StartRun, ...]]:
    """Give what to compare with; or the condition that says what is done before, or stands in the way.

    `release` is the Release that what is judged was written as, if it was.
    """
    there = seen.production
    if there is None or not compares(resource):
        return Beside(), None, ()
    if there.release == release:
        return Beside(there.release, itself=True), None, ()
    if _is_measured(there, data):
        return Beside(there.release, there.report), None, ()
    run = next((r for r in seen.runs if r.key == production_key(there, data)), None)
    if run is not None and run.phase is RunPhase.SUCCEEDED and run.measurement is not None:
        return Beside(there.release, run.measurement.raw), None, ()
    where = f"{there.release}, which answers in production, on test commit {data.test.commit[:12]}"
    if run is not None and run.phase.over:
        why = run.failure or "it reported nothing"
        message = f"cannot compare with {where}: its evaluation {run.id} there: {why}"
        return Beside(), stalled(Reason.EVALUATION_FAILED, message), ()
    wish = _measuring(there, data)
    if wish is None:
        message = f"cannot measure {where}: the Release does not say by which code, checkpoint and entrypoint"
        return Beside(), stalled(Reason.EVALUATION_FAILED, message), ()
    idle = run is None or run.phase is RunPhase.PAUSED
    start = (StartRun(production_key(there, data), wish),) if idle else ()
    return Beside(), busy(Reason.EVALUATING, f"measuring {where}, to compare with it"), start


def own_looks(resource: Experiment, seen: Seen, data: Dataset) -> int:
    """Count the evaluations on this test commit that began: a run that was put away since is not forgotten."""
    begun = sum(run.looked_at == data.test.commit and run.started_at is not None for run in seen.runs)
    old, before = resource.status.evaluation, resource.status.data
    known = old.own_looks if old is not None and before is not None and before.test.commit == data.test.commit else None
    return max(begun, known or 0)


def outcomes(members: Mapping[str, JsonValue]) -> tuple[GateStatus, ...]:
    """Read how the gates went that a Release was written with."""
    return GateStatus.kept(_table(members.get("evaluation")).get("gates"))


def report_address(members: Mapping[str, JsonValue]) -> tuple[str, str]:
    """Give address and digest of the report that members name; empty where they name none."""
    report = _table(_table(members.get("evaluation")).get("report"))
    return str(report.get("uri") or ""), str(report.get("digest") or "")


def _is_measured(there: ProductionSeen, data: Dataset) -> bool:
    """It was measured on these very items."""
    member = _table(there.members.get("data"))
    test = _table(member.get("test"))
    same = (test.get("repo"), test.get("commit")) == (data.test.repo, data.test.commit)
    return same or member.get("version") == data.version


def _measuring(there: ProductionSeen, data: Dataset) -> TrainWish | None:
    """Ask for the evaluation that the Release was judged by, on these items."""
    code = _table(_table(there.members.get("code")).get("model"))
    entrypoint = _table(there.members.get("evaluation")).get("entrypoint")
    checkpoint = _table(there.members.get("checkpoint")).get("uuid")
    uri, digest = code.get("uri"), code.get("digest")
    if not (isinstance(uri, str) and isinstance(digest, str) and isinstance(entrypoint, str)):
        return None
    if not isinstance(checkpoint, str):
        return None
    archive = Archive(uri=uri, sha256=digest.removeprefix("sha256:"))
    config = {name: value for name, value in there.config.items() if name in FOR_EVALUATION}
    name = f"{there.release}-evaluation"[:63]
    return TrainWish(name, config, archive, data.test.repo, data.test.commit, entrypoint, checkpoint)


def _table(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
