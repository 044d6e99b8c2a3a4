"""What an Experiment's decision stands on, and what it may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.release import ApprovalState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Archive, TrialStatus
    from cdl.api.v1alpha1.release import MergeRequestRef

    from .start import Start, StartSeen


class RunPhase(StrEnum):
    """What a run at the training engine is doing."""

    QUEUED = "Queued"
    RUNNING = "Running"
    PAUSED = "Paused"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def over(self) -> bool:
        """The run will not change any more."""
        return self in {RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.CANCELED}


@dataclass(frozen=True, slots=True)
class CheckpointSeen:
    """The best checkpoint of a run by its searcher's metric."""

    uuid: str
    uri: str
    trial: int
    metric: float
    hparams: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an evaluation run reported about one checkpoint."""

    metrics: Mapping[str, float]
    per_class: Mapping[str, Mapping[str, float]]
    files: Mapping[str, str]
    """sha256 of every file of the checkpoint, as the evaluator read them."""
    environment: Mapping[str, JsonValue]
    """Version of Python, of the packages that decide about figures, and under `lock` of everything installed."""
    raw: Mapping[str, JsonValue]
    """Everything reported, for the record."""
    per_group: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Between which values a metric lies in 95 of 100 cases."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """What an answer costs, and how large the model is: no metrics, for they differ from one time to the next."""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One run of this resource at the training engine."""

    key: str
    id: str
    phase: RunPhase
    started_at: datetime | None = None
    finished_at: datetime | None = None
    trials: tuple[TrialStatus, ...] = ()
    best: CheckpointSeen | None = None
    measurement: Measurement | None = None
    slot_seconds: float = 0
    seed: int | None = None
    """What its draws began with."""
    failure: str = ""
    """The last words of what failed."""
    looked_at: str = ""
    """Commit of the test side that it was given, if it evaluates."""


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """A Release of this model."""

    name: str
    version: int
    digest: str
    content: str
    """Digest of the members without git: a commit that changes none of them makes no new Release."""
    approval: ApprovalState
    approved_by: str = ""
    approved_at: datetime | None = None
    experiment: str = ""
    """Name of the Experiment it was written for."""
    void: Reason = Reason.REJECTED
    """Why its approval counts for nothing, where it does not."""
    standing: str = ""
    """What was decided about it, or why that counts for nothing, as a clause."""
    members: Mapping[str, JsonValue] = field(default_factory=dict)
    backed: MergeRequestRef | None = None
    """The merge request whose approval was signed as the decision, whether or not it counts any more."""

    @property
    def watched(self) -> bool:
        """It is approved by a merge request that was not merged then, so the approval may be taken back."""
        return self.approval is ApprovalState.APPROVED and self.backed is not None and self.backed.open

    @property
    def withdrawn(self) -> bool:
        """It was approved by a merge request that does not hold the approval any more."""
        return (
            self.approval is ApprovalState.VOID and self.void is Reason.APPROVAL_TAKEN_BACK and self.backed is not None
        )


@dataclass(frozen=True, slots=True)
class ProductionSeen:
    """The Release that answers for the model in this namespace."""

    release: str
    digest: str
    members: Mapping[str, JsonValue]
    config: Mapping[str, JsonValue] = field(default_factory=dict)
    """What its run was asked for."""
    report: Mapping[str, JsonValue] = field(default_factory=dict)
    """What its evaluation reported."""


@dataclass(frozen=True, slots=True)
class AdoptableSeen:
    """A Release of the same model, wherever it is, whose model may be taken instead of training it again."""

    namespace: str
    name: str
    digest: str
    members: Mapping[str, JsonValue]
    written_at: datetime | None = None
    shown: bool = False
    """The merge request of this resource's commit showed it."""


@dataclass(frozen=True, slots=True)
class AgreementSeen:
    """Somebody's approval of a merge request."""

    who: str
    sha: str
    """The head they agreed to."""
    known_as: frozenset[str] = frozenset()
    """User name, name and mail addresses."""
    rules: frozenset[str] = frozenset()
    """Approval rules of the project that count it."""
    levels: tuple[str, ...] = ()
    """What the person is in the project, the most last; whoever is a maintainer is a developer too."""


