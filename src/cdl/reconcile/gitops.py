"""What a commit asks of a store: what to apply, what to prune, what somebody else changed. Nothing is touched here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cdl.api.canonical import digest
from cdl.api.meta import (
    APPLIED_BY_ANNOTATION,
    AUTHORS_ANNOTATION,
    MANAGED_BY_LABEL,
    PRUNE_ANNOTATION,
    RENDERED_ANNOTATION,
    REVISION_ANNOTATION,
    Key,
)
from cdl.api.rules import changed, without_nulls

ORDER = ("DataPipeline", "Experiment", "ModelDeployment")
"""Data first, servers last; what goes, goes the other way round."""
OURS = (REVISION_ANNOTATION, AUTHORS_ANNOTATION, RENDERED_ANNOTATION, APPLIED_BY_ANNOTATION)
"""Annotations that follow the commit or the writer; that they differ is no change of what was asked for."""


class State(StrEnum):
    """How a look ended."""

    APPLIED = "Applied"
    """What the branch says is what is stored, apart from what the status lists."""
    REFUSED = "Refused"
    """The commit cannot be applied; what an earlier one brought stays."""
    WAITING = "Waiting"
    """A part could not be written yet; the next look goes on."""
    UNREACHABLE = "Unreachable"
    """The repository does not answer; what was applied stays."""
    BRANCH_GONE = "BranchGone"
    """The repository has no such branch; what was applied stays."""
    SUSPENDED = "Suspended"
    """Somebody who looks after the follower wants it to rest."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One resource as a commit has it, with today's defaults."""

    key: Key
    spec: object
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def rendered(self) -> str:
        """What it is recognized by, whichever commit it comes from."""
        said = {name: value for name, value in self.annotations.items() if name not in OURS}
        return digest({"spec": self.spec, "labels": dict(self.labels), "annotations": said})


@dataclass(frozen=True, slots=True)
class Stored:
    """One resource as it is stored, with today's defaults."""

    key: Key
    spec: object
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    needed: str = ""
    """Why it may not go, if something else needs it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the people who set this up allow."""

    project: str
    prune: bool = True
    allow_empty: bool = False
    correct: bool = True


@dataclass(frozen=True, slots=True)
class Note:
    """One resource and one sentence about it."""

    key: Key
    words: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order; with a refusal there is nothing to do."""

    apply: tuple[Key, ...] = ()
    prune: tuple[Key, ...] = ()
    drift: tuple[Note, ...] = ()
    """What somebody else changed, and what becomes of it."""
    kept: tuple[Note, ...] = ()
    """What left git and stays all the same, and why."""
    refused: str = ""


def decide(wanted: Sequence[Wanted], stored: Iterable[Stored], policy: Policy, *, known: frozenset[Key]) -> Plan:
    """Compare a commit with what is stored.

    `stored` holds at least what is wanted and what carries the project's label; `known` names what this very commit
    was applied as before, so that what is missing of it was deleted by somebody.
    """
    there = {one.key: one for one in stored}
    refused = _refused(wanted, there, policy)
    if refused:
        return Plan(refused=refused)
    apply: list[Key] = []
    drift: list[Note] = []
    for one in sorted(wanted, key=lambda one: _place(one.key)):
        due, words = _due(one, there.get(one.key), policy, known)
        if due:
            apply.append(one.key)
        if words:
            drift.append(Note(one.key, words))
    prune, kept = _leaving({one.key for one in wanted}, there.values(), policy)
    return Plan(tuple(apply), prune, tuple(drift), kept)


def inventory(stored: Iterable[Stored], project: str) -> frozenset[Key]:
    """Name what carries the project's label."""
    return frozenset(one.key for one in stored if one.labels.get(MANAGED_BY_LABEL) == project)


def _refused(wanted: Sequence[Wanted], there: Mapping[Key, Stored], policy: Policy) -> str:
    faults: list[str] = []
    for one in wanted:
        before = there.get(one.key)
        if before is None:
            continue
        owner = before.labels.get(MANAGED_BY_LABEL, policy.project)
        if owner != policy.project:
            faults.append(f"{one.key}: belongs to the project {owner}, whose {MANAGED_BY_LABEL} label it carries")
        faults += [f"{one.key}: {said}" for said in changed(one.key.kind, _as(one), _as(before))]
    ours = inventory(there.values(), policy.project)
    if not wanted and ours and policy.prune and not policy.allow_empty:
        faults.append(f"found no resources, which would prune all {len(ours)}; --allow-empty allows it")
    return "; ".join(faults)


def _as(one: Wanted | Stored) -> Mapping[str, object]:
    return {"spec": one.spec}


