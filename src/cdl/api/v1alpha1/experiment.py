"""Experiment: code + data + a Determined configuration, gates, approval and when to retrain."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from cdl.api.canonical import canonical
from cdl.api.duration import Duration
from cdl.api.meta import Digest, Frozen, ModelName, Name, Sha256, not_yet
from cdl.api.rules import (
    CODE_FROM_ARCHIVE,
    DATA_FROM_PIPELINE,
    DROP_IS_AGAINST,
    GATE_IS_BOUNDED,
    GATE_IS_OF_ONE,
)
from cdl.api.schedule import Schedule

from .datapipeline import Dataset
from .resource import Resource, Spec, Status
from .warmstart import WarmPolicy, WarmStart, WarmStartStatus


class DataRef(Frozen):
    """Which dataset to train on."""

    pipeline: Name | None = Field(None, description="The newest dataset version of this DataPipeline.")
    version: Annotated[Digest | None, not_yet(None)] = Field(None, description="One dataset version, pinned.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.pipeline is None:
            raise DATA_FROM_PIPELINE.refusal()
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
            raise CODE_FROM_ARCHIVE.refusal()
        return self


class Gate(Frozen):
    """What the evaluation must show before a Release may exist."""

    metric: str = Field(min_length=1, description="A metric that the evaluation reports, or a cost as size_bytes.")
    of_class: str = Field(
        "", alias="class", max_length=200, description="The metric of this class; *: of each. Empty: of all items."
    )
    group: str = Field(
        "",
        max_length=200,
        description="The metric of the items of this group, as name=value; name=*: of each value, *: of each group.",
    )
    min: float | None = Field(None, allow_inf_nan=False, description="Least value that passes.")
    max: float | None = Field(None, allow_inf_nan=False, description="Greatest value that passes.")
    against: Literal["production"] | None = Field(
        None,
        description="Compare with the Release that answers, item by item on the same test commit: what is worse by "
        "more than chance does not pass.",
    )
    max_drop: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="With against: the most that may be lost. It must be shown: the 95 % interval of the difference "
        "may not reach below it.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        bounds = self.min is not None or self.max is not None
        if bounds == (self.against is not None):
            raise GATE_IS_BOUNDED.refusal()
        if self.max_drop is not None and self.against is None:
            raise DROP_IS_AGAINST.refusal()
        if self.of_class and self.group:
            raise GATE_IS_OF_ONE.refusal()
        return self


class Evaluation(Frozen):
    """How the best checkpoint is measured on the test side."""

    entrypoint: str = Field(
        "evaluate:evaluate",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="module:function in the code, called with a checkpoint and the test side.",
    )
    gates: tuple[Gate, ...] = Field((), max_length=100, description="All of them must be met.")


class ModelRef(Frozen):
    """The model's name in the registry."""

    name: ModelName = Field(description="Its Releases are called <name>-1, <name>-2 and so on.")


VALIDATOR = "validator"
"""Who decides where an Experiment names nobody else."""


class ApprovalPolicy(StrEnum):
    """Who lets a Release go on to production."""

    MANUAL = "Manual"
    MERGE_REQUEST = "MergeRequest"
    AUTOMATIC = "Automatic"


class Approval(Frozen):
    """Who may approve."""

    policy: ApprovalPolicy = Field(
        ApprovalPolicy.MANUAL,
        description="Manual: a person decides with `cdl approve`. MergeRequest: who approves the merge request of this "
        "commit approves the Release. Automatic: whatever passes the gates is approved.",
    )
    role: str = Field(
        VALIDATOR,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=40,
        description="Who decides: in a cluster whoever has the verb `approve` on Releases and, for any role but "
        "validator, `approve-as-<role>` too. With MergeRequest the approval rule of that name, or who stands for it.",
    )
    expires: Duration | None = Field(
        None, max_length=40, description="How long an approval is good; afterwards nothing new is rolled out with it."
    )


class Retrain(Frozen):
    """When to train again."""

    on_data: bool = Field(True, description="A new dataset version starts a new run.")
    schedule: Schedule = Field(
        "",
        max_length=100,
        description="When to train again although nothing changed, in UTC: a cron expression of five fields, @hourly, "
        "@daily, @weekly, @monthly, @yearly, or @every with a time as in 90s or 1h30m.",
    )
    on_drift: Annotated[bool, not_yet(False)] = Field(False, description="Drift that serving saw starts a new run.")
    min_interval: Duration = Field(
        "0s",
        max_length=40,
        description="Least time from the beginning of a run to the next one that new data or the clock ask for.",
    )