@dataclass(frozen=True, slots=True)
class ReviewSeen:
    """The merge request that brought the commit of a resource."""

    why: str = ""
    """Why there is none to go by, as a sentence; nothing else is known then."""
    lost: bool = False
    """The forge was asked and knows of no merge request that holds the commit."""
    project: str = ""
    number: int = 0
    url: str = ""
    sha: str = ""
    """Its head."""
    open: bool = False
    merged: bool = False
    agreements: tuple[AgreementSeen, ...] = ()
    authors: frozenset[str] = frozenset()
    """Who opened it and who wrote or made its commits."""
    shown: bool = False
    """It is the one that showed the Release in question, before it was merged."""
    stands_for: Mapping[str, str] = field(default_factory=dict)
    """Level or approval rule by the role it stands for; for any other role only the rule of that name does."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything a decision about an Experiment may depend on."""

    at: datetime
    dataset: Dataset | None = None
    waiting_for: str = ""
    """Why there is no dataset, in a few words."""
    runs: tuple[RunSeen, ...] = ()
    releases: tuple[ReleaseSeen, ...] = ()
    shelf: str = ""
    """What the address of every kept document begins with."""
    production: ProductionSeen | None = None
    """Looked for only where a gate compares with it; None: nothing answers."""
    looks_elsewhere: int = 0
    """How often other Experiments evaluated on the same test commit."""
    reports: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    """What evaluations reported whose Release may be taken instead of training, by the report's digest."""
    adoptable: tuple[AdoptableSeen, ...] = ()
    """Looked for only with `policy: MergeRequest`, and while nothing of this Experiment's own will do."""
    review: ReviewSeen | None = None
    """Looked at only with `policy: MergeRequest`, while a Release is undecided or its merge request not merged."""
    starts: tuple[StartSeen, ...] = ()
    """What `spec.warmStart.from` may mean, where it is asked for."""


@dataclass(frozen=True, slots=True)
class TrainWish:
    """A training run as it should be."""

    name: str
    config: Mapping[str, JsonValue]
    code: Archive
    repo: str
    commit: str
    evaluates: str = ""
    """Entrypoint of the evaluation; empty for training."""
    checkpoint: str = ""
    """uuid of the checkpoint that is evaluated."""
    start: Start | None = None
    """What training begins with; None: random weights."""


@dataclass(frozen=True, slots=True)
class StartRun:
    """Make sure a run called key exists."""

    key: str
    wish: TrainWish


@dataclass(frozen=True, slots=True)
class StopRun:
    """Make sure no run called key is active."""

    key: str


@dataclass(frozen=True, slots=True)
class WriteRelease:
    """Keep the documents, register the checkpoint and write the Release of these members."""

    model: str
    checkpoint: str
    digest: str
    members: Mapping[str, JsonValue]
    documents: tuple[JsonValue, ...] = ()
    """What members name by digest and address; kept in canonical form."""


@dataclass(frozen=True, slots=True)
class AdoptRelease:
    """Register the checkpoint of another Release and write one of these members."""

    model: str
    checkpoint: str
    digest: str
    members: Mapping[str, JsonValue]
    adopted: str
    """Namespace and name of the other one."""


@dataclass(frozen=True, slots=True)
class ApproveRelease:
    """Record a decision about exactly this digest."""

    release: str
    digest: str
    by: str
    at: datetime
    merge_request: MergeRequestRef | None = None
    """What backs it, where that is no policy."""


@dataclass(frozen=True, slots=True)
class WithdrawApproval:
    """Record that the merge request does not hold the approval of exactly this digest any more."""

    release: str
    digest: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ForgetRuns:
    """Remove everything this resource made at the training engine."""


Action = StartRun | StopRun | WriteRelease | AdoptRelease | ApproveRelease | WithdrawApproval | ForgetRuns
