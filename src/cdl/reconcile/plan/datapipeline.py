"""What becomes of a DataPipeline: ingest, and each step over each side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.datapipeline import Side
from cdl.reconcile import datapipeline as pure
from cdl.reconcile.datapipeline.timetable import due, outdated
from cdl.reconcile.words import changes, few

from .history import of_step
from .stage import NO_HISTORY, NOTHING, Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cdl.api.v1alpha1.datapipeline import DataPipeline, Dataset, Source, Step

    from .takeover import LikeSeen

WILL_CHANGE = frozenset({Verdict.RUN, Verdict.UNKNOWN})
NEXT_COMMIT = "the next one"
NEW = "nothing of it is there yet"


@dataclass(frozen=True, slots=True)
class DataAhead:
    """What those downstream will find."""

    dataset: Dataset | None = None
    """The dataset version, where it is known beforehand."""
    changes: bool = False
    """There will be another one, not known yet."""
    because: str = ""
    """What changes it; or, without either of the two, why there will be none."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is known of a DataPipeline."""

    wanted: DataPipeline
    before: DataPipeline | None
    """As it is stored now."""
    seen: pure.Seen
    remembered: bool = False
    """The facts are read off its status: digests of files are not among them."""
    like: LikeSeen | None = None
    """Whose work may be taken over."""


def plan_data(facts: DataFacts) -> tuple[tuple[Stage, ...], DataAhead]:
    """Say what becomes of each stage, and what dataset comes out."""
    spec, seen = facts.wanted.spec, facts.seen
    unknown = sorted({s.uses for s in spec.steps if s.uses and s.uses not in seen.programs})
    if unknown:
        refused = pure.decide(facts.wanted, seen).status.condition(ConditionType.STALLED)
        message = refused.message if refused else f"no program {unknown[0]}"
        return (Stage(name="ingest", verdict=Verdict.WAIT, reasons=(message,)),), DataAhead(because=message)
    stages: list[Stage] = []
    for side in Side:
        ingest = _ingest(facts, side)
        stages += [ingest, *_steps(facts, side, ingest)]
    raws = _raws(facts, moves=any(s.verdict in WILL_CHANGE for s in stages))
    if spec.suspend:
        held = tuple(_held(s) for s in (*stages, *raws))
        return held, DataAhead(facts.wanted.status.dataset, because="it is suspended")
    return (*stages, *raws), _ahead(facts, stages)


def _raws(facts: DataFacts, *, moves: bool) -> tuple[Stage, ...]:
    """Say what becomes of the pipelines that people wrote themselves; they run beside, after what they read."""
    there = {raw.name: raw.wish for raw in facts.seen.raws}
    if facts.remembered and facts.before is not None:
        there = {wish.name: wish.digest for wish in pure.raw_wishes(facts.before.spec)}
    stages: list[Stage] = []
    for wish in pure.raw_wishes(facts.wanted.spec):
        reasons, verdict = _unchanged(facts, "spec"), Verdict.REUSE
        if there.get(wish.name) != wish.digest:
            reasons = (NEW if wish.name not in there else "its spec changed",)
            verdict = Verdict.RUN
        elif moves:
            reasons, verdict = ("what it reads may change",), Verdict.RUN
        estimate = NO_HISTORY if verdict is Verdict.RUN else NOTHING
        sure = verdict is Verdict.REUSE or wish.name not in there
        stages.append(
            Stage(name=wish.name, verdict=verdict, reasons=reasons, sure=sure, key=wish.digest, estimate=estimate)
        )
    return tuple(stages)


def _held(stage: Stage) -> Stage:
    if stage.verdict in {Verdict.REUSE, Verdict.WAIT}:
        return stage
    reasons = ("spec.suspend is true: nothing is done until it is false", *stage.reasons)
    return stage.model_copy(update={"verdict": Verdict.WAIT, "reasons": reasons, "estimate": NOTHING})


