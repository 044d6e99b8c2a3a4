"""Experiment: code + data + a Determined configuration, gates, approval and when to retrain."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from cdl.api.duration import Duration
from cdl.api.meta import Digest, Frozen, Name, Sha256, not_yet

from .datapipeline import Dataset
from .resource import Resource, Spec, Status


class DataRef(Frozen):
    """Which dataset to train on."""

    pipeline: Name | None = Field(None, description="The newest dataset version of this DataPipeline.")
    version: Annotated[Digest | None, not_yet(None)] = Field(None, description="One dataset version, pinned.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.pipeline is None:
            message = "data.pipeline is required: the name of a DataPipeline in the same namespace"
            raise ValueError(message)
        return self


class Archive(Frozen):
    """A packed folder of code, known by its bytes."""

    uri: str = Field(
        pattern=r"^(file:|https?://|s3://).+", description="Where it is; `cdl` packs a folder given as file:."
    )
    sha256: Sha256 | None = Field(None, description="Checksum of the packed bytes; filled in when a folder is packed.")


class ServeCode(Archive):
    """The code that answers predictions; changing it makes a new Release, not a new training run."""

    entrypoint: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="module:Class, the Seldon wrapper's contract."
    )


class Code(Frozen):
    """What trains, and what answers."""

    git: Annotated[JsonValue, not_yet(None)] = Field(None, description="A commit of a git repository.")
    archive: Archive | None = None
    serve: ServeCode | None = None

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.archive is None:
            message = "code.archive is required: the folder or archive that holds the training code"
            raise ValueError(message)
        return self


class WarmStart(Frozen):
    """Start from weights of an earlier version."""

    policy: Annotated[Literal["none", "weights", "freeze"], not_yet("none")] = "none"


class Gate(Frozen):
    """What the evaluation must show before a Release may exist."""

    metric: str = Field(min_length=1)
    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)
    against: Annotated[str | None, not_yet(None)] = None
    max_drop: Annotated[float | None, not_yet(None)] = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            message = "a gate needs min or max"
            raise ValueError(message)
        return self


class Evaluation(Frozen):
    """How the best checkpoint is measured on the test side."""

    entrypoint: str = Field("evaluate:evaluate", pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    gates: tuple[Gate, ...] = ()


class ModelRef(Frozen):
    """The model's name in the registry."""

    name: Name = Field(max_length=32, description="Its Releases are called <name>-1, <name>-2 and so on.")


class ApprovalPolicy(StrEnum):
    """Who lets a Release go on to production."""

    MANUAL = "Manual"
    MERGE_REQUEST = "MergeRequest"
    AUTOMATIC = "Automatic"


class Approval(Frozen):
    """Who may approve."""

    policy: Annotated[ApprovalPolicy, not_yet(ApprovalPolicy.MANUAL, ApprovalPolicy.AUTOMATIC)] = ApprovalPolicy.MANUAL
    role: str = "validator"


class Retrain(Frozen):
    """When to train again."""

    on_data: bool = Field(True, description="A new dataset version starts a new run.")
    schedule: Annotated[str, not_yet("")] = ""
    on_drift: Annotated[bool, not_yet(False)] = False
    min_interval: Annotated[Duration, not_yet("0s")] = "0s"


class Budget(Frozen):
    """What one run may cost; past it the run is stopped."""

    max_duration: Duration | None = None
    max_slot_hours: float | None = Field(None, gt=0)


class ExperimentSpec(Spec):
    """What should be trained, measured and released."""

    data: DataRef
    code: Code
    config: dict[str, JsonValue] = Field(description="A Determined experiment configuration, as it is.")
    warm_start: WarmStart = WarmStart()
    evaluation: Evaluation = Evaluation()
    model: ModelRef
    approval: Approval = Approval()
    retrain: Retrain = Retrain()
    budget: Budget = Budget()


class RunStatus(Frozen):
    """The run of this wish at the training engine."""

    key: str
    id: str = ""
    state: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class TrialCounts(Frozen):
    """Trials by what became of them."""

    total: int = 0
    running: int = 0
    completed: int = 0
    stopped: int = 0
    failed: int = 0


class TrialStatus(Frozen):
    """One trial, as a row of the table people read."""

    id: int
    state: str
    hparams: dict[str, JsonValue] = Field(default_factory=dict)
    metric: float | None = None
    steps: int = 0
    stopped_early: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None


class BestTrial(Frozen):
    """The trial that won."""

    id: int
    metric: float
    hparams: dict[str, JsonValue] = Field(default_factory=dict)


class CheckpointStatus(Frozen):
    """The checkpoint that won."""

    uuid: str
    sha256: Digest


class GateStatus(Frozen):
    """One gate and how it went."""

    metric: str
    value: float | None = None
    min: float | None = None
    max: float | None = None
    passed: bool


class EvaluationStatus(Frozen):
    """What the test side showed."""

    run: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    per_class: dict[str, dict[str, float]] = Field(default_factory=dict)
    against: str = ""
    gates: tuple[GateStatus, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Cost(Frozen):
    """What the run used."""

    slot_seconds: float = 0


class ExperimentStatus(Status):
    """What was trained, measured and released."""

    data: Dataset | None = Field(None, description="The dataset version this wish is about.")
    run: RunStatus | None = None
    trials: TrialCounts = TrialCounts()
    trial_table: tuple[TrialStatus, ...] = ()
    best_trial: BestTrial | None = None
    checkpoint: CheckpointStatus | None = None
    evaluation: EvaluationStatus | None = None
    model_version: int | None = None
    release: str = ""
    cost: Cost = Cost()


class Experiment(Resource):
    """A search for a model, and the gate it has to pass."""

    kind: Literal["Experiment"] = "Experiment"
    spec: ExperimentSpec
    status: ExperimentStatus = ExperimentStatus()
