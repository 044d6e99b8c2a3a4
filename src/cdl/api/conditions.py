"""What a resource says of itself: closed lists of condition types and reasons.

`Ready` is the summary and is worked out by one table in `cdl.reconcile.summary`. `Reconciling` and `Stalled`
are abnormal-true, as kstatus readers (Flux, kubectl, Argo CD's rules) expect: present only while they hold.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from .meta import Frozen


class ConditionType(StrEnum):
    """The questions a condition answers."""

    READY = "Ready"
    """The resource is what its spec asks for."""
    RECONCILING = "Reconciling"
    """Work is going on or waited for; time will change this."""
    STALLED = "Stalled"
    """A person must act; time alone will not change this."""
    DATA_READY = "DataReady"
    """A dataset version exists and passes its checks."""
    LABELS_READY = "LabelsReady"
    """People have labelled as many items as `labels.labelStudio.minLabels` asks for."""
    TRAINED = "Trained"
    """The run of this wish ended with a checkpoint."""
    GATES_PASSED = "GatesPassed"
    """The evaluation on the test side meets every gate."""
    RELEASED = "Released"
    """A Release exists for this wish."""
    APPROVED = "Approved"
    """The Release was approved by somebody allowed to."""
    VERIFIED = "Verified"
    """Every member of the Release is still there, and still what its digest says."""
    SERVING = "Serving"
    """The approved Release answers predictions."""


class Reason(StrEnum):
    """Why a condition is what it is: a fact, in CamelCase, listed in the reference page."""

    SUCCEEDED = "Succeeded"
    """The spec is true of the world."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is true: nothing is done until it is false."""
    INVALID_SPEC = "InvalidSpec"
    """The spec cannot be read; the message names the field."""
    ENGINE_UNAVAILABLE = "EngineUnavailable"
    """An engine does not answer; cdl tries again."""
    ENGINE_REFUSED = "EngineRefused"
    """An engine answered that the request is wrong; the message is its own."""
    NOT_PERMITTED = "NotPermitted"
    """An engine knows us and says no; credentials or roles must change."""
    INTERNAL_FAULT = "InternalFault"
    """A defect of cdl; it tries again and the log has the traceback."""
    DELETING = "Deleting"
    """The resource is going away; its engine objects go first."""
    PINNED_BY_RELEASE = "PinnedByRelease"
    """The resource was deleted and stays: Releases, which the message names, need what it holds."""
    FETCHING_SOURCES = "FetchingSources"
    """Sources are being fetched and checked."""
    SOURCE_UNUSABLE = "SourceUnusable"
    """A source is missing, damaged or has the wrong checksum."""
    INGESTING = "Ingesting"
    """Files are being written to the data engine."""
    WAITING_FOR_DATA = "WaitingForData"
    """No data has arrived yet, or the pipeline it comes from is not ready."""
    WAITING_FOR_WEIGHTS = "WaitingForWeights"
    """What `spec.warmStart.from` names is not there, not approved or rejected; the message says which."""
    TRANSFORMING = "Transforming"
    """Steps are running over the data."""
    STEP_FAILED = "StepFailed"
    """A step of the pipeline failed on some datum."""
    CHECKS_FAILED = "ChecksFailed"
    """The dataset breaks a check with `onFail: fail`."""
    LABELS_UNUSABLE = "LabelsUnusable"
    """The tables that hold the labels do not say one label for each item; the message names the row."""
    WAITING_FOR_LABELS = "WaitingForLabels"
    """People in Label Studio have not labelled enough items yet; the message says how many are missing."""
    ENOUGH_LABELS = "EnoughLabels"
    """People have labelled enough items."""
    DATASET_READY = "DatasetReady"
    """A dataset version was made."""
    STARTING = "Starting"
    """The run was asked for."""
    QUEUED = "Queued"
    """The run waits for a slot."""
    TRAINING = "Training"
    """Trials are running."""
    RUN_FAILED = "RunFailed"
    """The run ended in error; the message has the trial's last words."""
    RUN_CANCELED = "RunCanceled"
    """Somebody canceled the run at the engine."""
    NO_CHECKPOINT = "NoCheckpoint"
    """The run ended without a checkpoint that has the searcher's metric."""
    OVER_BUDGET = "OverBudget"
    """The run used more than `spec.budget` allows and was stopped."""
    TRAINING_DONE = "TrainingDone"
    """The best checkpoint is known."""
    ADOPTED = "Adopted"
    """Nothing was trained: another Release was made from exactly this, and its model is taken; the message names it."""
    EVALUATING = "Evaluating"
    """The best checkpoint is being measured on the test side."""
    EVALUATION_FAILED = "EvaluationFailed"
    """The evaluation program ended in error."""
    BELOW_GATE = "BelowGate"
    """A gate was not met; the message says which and by how much."""
    NO_METRIC = "NoMetric"
    """A gate names a metric that the evaluation did not report."""
    GATES_MET = "GatesMet"
    """Every gate was met."""
    RELEASING = "Releasing"
    """The Release is being written."""
    RELEASE_WRITTEN = "ReleaseWritten"
    """The Release exists."""
    STOPPING_RUNS = "StoppingRuns"
    """Runs of earlier wishes are being stopped."""
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    """A person has to approve the Release."""
    APPROVED_BY_POLICY = "ApprovedByPolicy"
    """`approval.policy: Automatic` approved it once its gates were met."""
    APPROVED_BY_PERSON = "ApprovedByPerson"
    """A person approved it, or the merge request that it came with."""
    REJECTED = "Rejected"
    """A person rejected it."""
    AUTHOR_MAY_NOT_APPROVE = "AuthorMayNotApprove"
    """Who wrote or applied it approved it, which counts for nothing; another person must."""
    APPROVAL_EXPIRED = "ApprovalExpired"
    """The approval was good until a time that is over; nothing new is rolled out with it."""
    APPROVAL_TAKEN_BACK = "ApprovalTakenBack"
    """The note of the decision is gone from the Release, or is somebody else's."""
    MEMBER_CHANGED = "MemberChanged"
    """A member of the Release is not any more what was released; no approval is about it."""
    MEMBER_MISSING = "MemberMissing"
    """A member of the Release is not there any more."""
    WAITING_FOR_RELEASE = "WaitingForRelease"
    """No approved Release of the model exists yet."""
    NO_SUCH_VERSION = "NoSuchVersion"
    """The pinned version of the model does not exist."""
    NOT_APPROVED = "NotApproved"
    """The pinned version of the model is not approved, or what was served is not approved any more."""
    DEPLOYING = "Deploying"
    """The serving engine is bringing the Release up."""
    DEPLOYMENT_FAILED = "DeploymentFailed"
    """The serving engine gave up on the Release; the message is its own."""
    AVAILABLE = "Available"
    """The Release answers."""


class Condition(Frozen):
    """One answer, with the generation it was given for."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"] = Field(description="The answer.")
    reason: Reason
    message: str = Field("", description="One sentence for people.")
    last_transition_time: datetime | None = Field(None, description="When the answer last changed.")
    observed_generation: int = Field(0, description="The spec's generation it is about.")
