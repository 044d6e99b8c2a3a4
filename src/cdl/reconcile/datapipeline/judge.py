"""All steps are done: is the dataset as the checks want it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.datapipeline import Dataset, LabelStatus, Side, SideStatus
from cdl.reconcile.summary import busy, fact, stalled

from .actions import RemoveStray
from .status import rejected_of, say
from .wishes import transform_digest

if TYPE_CHECKING:
    from cdl.api.v1alpha1.datapipeline import Check, DataPipeline, DataPipelineSpec, DataPipelineStatus
    from cdl.reconcile.decision import Decision

    from .actions import Action
    from .seen import Seen


def judge(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action]:
    """All steps are done: is the dataset as the checks want it?"""
    rows = sum(_rows(seen, side) for side in Side)
    rejected = rejected_of(seen).total
    broken = [
        (check, sentence) for check in resource.spec.checks if (sentence := _breaks(check, rows, rejected)) is not None
    ]
    fatal = [sentence for check, sentence in broken if check.on_fail != "warn"]
    last = resource.status.dataset if fatal else None  # a dataset that will not be replaced keeps its files
    needless = _needless(seen, seen.pinned | ({last.train.repo, last.test.repo} if last else set()))
    if needless:
        doing = busy(Reason.TRANSFORMING, f"removing {', '.join(needless)}: no step asks for it any more")
        return say(resource, seen, doing, tuple(RemoveStray(name) for name in needless))
    if fatal:
        condition = fact(ConditionType.DATA_READY, holds=False, reason=Reason.CHECKS_FAILED, message=fatal[0])
        return say(resource, seen, condition, (), None, stalled(Reason.CHECKS_FAILED, fatal[0]))
    warned = "; ".join(sentence for _, sentence in broken)
    condition = fact(ConditionType.DATA_READY, holds=True, reason=Reason.DATASET_READY, message=warned)
    return say(resource, seen, condition, dataset=_dataset(resource.spec, seen))


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