def _ingest(facts: DataFacts, side: Side) -> Stage:
    spec, seen = facts.wanted.spec, facts.seen
    head = next((s for s in seen.sides if s.side is side), pure.SideSeen(side, ""))
    if not spec.sources:
        if head.head is None:
            why = f"nothing was pushed to {head.repo or 'its input repository'} yet"
            return Stage(name="ingest", side=side, verdict=Verdict.WAIT, reasons=(why,))
        why = "people push into the input repository; there is nothing to fetch"
        return Stage(name="ingest", side=side, verdict=Verdict.REUSE, reasons=(why,), key=head.ingest or "")
    digests = _digests(spec.sources, seen)
    unpinned = tuple(s for s in spec.sources if digests[s.name] is None)
    if unpinned:
        return _unfetched(facts, side, unpinned)
    at = due(facts.wanted, seen)
    again = tuple(s for s in spec.sources if at is not None and s.may_change and outdated(s, seen, at))
    if at is not None and again and head.head is not None:
        return _due(facts, side, again, at)
    key = pure.ingest_key(spec, tuple(pure.SourceSeen(name, found) for name, found in digests.items()))
    if head.ingest == key:
        return Stage(name="ingest", side=side, verdict=Verdict.REUSE, reasons=_unchanged(facts, "sources"), key=key)
    reasons = few(_ingest_changes(facts) if head.head else (NEW,)) or ("the bytes of its sources changed",)
    sure = not facts.remembered or facts.before is None or all(s.sha256 for s in facts.before.spec.sources)
    return Stage(
        name="ingest", side=side, verdict=Verdict.RUN, reasons=reasons, sure=sure, key=key, estimate=NO_HISTORY
    )


def _digests(sources: tuple[Source, ...], seen: pure.Seen) -> dict[str, str | None]:
    """Digest of every source: as it is at hand, else as the spec pins it."""
    at_hand = {s.name: s.digest for s in seen.sources}
    return {s.name: at_hand.get(s.name) or s.sha256 for s in sources}


def _unfetched(facts: DataFacts, side: Side, unpinned: tuple[Source, ...]) -> Stage:
    fresh = facts.before is None or not any(s.head for s in facts.seen.sides if s.side is side)
    names = ", ".join(s.name for s in unpinned)
    if fresh:
        reasons: tuple[str, ...] = (NEW, f"source {names} is fetched first")
        return Stage(name="ingest", side=side, verdict=Verdict.RUN, reasons=reasons, estimate=NO_HISTORY)
    why = f"source {names} names no sha256 and is not at hand: only fetching it shows whether its bytes changed"
    reasons = (*few(_ingest_changes(facts)), why)
    return Stage(name="ingest", side=side, verdict=Verdict.UNKNOWN, reasons=reasons, sure=False, estimate=NO_HISTORY)


def _due(facts: DataFacts, side: Side, again: tuple[Source, ...], at: datetime) -> Stage:
    names = ", ".join(s.name for s in again)
    why = f"source {names} is due since {at:%Y-%m-%d %H:%M:%S} UTC: only fetching it again shows whether it changed"
    reasons = (*few(_ingest_changes(facts)), why)
    return Stage(name="ingest", side=side, verdict=Verdict.UNKNOWN, reasons=reasons, sure=False, estimate=NO_HISTORY)


def _ingest_changes(facts: DataFacts) -> tuple[str, ...]:
    return changes(_ingest_part(facts.before), _ingest_part(facts.wanted)) if facts.before else ()


def _ingest_part(resource: DataPipeline | None) -> object:
    if resource is None:
        return None
    kept = {"sources": True, "split": True}
    told = resource.spec.model_dump(mode="json", by_alias=True, exclude_none=True, include=kept)
    for source in told["sources"]:
        source.pop("mirrors", None)
    return told