def _due(one: Wanted, before: Stored | None, policy: Policy, known: frozenset[Key]) -> tuple[bool, str]:
    """Say whether to apply a resource, and what somebody else did to it."""
    if before is None:
        deleted = one.key in known
        return policy.correct or not deleted, _fate("it was deleted", policy) if deleted else ""
    if before.deleting:
        return True, ""  # the store says no until it is gone, and the next look brings it again
    if before.labels.get(MANAGED_BY_LABEL) != policy.project or before.annotations.get(RENDERED_ANNOTATION) is None:
        return True, ""
    if before.annotations[RENDERED_ANNOTATION] != one.rendered:
        return True, ""
    if pinned(one, before):
        return False, "a rollback pinned its version; it stays until git says something else"
    differs = differences(one, before)
    return bool(differs) and policy.correct, _fate(f"{', '.join(differs)} changed", policy) if differs else ""


def _fate(what: str, policy: Policy) -> str:
    return f"{what} outside git; {'corrected' if policy.correct else 'left as it is'}"


def pinned(one: Wanted, before: Stored) -> bool:
    """Say whether all that differs is what `cdl rollback` writes: nobody's emergency is undone by a poll."""
    if one.key.kind != "ModelDeployment" or _model(one.spec).get("version") is not None:
        return False
    if _model(before.spec).get("version") is None:
        return False
    return differences(one, before, without=("policy", "version")) == ()


def _model(spec: object) -> Mapping[str, object]:
    model = spec.get("model") if isinstance(spec, Mapping) else None
    return model if isinstance(model, Mapping) else {}


def differences(one: Wanted, before: Stored, without: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the fields that git gives and the store has otherwise; labels and annotations of others are theirs."""
    found = [f"spec.{name}" for name in _fields(_less(one.spec, without), _less(before.spec, without))]
    for part, ours, theirs in (
        ("labels", one.labels, before.labels),
        ("annotations", one.annotations, before.annotations),
    ):
        found += [f"{part}.{n}" for n, v in sorted(ours.items()) if n not in OURS and theirs.get(n) != v]
    return tuple(found)


def correction(one: Wanted, before: Stored) -> Mapping[str, object]:
    """Give the merge patch after which the stored spec is git's, if it has fields that git does not have; else none.

    An apply on the server's side leaves what others set; one patch takes it away without an invalid moment between.
    """
    if not isinstance(one.spec, Mapping) or not isinstance(before.spec, Mapping):
        return {}
    extra = _extra(one.spec, before.spec)
    return _both(one.spec, extra) if extra else {}


def _extra(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in theirs.items():
        mine = ours.get(name)
        if mine is None and value is not None:
            found[name] = None
        elif isinstance(mine, Mapping) and isinstance(value, Mapping) and (inner := _extra(mine, value)):
            found[name] = inner
    return found


def _both(ours: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    made = dict(ours)
    for name, value in extra.items():
        mine = ours.get(name)
        made[name] = _both(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return made


def _less(spec: object, without: Sequence[str]) -> object:
    if not without or not isinstance(spec, Mapping):
        return spec
    return {**spec, "model": {name: value for name, value in _model(spec).items() if name not in without}}


def _fields(ours: object, theirs: object) -> list[str]:
    left, right = without_nulls(ours), without_nulls(theirs)
    if not isinstance(left, Mapping) or not isinstance(right, Mapping):
        return [] if left == right else ["*"]
    return sorted(name for name in {*left, *right} if left.get(name) != right.get(name))


def _leaving(wanted: set[Key], there: Iterable[Stored], policy: Policy) -> tuple[tuple[Key, ...], tuple[Note, ...]]:
    prune: list[Key] = []
    kept: list[Note] = []
    for one in sorted(there, key=lambda one: _place(one.key), reverse=True):
        if one.key in wanted or one.labels.get(MANAGED_BY_LABEL) != policy.project or one.deleting:
            continue
        why = _stays(one, policy)
        if why:
            kept.append(Note(one.key, why))
        else:
            prune.append(one.key)
    return tuple(prune), tuple(kept)


def _stays(one: Stored, policy: Policy) -> str:
    if one.annotations.get(PRUNE_ANNOTATION) == "disabled":
        return f"left git, and stays because of {PRUNE_ANNOTATION}: disabled"
    if not policy.prune:
        return "left git, and stays because of --no-prune"
    return f"left git, and stays: {one.needed}" if one.needed else ""


def _place(key: Key) -> tuple[int, Key]:
    return (ORDER.index(key.kind) if key.kind in ORDER else len(ORDER), key)