class Budget(Frozen):
    """What one run may cost; past it the run is stopped."""

    max_duration: Duration | None = Field(None, description="Longest time the run may take.")
    max_slot_hours: float | None = Field(None, gt=0, description="Most slot hours the run may use.")


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

    @field_validator("config")
    @classmethod
    def _plain_json(cls, config: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """A run's key is a digest of this; what has no canonical form cannot have a key."""
        canonical(config)
        return config

    @model_validator(mode="after")
    def _begins_once(self) -> Self:
        searcher = self.config.get("searcher")
        if self.warm_start.policy is WarmPolicy.NONE or not isinstance(searcher, dict):
            return self
        given = next((name for name in ("source_checkpoint_uuid", "source_trial_id") if searcher.get(name)), None)
        if given is not None:
            message = f"config.searcher.{given} and warmStart both say what to begin with; give one of them"
            raise ValueError(message)
        return self


class RunStatus(Frozen):
    """The run of this wish at the training engine."""

    key: str = Field(description="Digest of the wish: same code, configuration and data, same run.")
    id: str = Field("", description="The engine's name of the run.")
    state: str = Field("", description="What it is doing.")
    started_at: datetime | None = Field(None, description="When it began.")
    finished_at: datetime | None = Field(None, description="When it ended.")


class TrialCounts(Frozen):
    """Trials by what became of them."""

    total: int = Field(0, description="All trials.")
    running: int = Field(0, description="Not ended yet.")
    completed: int = Field(0, description="Ran to their end.")
    stopped: int = Field(0, description="Ended early by the searcher.")
    failed: int = Field(0, description="Ended in error or were canceled.")


class TrialStatus(Frozen):
    """One trial, as a row of the table people read."""

    id: int = Field(description="The engine's name of the trial.")
    state: str = Field(description="What it is doing.")
    hparams: dict[str, JsonValue] = Field(default_factory=dict, description="Its hyperparameters.")
    metric: float | None = Field(None, description="Best value of the searcher's metric.")
    steps: int = Field(0, description="Batches trained.")
    stopped_early: bool = Field(False, description="The searcher ended it.")
    started_at: datetime | None = Field(None, description="When it began.")
    finished_at: datetime | None = Field(None, description="When it ended.")


class BestTrial(Frozen):
    """The trial that won."""

    id: int = Field(description="The engine's name of the trial.")
    metric: float = Field(description="Its best value of the searcher's metric.")
    hparams: dict[str, JsonValue] = Field(default_factory=dict, description="Its hyperparameters.")


class CheckpointStatus(Frozen):
    """The checkpoint that won."""

    uuid: str = Field(description="The engine's name of the checkpoint.")
    sha256: Digest = Field(description="Digest of its files.")


class GateStatus(Frozen):
    """One gate and how it went."""

    metric: str = Field(description="The metric.")
    of_class: str = Field("", alias="class", description="The class it is of.")
    group: str = Field("", description="The group it is of.")
    value: float | None = Field(None, description="What the evaluation found; absent when it reported no such metric.")
    min: float | None = Field(None, description="Least value that passes.")
    max: float | None = Field(None, description="Greatest value that passes.")
    against: str = Field("", description="The Release compared with.")
    max_drop: float | None = Field(None, description="The most that may be lost against it.")
    production: float | None = Field(None, description="What the same items showed of it.")
    interval: tuple[float, ...] = Field(
        (), max_length=2, description="Between these the true difference lies in 95 of 100 cases."
    )
    p: float | None = Field(None, description="Probability of so large a difference by chance alone.")
    words: str = Field("", description="Why it went so, where figures do not say it all.")
    passed: bool = Field(description="The gate was met.")

    @classmethod
    def kept(cls, rows: object) -> tuple[GateStatus, ...]:
        """Read what a Release's members say; what they say in other words than today's is left out."""
        found = []
        for row in rows if isinstance(rows, list) else ():
            with suppress(ValueError):
                found.append(cls.model_validate(row))
        return tuple(found)

    @property
    def about(self) -> str:
        """What it judges, in a few words."""
        of = f" of class {self.of_class}" if self.of_class else f" of group {self.group}" if self.group else ""
        return f"{self.metric}{of}{' against production' if self.against else ''}"


class EvaluationStatus(Frozen):
    """What the test side showed."""

    run: str = Field("", description="The engine's name of the evaluation.")
    metrics: dict[str, float] = Field(default_factory=dict, description="Metrics on the test side.")
    intervals: dict[str, tuple[float, ...]] = Field(
        default_factory=dict, description="Between which values each lies in 95 of 100 cases."
    )
    per_class: dict[str, dict[str, float]] = Field(default_factory=dict, description="Metrics of each class.")
    per_group: dict[str, dict[str, float]] = Field(default_factory=dict, description="Metrics of each group of items.")
    costs: dict[str, float] = Field(default_factory=dict, description="What an answer costs, and the model's size.")
    against: str = Field("", description="The version compared with.")
    looks: int | None = Field(
        None, description="How often Experiments of the namespace evaluated on this test commit, this time included."
    )
    own_looks: int | None = Field(None, description="How often this Experiment did.")
    gates: tuple[GateStatus, ...] = Field((), description="How each gate went.")
    started_at: datetime | None = Field(None, description="When it began.")
    finished_at: datetime | None = Field(None, description="When it ended.")


class Cost(Frozen):
    """What the run used."""

    slot_seconds: float = Field(0, description="Seconds times slots, of training and evaluation.")


class ExperimentStatus(Status):
    """What was trained, measured and released."""

    data: Dataset | None = Field(None, description="The dataset version this wish is about.")
    run: RunStatus | None = None
    trials: TrialCounts = TrialCounts()
    trial_table: tuple[TrialStatus, ...] = Field((), description="The trials one by one.")
    best_trial: BestTrial | None = None
    checkpoint: CheckpointStatus | None = None
    evaluation: EvaluationStatus | None = None
    model_version: int | None = Field(None, description="Version of the newest Release of this experiment.")
    release: str = Field("", description="Name of that Release.")
    warm_start: WarmStartStatus | None = None
    cost: Cost = Cost()
    retrained_for: datetime | None = Field(
        None, description="The newest due time of retrain.schedule that a run began for; counted from at first."
    )
    next_retrain_at: datetime | None = Field(
        None, description="When a run may be asked for next, by retrain.schedule or for new data that waits."
    )


class Experiment(Resource):
    """A search for a model, and the gate it has to pass."""

    kind: Literal["Experiment"] = "Experiment"
    spec: ExperimentSpec
    status: ExperimentStatus = ExperimentStatus()