def _unchanged(facts: DataFacts, what: str) -> tuple[str, ...]:
    """Say why nothing runs: nothing changed at all, or nothing that counts here."""
    same = facts.before is not None and facts.before.spec == facts.wanted.spec
    return ("nothing changed",) if same else (f"nothing in its {what} changed",)


def _steps(facts: DataFacts, side: Side, ingest: Stage) -> tuple[Stage, ...]:
    """Walk down one side; below a stage that may change its output every step has to run."""
    seen, stages = facts.seen, list[Stage]()
    before = next((s.head for s in seen.sides if s.side is side), None)
    above, like = ingest, facts.like
    equal = like is not None and like.has_files(side, ingest)
    for wish in pure.wishes(facts.wanted.spec, seen.programs):
        missing = pure.StepSeen(wish.step.name, side, None)
        now = next((s for s in seen.steps if s.step == wish.step.name and s.side is side), missing)
        equal = equal and like is not None and like.made(side, wish) and (now.wish is None or bool(now.taken))
        if like is not None and equal and (now.wish != wish.digest or above.verdict in WILL_CHANGE):
            stage = Stage(name=wish.step.name, side=side, verdict=Verdict.REUSE, reasons=like.said, key=wish.digest)
        else:
            stage = _step(facts, side, wish, now, above, before)
            if like is not None and now.wish is None:  # equal files may come of other sources, too
                stage = stage.model_copy(update={"sure": False})
        stages.append(stage)
        if stage.verdict is not Verdict.REUSE and stage.verdict is not Verdict.ROLLOUT:
            above = stage
        before = now.head if now is not missing else None
    return tuple(stages)


def _step(
    facts: DataFacts, side: Side, wish: pure.StepWish, now: pure.StepSeen, above: Stage, before: str | None
) -> Stage:
    name, estimate = wish.step.name, of_step(now.job)
    if now.wish is None:
        return Stage(name=name, side=side, verdict=Verdict.RUN, reasons=(NEW,), key=wish.digest, estimate=NO_HISTORY)
    if now.wish != wish.digest:
        verdict, reasons = _changed(facts, wish)
        if verdict is Verdict.RUN or above.verdict not in WILL_CHANGE:
            cost = estimate if verdict is Verdict.RUN else NOTHING
            return Stage(name=name, side=side, verdict=verdict, reasons=reasons, key=wish.digest, estimate=cost)
    if above.verdict is Verdict.WAIT:
        why = f"{above.name} waits"
        return Stage(name=name, side=side, verdict=Verdict.WAIT, reasons=(why,), key=wish.digest)
    if above.verdict in WILL_CHANGE:
        why = f"{above.name} runs, so its input changes; files that did not change are not processed again"
        return Stage(
            name=name, side=side, verdict=Verdict.RUN, reasons=(why,), sure=False, key=wish.digest, estimate=estimate
        )
    if now.failure and now.input == before:
        why = f"it failed: {now.failure}"
        return Stage(name=name, side=side, verdict=Verdict.WAIT, reasons=(why,), key=wish.digest)
    if not now.done or now.input != before:
        why = "it is running already"
        return Stage(
            name=name, side=side, verdict=Verdict.RUN, reasons=(why,), sure=False, key=wish.digest, estimate=estimate
        )
    return Stage(name=name, side=side, verdict=Verdict.REUSE, reasons=_unchanged(facts, "key"), key=wish.digest)


def _changed(facts: DataFacts, wish: pure.StepWish) -> tuple[Verdict, tuple[str, ...]]:
    """Say why a step's pipeline is another one, and whether its output may be."""
    old = _wish_before(facts, wish.step.name)
    if old is None:
        return Verdict.RUN, ("its pipeline was made from another wish",)
    rules = [[c.model_dump(mode="json", by_alias=True, exclude_none=True) for c in w.checks] for w in (old, wish)]
    found = (*changes(_plain(old.step), _plain(wish.step)), *changes(rules[0], rules[1], "checks"))
    if (old.program, old.reads) == (wish.program, wish.reads) and found:
        return Verdict.ROLLOUT, (*few(found), "other workers, the same output: nothing is processed again")
    if old.reads != wish.reads:
        found = (*found, f"it reads {wish.reads or 'the input'} instead of {old.reads or 'the input'}")
    return Verdict.RUN, few(found) or (f"the built-in program {wish.step.uses} changed",)


