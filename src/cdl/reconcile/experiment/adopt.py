"""Adoption: a Release that was made from exactly this is taken over, and nothing is trained again.

A run is known by its Experiment, so that nobody reads another's results by accident. What may be taken over on purpose
is compared by what was wished for: code, configuration, data, labels and transforms by their content, and the program
that evaluates.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile.origin import ADOPTED_FROM, TRAINED_ON, adopted_from, named, trained_on

from .members import data_member, essence, serving_member
from .retraining import start_of
from .seen import CheckpointSeen, Measurement, RunPhase, RunSeen
from .warm import start_behind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Code, Experiment

    from .seen import AdoptableSeen, ReleaseSeen, Seen

    Members = Mapping[str, JsonValue]


def wish(resource: Experiment, version: str) -> str:
    """Stand for all that decides about a model and its measurement, on a version of the data.

    What answers requests is not in it: it costs no training (decision 5), and no run is looked for because of it.
    """
    archive = resource.spec.code.archive
    trains = f"sha256:{archive.sha256}" if archive else None
    start = start_of(resource, version)
    begins: list[JsonValue] = [] if start is None else [start.plain()]
    return digest([trains, digest(resource.spec.config), resource.spec.evaluation.entrypoint, version, *begins])


def wish_behind(members: Members) -> str:
    """Give the wish that a Release came of; nothing equals that of members in other words than today's."""
    config = _part(_part(members, "experiment"), "config").get("digest")
    entrypoint = _part(members, "evaluation").get("entrypoint")
    trains = _part(_part(members, "code"), "model").get("digest")
    start = start_behind(members)
    begins: list[JsonValue] = [] if start is None else [start.plain()]
    return digest([trains, config, entrypoint, _part(members, "data").get("version"), *begins])


def substance(members: Members) -> str:
    """Stand for what a Release consists of, wherever its data lie: what an adopted one has in common with the other."""
    rest = {name: value for name, value in essence(members).items() if name not in {"git", "data"}}
    return digest({**rest, "data": _part(members, "data").get("version")})


def adopted_members(resource: Experiment, data: Dataset, other: AdoptableSeen) -> dict[str, JsonValue]:
    """Everything of the other Release, with this resource's own data, commit, authors, and code that answers.

    Whoever had a hand in the other one has a hand in this. Which commits of which repositories were trained on stays
    known: the run still says so.
    """
    read = trained_on(other.members)
    origin: dict[str, JsonValue] = {
        "namespace": other.namespace,
        "name": other.name,
        "digest": other.digest,
        TRAINED_ON: {side: read.get(side) for side in ("train", "test")},
    }
    authors: list[JsonValue] = [*sorted({*resource.metadata.authors, *named(other.members)})]
    own: dict[str, JsonValue] = {"commit": resource.metadata.revision, "authors": authors, ADOPTED_FROM: origin}
    code = {**_part(other.members, "code"), "serve": serving_member(resource.spec.code)}
    if _answers_alike(other.members, resource.spec.code):
        code = dict(_part(other.members, "code"))
    return {**other.members, "git": own, "code": code, "data": data_member(resource, data)}


def _answers_alike(members: Members, code: Code) -> bool:
    """Tell whether requests are answered by the same code, wherever it lies."""
    theirs = _part(_part(members, "code"), "serve")
    ours = (f"sha256:{code.serve.sha256}", code.serve.entrypoint) if code.serve else (None, None)
    return (theirs.get("digest"), theirs.get("entrypoint")) == ours


def runs_behind(
    members: Members, key: str, report: Mapping[str, JsonValue] | None = None
) -> tuple[RunSeen, CheckpointSeen, RunSeen, Measurement] | None:
    """Give the run and the evaluation that members tell of, as if they were of this key; None: in no words of today.

    The report tells what members leave out.
    """
    trained, kept, told = (_part(members, name) for name in ("experiment", "checkpoint", "evaluation"))
    trial, metric, uuid = trained.get("trial"), trained.get("metric"), kept.get("uuid")
    if not (isinstance(trial, int) and isinstance(metric, int | float) and isinstance(uuid, str)):
        return None
    best = CheckpointSeen(uuid, str(kept.get("uri")), trial, float(metric), _part(trained, "hparams"))
    files = {k: str(v) for k, v in _part(kept, "files").items()}
    measurement = measured({**(report or {}), **told}, files, report or {})
    run = RunSeen(key=key, id=str(trained.get("run")), phase=RunPhase.SUCCEEDED, best=best)
    evaluation = RunSeen(
        key=str(told.get("run")),
        id=str(told.get("run")),
        phase=RunPhase.SUCCEEDED,
        measurement=measurement,
    )
    return run, best, evaluation, measurement


