"""Adoption: a Release that was made from exactly this is taken over, and nothing is trained again.

A run is known by its Experiment, so that nobody reads another's results by accident. What may be taken over on purpose
is compared by what was wished for: code, configuration, data, labels and transforms by their content, and the program
that evaluates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile.origin import ADOPTED_FROM, TRAINED_ON, adopted_from, named, trained_on

from .members import data_member
from .seen import CheckpointSeen, Measurement, RunPhase, RunSeen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment

    from .seen import AdoptableSeen, ReleaseSeen, Seen

    Members = Mapping[str, JsonValue]


def wish(resource: Experiment, version: str) -> str:
    """Stand for all that decides about a model, its measurement and how it answers, on a version of the data."""
    archive, serve = resource.spec.code.archive, resource.spec.code.serve
    answers = [f"sha256:{serve.sha256}", serve.entrypoint] if serve else None
    trains = f"sha256:{archive.sha256}" if archive else None
    return digest([trains, answers, digest(resource.spec.config), resource.spec.evaluation.entrypoint, version])


def wish_behind(members: Members) -> str:
    """Give the wish that a Release came of; nothing equals that of members in other words than today's."""
    code, data = _part(members, "code"), _part(members, "data")
    serve = _part(code, "serve")
    answers = [serve.get("digest"), serve.get("entrypoint")] if serve else None
    config = _part(_part(members, "experiment"), "config").get("digest")
    entrypoint = _part(members, "evaluation").get("entrypoint")
    return digest([_part(code, "model").get("digest"), answers, config, entrypoint, data.get("version")])


def substance(members: Members) -> str:
    """Stand for what a Release consists of, wherever its data lie: what an adopted one has in common with the other."""
    rest = {name: value for name, value in members.items() if name not in {"git", "data"}}
    return digest({**rest, "data": _part(members, "data").get("version")})


def adopted_members(resource: Experiment, data: Dataset, other: AdoptableSeen) -> dict[str, JsonValue]:
    """Everything of the other Release, with this resource's own data, commit and authors.

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
    return {**other.members, "git": own, "data": data_member(resource, data)}


def runs_behind(members: Members, key: str) -> tuple[RunSeen, CheckpointSeen, RunSeen, Measurement] | None:
    """Give the run and the evaluation that members tell of, as if they were of this key; None: in no words of today."""
    trained, kept, measured = (_part(members, name) for name in ("experiment", "checkpoint", "evaluation"))
    trial, metric, uuid = trained.get("trial"), trained.get("metric"), kept.get("uuid")
    if not (isinstance(trial, int) and isinstance(metric, int | float) and isinstance(uuid, str)):
        return None
    best = CheckpointSeen(uuid, str(kept.get("uri")), trial, float(metric), _part(trained, "hparams"))
    figures = {k: float(v) for k, v in _part(measured, "metrics").items() if isinstance(v, int | float)}
    files = {k: str(v) for k, v in _part(kept, "files").items()}
    measurement = Measurement(figures, {}, files, {}, {})
    run = RunSeen(key=key, id=str(trained.get("run")), phase=RunPhase.SUCCEEDED, best=best)
    evaluation = RunSeen(
        key=str(measured.get("run")),
        id=str(measured.get("run")),
        phase=RunPhase.SUCCEEDED,
        measurement=measurement,
    )
    return run, best, evaluation, measurement


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
    """Choose whose model is taken: what the merge request of this commit showed, else the oldest; None: nobody's."""
    if not may_adopt(resource, seen, data, run):
        return None
    wanted = wish(resource, data.version)
    found = (a for a in seen.adoptable if wish_behind(a.members) == wanted and runs_behind(a.members, "") is not None)
    return min(found, key=_rank, default=None)


def _rank(one: AdoptableSeen) -> tuple[bool, float, str, str]:
    written = one.written_at.timestamp() if one.written_at is not None else 0.0
    return not one.shown, written, one.namespace, one.name


def _part(members: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = members.get(name)
    return part if isinstance(part, dict) else {}