def _plain(step: Step) -> Mapping[str, object]:
    plain: Mapping[str, object] = step.model_dump(mode="json", by_alias=True, exclude_none=True)
    return plain


def _wish_before(facts: DataFacts, step: str) -> pure.StepWish | None:
    """The step as it is stored, run by the programs there are now."""
    if facts.before is None or not all(s.uses in facts.seen.programs for s in facts.before.spec.steps if s.uses):
        return None
    return next((w for w in pure.wishes(facts.before.spec, facts.seen.programs) if w.step.name == step), None)


def _ahead(facts: DataFacts, stages: list[Stage]) -> DataAhead:
    """Give the dataset that comes out: by the very decision that will make it, where nothing has to run for it."""
    moving = next((s for s in stages if s.verdict in WILL_CHANGE), None)
    if moving is not None:
        return DataAhead(changes=True, because=f"{moving.name} runs: {moving.reasons[0]}")
    waiting = next((s for s in stages if s.verdict is Verdict.WAIT), None)
    if waiting is not None:
        return DataAhead(because=f"{waiting.label}: {waiting.reasons[0]}")
    status = pure.decide(_judgeable(facts), _as_rolled_out(facts)).status
    stalled = status.condition(ConditionType.STALLED)
    if stalled is not None:
        return DataAhead(because=stalled.message)
    replaced = any(s.verdict is Verdict.ROLLOUT for s in stages)
    if not facts.remembered:
        ready = status.condition(ConditionType.DATA_READY)
        if ready is None or ready.status != "True" or status.dataset is None:
            return DataAhead(changes=True, because="its dataset is being made")
        return DataAhead(_committed_again(status.dataset) if replaced else status.dataset)
    known = facts.wanted.status.dataset
    if known is not None and known.transform == pure.transform_digest(facts.wanted.spec, facts.seen.programs):
        return DataAhead(_committed_again(known) if replaced else known)
    return DataAhead(changes=True, because="its steps are other ones")


def _committed_again(dataset: Dataset) -> Dataset:
    """The same files in another commit: a pipeline that is replaced writes one."""
    sides = {side: getattr(dataset, side).model_copy(update={"commit": NEXT_COMMIT}) for side in Side}
    return dataset.model_copy(update={str(side): told for side, told in sides.items()})


def _judgeable(facts: DataFacts) -> DataPipeline:
    """Leave out the checks that need what was seen in the files, where only a status is remembered of them."""
    alone = facts.wanted.spec.model_copy(update={"pachyderm": ()})  # no dataset depends on what runs beside it
    wanted = facts.wanted.model_copy(update={"spec": alone})
    if not facts.remembered:
        return wanted
    kept = tuple(c for c in wanted.spec.checks if c.duplicates is None and c.schema_ is None)
    return wanted.model_copy(update={"spec": wanted.spec.model_copy(update={"checks": kept})})


def _as_rolled_out(facts: DataFacts) -> pure.Seen:
    """What will be seen once other workers are there, what nobody asks for is gone, and the report is kept."""
    wished = {w.step.name: w.digest for w in pure.wishes(facts.wanted.spec, facts.seen.programs)}
    steps = tuple(replace(s, wish=wished.get(s.step, s.wish)) for s in facts.seen.steps)
    return replace(facts.seen, steps=steps, strays=(), raws=(), sources=_at_hand(facts), shelf="")


def _at_hand(facts: DataFacts) -> tuple[pure.SourceSeen, ...]:
    digests = _digests(facts.wanted.spec.sources, facts.seen)
    return tuple(pure.SourceSeen(name, found) for name, found in digests.items())
