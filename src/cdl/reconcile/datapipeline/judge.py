"""All steps are done: is the dataset as the checks want it?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.datapipeline import Dataset, LabelStatus, Side, SideStatus
from cdl.reconcile.decision import Appointment
from cdl.reconcile.summary import busy, fact, stalled

from .actions import KeepLabels, KeepReport, RemoveStray
from .raw import beside
from .reported import broken_checks, checked
from .status import say
from .wishes import transform_digest

if TYPE_CHECKING:
    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.datapipeline import DataPipeline, DataPipelineSpec, DataPipelineStatus
    from cdl.reconcile.decision import Decision

    from .actions import Action
    from .reported import Checked
    from .seen import Seen

    Said = Decision[DataPipelineStatus, Action]

STORE_AGAIN = Appointment(minutes=1)
"""When a label store is tried again that does not answer."""


def judge(resource: DataPipeline, seen: Seen) -> Decision[DataPipelineStatus, Action]:
    """Make the dataset, or say which check it breaks; either way the report is kept first."""
    unusable = next((f"{m.side} side: {m.label_fault}" for m in seen.manifests if m.label_fault), "")
    if unusable:
        condition = fact(ConditionType.DATA_READY, holds=False, reason=Reason.LABELS_UNUSABLE, message=unusable)
        return say(resource, seen, condition, trouble=stalled(Reason.LABELS_UNUSABLE, unusable))
    made = _dataset(resource.spec, seen)
    broken = broken_checks(resource, seen, made.version)
    fatal = [sentence for check, sentence in broken if check.on_fail != "warn"]
    last = resource.status.dataset if fatal else None  # a dataset that will not be replaced keeps its files
    read = frozenset(repo for raw in seen.raws for repo in raw.reads)
    needless = _needless(seen, seen.pinned | read | ({last.train.repo, last.test.repo} if last else set()))
    if needless:
        doing = busy(Reason.TRANSFORMING, f"removing {', '.join(needless)}: no step asks for it any more")
        return say(resource, seen, doing, tuple(RemoveStray(name) for name in needless))
    report = checked(resource, seen, made.version)
    if report.status is not None and not {report.status.page, report.status.document} <= seen.kept:
        doing = busy(Reason.TRANSFORMING, "keeping the report of the checks")
        return say(resource, seen, doing, (KeepReport(report.document, report.page),), checked=report)
    if fatal:
        condition = fact(ConditionType.DATA_READY, holds=False, reason=Reason.CHECKS_FAILED, message=fatal[0])
        trouble = stalled(Reason.CHECKS_FAILED, fatal[0])
        return say(resource, seen, condition, trouble=trouble, checked=report)
    warned = "; ".join(sentence for _, sentence in broken)
    condition = fact(ConditionType.DATA_READY, holds=True, reason=Reason.DATASET_READY, message=warned)
    return _with_labels(resource, seen, _with_raws(resource, seen, condition, made, report), made)


def is_refused(resource: DataPipeline, seen: Seen) -> bool:
    """The data break a check that no label mends."""
    if any(m.label_fault for m in seen.manifests):
        return False
    broken = broken_checks(resource, seen, _dataset(resource.spec, seen).version)
    return any(check.on_fail != "warn" for check, _ in broken)


def _with_labels(resource: DataPipeline, seen: Seen, said: Said, made: Dataset) -> Said:
    """Put the labels of a dataset into the label store; what becomes of that never keeps the dataset waiting."""
    if seen.labels is None or seen.labels.newest == made.version:
        return said
    keep = KeepLabels(made, resource.spec.labels, seen.at)
    again = min(wait for wait in (said.look_again_after, STORE_AGAIN) if wait is not None)
    return replace(said, actions=(*said.actions, keep), look_again_after=again)


def _with_raws(resource: DataPipeline, seen: Seen, condition: Condition, made: Dataset, report: Checked) -> Said:
    """Publish the dataset first: whatever becomes of the pipelines beside it never keeps it waiting."""
    known = resource.status.dataset
    raw = beside(resource, seen.raws, seen.pinned, published=known is not None and known.version == made.version)
    return say(resource, seen, condition, raw.actions, raw.wait, raw.trouble, made, report)


def _needless(seen: Seen, needed: frozenset[str]) -> tuple[str, ...]:
    """Strays whose output nobody needs, each before those it reads; one that stays keeps what it reads."""
    gone: list[str] = []
    for stray in seen.strays:
        if stray.name in needed:
            needed |= {stray.reads}
        else:
            gone.append(stray.name)
    return tuple(gone)


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
