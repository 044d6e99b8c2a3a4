"""How an Experiment is looked at and acted upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import canonical
from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import PROJECT_ANNOTATION, REVISION_ANNOTATION, Metadata
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.experiment import ExperimentStatus
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, ReleaseSpec
from cdl.ports.errors import Rejected
from cdl.reconcile import experiment as pure
from cdl.reconcile.experiment import withdraw
from cdl.reconcile.experiment.beginning import begins
from cdl.reconcile.experiment.members import DOCUMENT
from cdl.reconcile.experiment.seen import WithdrawApproval
from cdl.reconcile.release import APPROVAL_EXPIRES, APPROVAL_ROLE, REASON, VALIDATOR, counting, sentence

from .compared import with_compared
from .controller import Controller, Engines
from .listing import files_kept
from .release import record_approval, withdraw_approval
from .review import with_others
from .starts import starts

if TYPE_CHECKING:
    from datetime import datetime

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.ports.resources import ResourceStore

Experiments = Controller[Experiment, pure.Seen, ExperimentStatus, pure.Action]

DOCUMENT_ANNOTATION = "cdl.dev/document"
"""Where a Release's document lies, on the Release."""
MODEL_LABEL = "cdl.dev/model"
EXPERIMENT_LABEL = "cdl.dev/experiment"


def controller(engines: Engines) -> Experiments:
    """Wire the kind to its engines."""

    def look(resource: Experiment, at: datetime) -> pure.Seen:
        dataset, waiting_for = _dataset(engines.resources, resource)
        releases = engines.resources.list(Release, resource.metadata.namespace)
        seen = pure.Seen(
            at=at,
            dataset=dataset,
            waiting_for=waiting_for,
            runs=engines.training.look(resource.key),
            releases=tuple(_seen(r, at) for r in releases if r.spec.model == resource.spec.model.name),
            shelf=engines.artifacts.shelf,
            starts=starts(engines, resource, releases, at),
        )
        resource = begins(resource, seen)
        seen = with_others(engines, resource, with_compared(engines, resource, seen))
        return with_compared(engines, resource, seen)

    def act(resource: Experiment, action: pure.Action) -> None:
        match action:
            case pure.StartRun(key, wish):
                engines.training.start(resource.key, key, wish)
            case pure.StopRun(key):
                engines.training.stop(resource.key, key)
            case pure.WriteRelease():
                for part in action.documents:
                    engines.artifacts.keep(canonical(part), DOCUMENT)
                write_release(engines, resource, action)
            case pure.AdoptRelease():  # its documents are kept already
                write_release(engines, resource, action)
            case pure.ApproveRelease(release, digest, by, at, request):
                approved = ApprovalState.APPROVED
                approval = ApprovalStatus(state=approved, by=by, at=at, digest=digest, merge_request=request)
                record_approval(engines, resource.metadata.namespace, release, approval)
            case WithdrawApproval(release, digest, why, at):
                withdraw_approval(engines, resource.metadata.namespace, release, digest, why, at)
            case pure.ForgetRuns():
                engines.training.forget(resource.key)

    return Controller(Experiment, look, withdraw.decide, act, lambda resource: resource.status, engines.training.forget)


def write_release(engines: Engines, resource: Experiment, action: pure.WriteRelease | pure.AdoptRelease) -> None:
    """Register the checkpoint, keep the document, create the resource: each a no-op when it is done already.

    Raises:
        Rejected: a Release of that number exists with other members, so registry and resources disagree.
    """
    version = engines.training.register(resource.metadata.namespace, action.model, action.checkpoint, action.digest)
    spec = ReleaseSpec(model=action.model, version=version, digest=action.digest, members=dict(action.members))
    document = engines.artifacts.keep(canonical(spec.model_dump(mode="json", by_alias=True)), DOCUMENT)
    beside = {DOCUMENT_ANNOTATION: document, **files_kept(engines, resource.metadata.namespace, action.members)}
    release = Release(
        metadata=Metadata(
            name=f"{action.model}-{version}",
            namespace=resource.metadata.namespace,
            labels={MODEL_LABEL: action.model, EXPERIMENT_LABEL: resource.metadata.name},
            annotations={**beside, **_origin(resource), **_asked_of_an_approval(resource)},
        ),
        spec=spec,
    )
    there = engines.resources.create(release)
    if there.spec.digest != action.digest:
        message = f"Release {release.metadata.name} exists with digest {there.spec.digest}, not {action.digest}"
        raise Rejected(message)


def _dataset(store: ResourceStore, resource: Experiment) -> tuple[Dataset | None, str]:
    name = resource.spec.data.pipeline or ""
    pipeline = store.get(DataPipeline, resource.metadata.namespace, name)
    if pipeline is None:
        return None, "there is no such DataPipeline"
    ready = pipeline.status.condition(ConditionType.READY)
    if ready is None or pipeline.status.observed_generation != pipeline.metadata.generation:
        return None, "it was not looked at yet"
    if ready.status != "True" or pipeline.status.dataset is None:
        return None, f"{ready.reason}: {ready.message}"
    return pipeline.status.dataset, ""


def _seen(release: Release, at: datetime) -> pure.ReleaseSeen:
    approval, spec = counting(release, at), release.spec
    return pure.ReleaseSeen(
        name=release.metadata.name,
        version=spec.version,
        digest=spec.digest,
        content=pure.content_digest(spec.members),
        approval=approval.state,
        approved_by=approval.by,
        approved_at=approval.at,
        experiment=release.metadata.labels.get(EXPERIMENT_LABEL, ""),
        void=REASON[approval.voided] if approval.voided is not None else Reason.REJECTED,
        standing=sentence(release, approval),
        members=spec.members,
        backed=approval.merge_request if approval.attestation else None,
    )


def _asked_of_an_approval(resource: Experiment) -> dict[str, str]:
    """What the Experiment asks of a decision, kept on the Release: who decides asks no Experiment."""
    wanted = resource.spec.approval
    role = {APPROVAL_ROLE: wanted.role} if wanted.role != VALIDATOR else {}
    return role | ({APPROVAL_EXPIRES: wanted.expires} if wanted.expires is not None else {})


def _origin(resource: Experiment) -> dict[str, str]:
    """Which commit of which project it came with."""
    meta = resource.metadata
    said = {REVISION_ANNOTATION: meta.revision, PROJECT_ANNOTATION: meta.project}
    return {name: value for name, value in said.items() if value}
