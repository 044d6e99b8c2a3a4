"""DataPipeline: from sources to one dataset version."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cdl.api.canonical import digest, short
from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.datapipeline import (
    DataPipelineStatus,
    Dataset,
    JobStatus,
    LabelStatus,
    RejectedStatus,
    RepoStatus,
    Side,
    SideStatus,
)
from cdl.api.v1alpha1.resource import DeletionPolicy

from .decision import HELD, PATIENT, SOON, Decision
from .protection import data_is_kept
from .summary import busy, fact, remembered, settled, stalled, suspended

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from cdl.api.v1alpha1.datapipeline import Check, DataPipeline, DataPipelineSpec, Source, Split, Step


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """A source as it is now."""

    name: str
    digest: str | None
    """sha256 of the bytes at hand; None while they are not."""


@dataclass(frozen=True, slots=True)
class SideSeen:
    """The input repository of one side."""

    side: Side
    repo: str
    head: str | None = None
    """Newest finished commit that is not errored; None: nothing has arrived."""
    ingest: str | None = None
    """Key of the ingest that made the head; None: somebody else pushed it."""
    files: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a step says of its output."""

    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    label_rows: int = 0


@dataclass(frozen=True, slots=True)
class StepSeen:
    """One step over one side at the data engine."""

    step: str
    side: Side
    wish: str | None
    """Digest of the wish its pipeline was made from; None: no such pipeline."""
    input: str = ""
    """The commit of the repository before it that its newest output is made from."""
    head: str = ""
    """Its newest output commit, finished or not."""
    job: JobStatus | None = None
    done: bool = False
    failure: str = ""
    """One sentence when its newest job failed."""
    report: Report = Report()


@dataclass(frozen=True, slots=True)
class ManifestSeen:
    """The files of a side as training will read them."""

    side: Side
    repo: str
    commit: str
    digest: str
    files: int
    label_digest: str
    label_rows: int


@dataclass(frozen=True, slots=True)
class StraySeen:
    """A pipeline of this resource that no step of its spec asks for."""

    name: str
    """In the engine's own words; its output repository has the same name."""
    reads: str = ""
    """The repository it reads."""


