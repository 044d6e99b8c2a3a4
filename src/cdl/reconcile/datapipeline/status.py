"""The one status of a DataPipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.v1alpha1.datapipeline import (
    DataPipelineStatus,
    Dataset,
    LabelStoreStatus,
    RejectedStatus,
    RepoStatus,
    Side,
)
from cdl.reconcile.decision import SOON, Decision, until
from cdl.reconcile.summary import remembered, settled

from .asking import labelling_told, labels_ready
from .raw import told
from .timetable import times

if TYPE_CHECKING:
    from datetime import timedelta

    from cdl.api.v1alpha1.datapipeline import DataPipeline

    from .actions import Action
    from .reported import Checked
    from .seen import Seen


def say(
    resource: DataPipeline,
    seen: Seen,
    condition: Condition,
    actions: tuple[Action, ...] = (),
    wait: timedelta | None = None,
    trouble: Condition | None = None,
    dataset: Dataset | None = None,
    checked: Checked | None = None,
) -> Decision[DataPipelineStatus, Action]:
    """Put the status together; the last good dataset stays in it while a new one is being made."""
    old = resource.status
    conditions = tuple(c for c in (trouble, condition) if c is not None)
    if condition.type is not ConditionType.DATA_READY:
        kept = old.condition(ConditionType.DATA_READY)
        conditions += (kept,) if kept is not None else ()
    labelled = labels_ready(resource, seen) if condition.type is not ConditionType.LABELS_READY else None
    conditions += (labelled,) if labelled is not None else ()
    current = dataset or old.dataset
    made = dataset is not None and (old.dataset is None or old.dataset.version != dataset.version)
    history = (
        remembered(old.history, seen.at, "dataset", resource.metadata.revision, dataset.version)
        if made and dataset
        else old.history
    )
    collected_for, next_fetch_at = times(resource, seen)
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
        rejected=rejected_of(seen),
        checked=checked.status if checked else old.checked,
        fields=checked.fields if checked and dataset else old.fields,
        fields_before=old.fields if made else old.fields_before,
        dataset=current,
        label_store=_label_store(seen),
        labelling=labelling_told(resource, seen),
        pipelines=told(resource, seen.raws),
        collected_for=collected_for,
        next_fetch_at=next_fetch_at,
    )
    going_on = any(c.type is ConditionType.RECONCILING for c in conditions)
    return Decision(
        status, actions, (wait or SOON) if going_on else until(next_fetch_at, seen.at, resource.spec.interval)
    )


def _label_store(seen: Seen) -> LabelStoreStatus | None:
    found = seen.labels
    return LabelStoreStatus(version=found.newest or None, trouble=found.trouble) if found is not None else None


def _success(dataset: Dataset | None, seen: Seen) -> str:
    if dataset is None:
        return ""
    rejected = rejected_of(seen).total
    dropped = f", {rejected} rejected" if rejected else ""
    files = f"{dataset.train.files} train and {dataset.test.files} test files"
    owners = {step.taken.partition("/")[0] for step in seen.steps if step.taken}
    taken = f", taken over from {', '.join(sorted(owners))}" if owners and all(s.taken for s in seen.steps) else ""
    return f"dataset {dataset.version[7:19]}: {files}{dropped}{taken}"


def rejected_of(seen: Seen) -> RejectedStatus:
    """Add up what the steps refused, by the check's name."""
    reasons: dict[str, int] = {}
    for step in seen.steps:
        for reason, count in step.report.rejected.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return RejectedStatus(total=sum(reasons.values()), by_reason=dict(sorted(reasons.items())))
