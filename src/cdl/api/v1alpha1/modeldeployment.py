"""ModelDeployment: which approved Release is served, and how."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from cdl.api.meta import Frozen, Name, not_yet

from .datapipeline import Resources
from .resource import Resource, Spec, Status


class VersionPolicy(StrEnum):
    """Which version of the model to serve."""

    LATEST_APPROVED = "LatestApproved"
    PINNED = "Pinned"


class ServedModel(Frozen):
    """The model and how its version is chosen."""

    name: Name
    policy: VersionPolicy = VersionPolicy.LATEST_APPROVED
    version: int | None = Field(None, ge=1, description="With policy Pinned: the version.")

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if (self.policy is VersionPolicy.PINNED) != (self.version is not None):
            message = "version goes with policy: Pinned, and policy: Pinned needs a version"
            raise ValueError(message)
        return self


class Predictor(Frozen):
    """The servers."""

    replicas: int = Field(1, ge=1, le=100)
    resources: Resources = Resources()
    protocols: tuple[Literal["v2", "seldon"], ...] = ("v2", "seldon")


class Tensor(Frozen):
    """One named input or output; -1 in the shape means any size."""

    name: str = Field(min_length=1)
    datatype: Literal[
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FP16",
        "FP32",
        "FP64",
        "BYTES",
    ]
    shape: tuple[int, ...]


class Interface(Frozen):
    """What a request must look like and what comes back."""

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


class Strategy(StrEnum):
    """How one Release takes over from another."""

    RECREATE = "recreate"
    BLUEGREEN = "bluegreen"
    CANARY = "canary"
    SHADOW = "shadow"
    ABTEST = "abtest"
    BANDIT = "bandit"


class Rollout(Frozen):
    """How the change is made."""

    strategy: Annotated[Strategy, not_yet(Strategy.RECREATE, Strategy.BLUEGREEN)] = Strategy.BLUEGREEN
    steps: Annotated[tuple[JsonValue, ...], not_yet(())] = ()
    analysis: Annotated[JsonValue, not_yet(None)] = None
    rollback: Annotated[JsonValue, not_yet(None)] = None


class Monitoring(Frozen):
    """What is watched while it serves."""

    log: Annotated[bool, not_yet(False)] = False
    drift: Annotated[dict[str, JsonValue], not_yet({})] = Field(default_factory=dict)
    on_drift: Annotated[Literal["Alert", "Retrain", "Rollback"], not_yet("Alert")] = "Alert"


class ModelDeploymentSpec(Spec):
    """What should be served."""

    model: ServedModel
    predictor: Predictor = Predictor()
    interface: Interface = Interface()
    backend: Annotated[
        Literal["seldon-v1", "seldon-v2", "kserve", "deployment", "local"], not_yet("seldon-v1", "local")
    ] = "seldon-v1"
    rollout: Rollout = Rollout()
    monitoring: Monitoring = Monitoring()


class Traffic(Frozen):
    """One share of the requests."""

    release: str
    weight: int = Field(ge=0, le=100)
    shadow: bool = False


class Replicas(Frozen):
    """Servers wanted and servers answering."""

    desired: int = 0
    ready: int = 0


class ModelDeploymentStatus(Status):
    """What is served."""

    url: str = ""
    release: str = ""
    digest: str = ""
    previous_release: str = ""
    traffic: tuple[Traffic, ...] = ()
    step: int = 0
    replicas: Replicas = Replicas()


class ModelDeployment(Resource):
    """A model in production, kept true to what was approved."""

    kind: Literal["ModelDeployment"] = "ModelDeployment"
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus = ModelDeploymentStatus()