def measured(
    told: Members, files: Mapping[str, str], report: Members, environment: Members | None = None
) -> Measurement:
    """Read what an evaluation found, as its report says it or the member that was made of it."""
    return Measurement(
        metrics=_numbers(told.get("metrics")),
        per_class=_rows(told.get("perClass")),
        files=files,
        environment=environment or {},
        raw=report,
        per_group=_rows(told.get("perGroup")),
        intervals={k: b for k, v in _part(told, "intervals").items() if (b := _bounds(v)) is not None},
        costs=_numbers(told.get("costs")),
    )


def _rows(found: JsonValue) -> dict[str, dict[str, float]]:
    return {name: _numbers(row) for name, row in found.items()} if isinstance(found, dict) else {}


def _numbers(found: JsonValue) -> dict[str, float]:
    """Leave out what is no finite number; the wire writes such figures as words."""
    rows = found.items() if isinstance(found, dict) else ()
    return {k: float(v) for k, v in rows if isinstance(v, int | float) and not isinstance(v, bool) and isfinite(v)}


def _bounds(found: JsonValue) -> tuple[float, float] | None:
    low, high = found if isinstance(found, list) and len(found) == 2 else (None, None)
    return (float(low), float(high)) if isinstance(low, int | float) and isinstance(high, int | float) else None


def own_release(resource: Experiment, seen: Seen, data: Dataset, run: RunSeen | None) -> ReleaseSeen | None:
    """Give the Release of this namespace that needs no run of this Experiment's: one it adopted before, on these data.

    With `policy: MergeRequest` any other one will do as well, unless this Experiment has trained the model itself.
    """
    wanted, here = wish(resource, data.version), data_member(resource, data)
    done = run is not None and run.phase is RunPhase.SUCCEEDED
    any_will_do = resource.spec.approval.policy is ApprovalPolicy.MERGE_REQUEST and not done
    found = (
        r
        for r in seen.releases
        if (any_will_do or adopted_from(r.members))
        and r.members.get("data") == here
        and wish_behind(r.members) == wanted
        and _answers_alike(r.members, resource.spec.code)
        and runs_behind(r.members, "") is not None
    )
    return min(found, key=lambda r: (r.approval is ApprovalState.REJECTED, r.version), default=None)


def may_adopt(resource: Experiment, seen: Seen, data: Dataset, run: RunSeen | None) -> bool:
    """Tell whether it is worth looking for a Release to adopt."""
    if resource.spec.approval.policy is not ApprovalPolicy.MERGE_REQUEST:
        return False
    done = run is not None and run.phase is RunPhase.SUCCEEDED
    return not done and own_release(resource, seen, data, run) is None


def chosen(resource: Experiment, seen: Seen, data: Dataset, run: RunSeen | None) -> AdoptableSeen | None:
    """Choose whose model is taken: what the merge request of this commit showed, else what answers alike, the older."""
    if not may_adopt(resource, seen, data, run):
        return None
    wanted = wish(resource, data.version)
    found = (a for a in seen.adoptable if wish_behind(a.members) == wanted and runs_behind(a.members, "") is not None)

    def rank(one: AdoptableSeen) -> tuple[bool, bool, float, str, str]:
        written = one.written_at.timestamp() if one.written_at is not None else 0.0
        alike = _answers_alike(one.members, resource.spec.code)
        return not one.shown, not alike, written, one.namespace, one.name

    return min(found, key=rank, default=None)


def _part(members: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = members.get(name)
    return part if isinstance(part, dict) else {}