@dataclass(frozen=True, slots=True)
class DataSeen:
    """What the data engine has of a DataPipeline."""

    sides: tuple[SideSeen, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    """Digest of the code of every built-in program there is."""
    steps: tuple[StepSeen, ...] = ()
    manifests: tuple[ManifestSeen, ...] = ()
    strays: tuple[StraySeen, ...] = ()
    """Each before those it reads."""


@dataclass(frozen=True, slots=True)
class Seen(DataSeen):
    """Everything a decision about a DataPipeline may depend on."""

    at: datetime = field(kw_only=True)
    sources: tuple[SourceSeen, ...] = ()
    pinned: frozenset[str] = frozenset()
    """Repositories that a Release, or an Experiment on its way to one, names a commit of."""
    pinned_by: tuple[str, ...] = ()
    """Releases made from this pipeline's commits; only asked for when it is to go."""


@dataclass(frozen=True, slots=True)
class CollectSource:
    """Fetch a source and check it."""

    source: Source


@dataclass(frozen=True, slots=True)
class Ingest:
    """Write the files of a side to its input repository, as one commit called by the key."""

    side: Side
    key: str
    sources: tuple[Source, ...]
    split: Split | None


@dataclass(frozen=True, slots=True)
class StepWish:
    """A step as its pipeline should be; the same on both sides."""

    step: Step
    code: str
    checks: tuple[Check, ...] = ()
    reads: str = ""
    """Name of the step before it; empty: the side's input repository."""

    @property
    def digest(self) -> str:
        """Stands for everything that can change the step's output or how it runs."""
        return short([self.step.model_dump(mode="json"), self.code, self._rules, self.reads])

    @property
    def program(self) -> str:
        """Stands for what can change the output alone: not for how many workers make it, nor how large they are."""
        return short([self.step.model_dump(mode="json", exclude={"resources", "parallelism"}), self.code, self._rules])

    @property
    def _rules(self) -> list[dict[str, object]]:
        return [c.model_dump(mode="json") for c in self.checks]


@dataclass(frozen=True, slots=True)
class EnsureStep:
    """Make the step's pipeline over a side be as wished, reading from `reads`."""

    side: Side
    wish: StepWish
    reads: str
    """Name of the step before it; empty: the side's input repository."""


@dataclass(frozen=True, slots=True)
class RemoveStray:
    """Remove a pipeline that no step asks for, and its output with it."""

    name: str


@dataclass(frozen=True, slots=True)
class ForgetData:
    """Remove everything this resource made at the data engine."""


Action = CollectSource | Ingest | EnsureStep | RemoveStray | ForgetData


def decide(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action]:
    """Say what brings the dataset one step closer to its spec."""
    spec = resource.spec
    if resource.metadata.deleting:
        kept = data_is_kept(resource, seen.pinned_by)
        if kept:
            said = _say(resource, seen, stalled(Reason.PINNED_BY_RELEASE, kept))
            return replace(said, holds=True, look_again_after=HELD)
        gone: tuple[Action, ...] = (ForgetData(),) if spec.deletion_policy is DeletionPolicy.DELETE else ()
        return _say(resource, seen, busy(Reason.DELETING, "removing repositories and pipelines"), gone)
    if spec.suspend:
        return Decision(suspended(resource.status, resource.metadata.generation))
    unknown = sorted({s.uses for s in spec.steps if s.uses and s.uses not in seen.programs})
    if unknown:
        known = ", ".join(sorted(seen.programs))
        return _say(
            resource,
            seen,
            stalled(Reason.INVALID_SPEC, f"spec.steps: uses {unknown[0]!r} is no built-in program; there are: {known}"),
        )
    return _bring_data_in(resource, seen) or _run_steps(resource, seen) or _judge(resource, seen)


def ingest_key(spec: DataPipelineSpec, sources: tuple[SourceSeen, ...]) -> str:
    """Same bytes, same way of taking them apart, same split: same key."""
    digests = {s.name: s.digest for s in sources}
    wish = [[s.name, digests.get(s.name), s.unpack, s.strip, s.side] for s in spec.sources]
    return short([wish, spec.split.model_dump(mode="json") if spec.split else None])


def files_digest(files: Mapping[str, str]) -> str:
    """Stands for the files of one side, path to digest: same names, same contents."""
    return digest([[path, content] for path, content in sorted(files.items())])


def wishes(spec: DataPipelineSpec, programs: Mapping[str, str]) -> tuple[StepWish, ...]:
    """The steps as they should be; item checks travel with the step that applies them."""
    items = tuple(c for c in spec.checks if c.rows is None and c.rejected is None)
    before = ("", *(step.name for step in spec.steps))
    return tuple(
        StepWish(step, programs[step.uses] if step.uses else "", items if step.uses == "checks" else (), reads)
        for step, reads in zip(spec.steps, before, strict=False)
    )


def transform_digest(spec: DataPipelineSpec, programs: Mapping[str, str]) -> str:
    """The one digest of what both sides went through."""
    return digest([w.program for w in wishes(spec, programs)])


def _bring_data_in(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action] | None:
    spec = resource.spec
    if not spec.sources:
        empty = [s.repo for s in seen.sides if s.head is None]
        return (
            _say(resource, seen, busy(Reason.WAITING_FOR_DATA, f"nothing was pushed to {empty[0]} yet"), wait=PATIENT)
            if empty
            else None
        )
    at_hand = {s.name for s in seen.sources if s.digest}
    missing = tuple(s for s in spec.sources if s.name not in at_hand)
    if missing:
        doing = busy(Reason.FETCHING_SOURCES, f"fetching {', '.join(s.name for s in missing)}")
        return _say(resource, seen, doing, tuple(CollectSource(s) for s in missing))
    key = ingest_key(spec, seen.sources)
    stale = tuple(Side(side) for side in Side if _side(seen, side).ingest != key)
    if stale:
        doing = busy(Reason.INGESTING, f"writing {' and '.join(stale)} files, ingest {key}")
        return _say(resource, seen, doing, tuple(Ingest(side, key, spec.sources, spec.split) for side in stale))
    return None


def _run_steps(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action] | None:
    actions: list[Action] = []
    running: list[StepSeen] = []
    for side in Side:
        before = _side(seen, side).head
        for wish in wishes(resource.spec, seen.programs):
            now = _step(seen, wish.step.name, side)
            if now.wish != wish.digest:
                actions.append(EnsureStep(side, wish, wish.reads))
            elif now.failure and now.input == before:
                message = f"step {now.step} over the {side} side: {now.failure}"
                return _say(resource, seen, stalled(Reason.STEP_FAILED, message), tuple(actions))
            elif not now.done or now.input != before:
                running.append(now)
            before = now.head
    if actions:
        return _say(resource, seen, busy(Reason.TRANSFORMING, "bringing the steps up to date"), tuple(actions))
    if running:
        names = ", ".join(f"{s.step} ({s.side})" for s in running)
        return _say(resource, seen, busy(Reason.TRANSFORMING, f"running {names}"), wait=SOON)
    if len(seen.manifests) < len(Side):
        return _say(resource, seen, busy(Reason.TRANSFORMING, "reading the result"), wait=SOON)
    return None


def _judge(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action]:
    """All steps are done: is the dataset as the checks want it?"""
    rows = sum(_rows(seen, side) for side in Side)
    rejected = _rejected(seen).total
    broken = [
        (check, sentence) for check in resource.spec.checks if (sentence := _breaks(check, rows, rejected)) is not None
    ]
    fatal = [sentence for check, sentence in broken if check.on_fail != "warn"]
    last = resource.status.dataset if fatal else None  # a dataset that will not be replaced keeps its files
    needless = _needless(seen, seen.pinned | ({last.train.repo, last.test.repo} if last else set()))
    if needless:
        doing = busy(Reason.TRANSFORMING, f"removing {', '.join(needless)}: no step asks for it any more")
        return _say(resource, seen, doing, tuple(RemoveStray(name) for name in needless))
    if fatal:
        condition = fact(ConditionType.DATA_READY, holds=False, reason=Reason.CHECKS_FAILED, message=fatal[0])
        return _say(resource, seen, condition, (), None, stalled(Reason.CHECKS_FAILED, fatal[0]))
    warned = "; ".join(sentence for _, sentence in broken)
    condition = fact(ConditionType.DATA_READY, holds=True, reason=Reason.DATASET_READY, message=warned)
    return _say(resource, seen, condition, dataset=_dataset(resource.spec, seen))


def _needless(seen: Seen, needed: frozenset[str]) -> tuple[str, ...]:
    """Strays whose output nobody needs, each before those it reads; one that stays keeps what it reads."""
    gone: list[str] = []
    for stray in seen.strays:
        if stray.name in needed:
            needed |= {stray.reads}
        else:
            gone.append(stray.name)
    return tuple(gone)


def _breaks(check: Check, rows: int, rejected: int) -> str | None:
    if check.rows is not None:
        least, most = check.rows.min, check.rows.max
        if least is not None and rows < least:
            return f"check {check.name}: found {rows} rows, allowed: at least {least}"
        if most is not None and rows > most:
            return f"check {check.name}: found {rows} rows, allowed: at most {most}"
    if check.rejected is not None:
        share = rejected / (rows + rejected) if rejected else 0.0
        if share > check.rejected.max_fraction:
            allowed = f"at most {check.rejected.max_fraction:.1%}"
            return (
                f"check {check.name}: {rejected} of {rows + rejected} items rejected ({share:.1%}), allowed: {allowed}"
            )
    return None


def _rows(seen: Seen, side: Side) -> int:
    manifest = next(m for m in seen.manifests if m.side is side)
    return manifest.label_rows or manifest.files


def _dataset(spec: DataPipelineSpec, seen: Seen) -> Dataset:
    by_side = {m.side: m for m in seen.manifests}
    train, test = by_side[Side.TRAIN], by_side[Side.TEST]
    snapshot = digest([train.label_digest, test.label_digest])
    transform = transform_digest(spec, seen.programs)
    return Dataset(
        version=digest([train.digest, test.digest, snapshot, transform]),
        train=SideStatus(repo=train.repo, commit=train.commit, files=train.files),
        test=SideStatus(repo=test.repo, commit=test.commit, files=test.files),
        labels=LabelStatus(snapshot=snapshot, rows=train.label_rows + test.label_rows),
        transform=transform,
    )


def _rejected(seen: Seen) -> RejectedStatus:
    reasons: dict[str, int] = {}
    for step in seen.steps:
        for reason, count in step.report.rejected.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return RejectedStatus(total=sum(reasons.values()), by_reason=dict(sorted(reasons.items())))


def _side(seen: Seen, side: Side) -> SideSeen:
    return next((s for s in seen.sides if s.side is side), SideSeen(side, ""))


def _step(seen: Seen, step: str, side: Side) -> StepSeen:
    return next((s for s in seen.steps if s.step == step and s.side is side), StepSeen(step, side, None))


def _say(
    resource: DataPipeline,
    seen: Seen,
    condition: Condition,
    actions: tuple[Action, ...] = (),
    wait: timedelta | None = None,
    trouble: Condition | None = None,
    dataset: Dataset | None = None,
) -> Decision[DataPipelineStatus, Action]:
    """Put the status together; the last good dataset stays in it while a new one is being made."""
    old = resource.status
    conditions = tuple(c for c in (trouble, condition) if c is not None)
    if condition.type is not ConditionType.DATA_READY:
        kept = old.condition(ConditionType.DATA_READY)
        conditions += (kept,) if kept is not None else ()
    current = dataset or old.dataset
    made = dataset is not None and (old.dataset is None or old.dataset.version != dataset.version)
    history = (
        remembered(old.history, seen.at, "dataset", resource.metadata.revision, dataset.version)
        if made and dataset
        else old.history
    )
    done = sum(s.done for s in seen.steps) + sum(s.head is not None for s in seen.sides)
    status = DataPipelineStatus(
        observed_generation=resource.metadata.generation,
        conditions=settled(conditions, resource.metadata.generation, Reason.SUCCEEDED, _success(current, seen)),
        progress=f"{done}/{(len(resource.spec.steps) + 1) * len(Side)}",
        last_attempted_revision=resource.metadata.revision,
        last_applied_revision=resource.metadata.revision if dataset else old.last_applied_revision,
        history=history,
        repos=tuple(
            RepoStatus(name=s.repo, branch="master", head=s.head, files=s.files, bytes=s.size)
            for s in seen.sides
            if s.head
        ),
        jobs=tuple(s.job for s in seen.steps if s.job),
        rejected=_rejected(seen),
        dataset=current,
    )
    going_on = any(c.type is ConditionType.RECONCILING for c in conditions)
    return Decision(status, actions, (wait or SOON) if going_on else None)


def _success(dataset: Dataset | None, seen: Seen) -> str:
    if dataset is None:
        return ""
    rejected = _rejected(seen).total
    dropped = f", {rejected} rejected" if rejected else ""
    return f"dataset {dataset.version[7:19]}: {dataset.train.files} train and {dataset.test.files} test files{dropped}"
