"""ModelDeployment: which approved Release is served, and how."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from cdl.api.meta import Frozen, ModelName, not_yet
from cdl.api.rules import VERSION_IS_PINNED

from .datapipeline import Resources
from .resource import Resource, Spec, Status


class VersionPolicy(StrEnum):
    """Which version of the model to serve."""

    LATEST_APPROVED = "LatestApproved"
    PINNED = "Pinned"


class ServedModel(Frozen):
    """The model and how its version is chosen."""

    name: ModelName = Field(description="The model, as Experiments and Releases call it.")
    policy: VersionPolicy = VersionPolicy.LATEST_APPROVED
    version: int | None = Field(None, ge=1, description="With policy Pinned: the version.")

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if (self.policy is VersionPolicy.PINNED) != (self.version is not None):
            raise VERSION_IS_PINNED.refusal()
        return self


class Predictor(Frozen):
    """The servers."""

    replicas: int = Field(1, ge=1, le=100, description="Servers at once.")
    resources: Resources = Resources()
    protocols: tuple[Literal["v2", "seldon"], ...] = Field(("v2", "seldon"), description="What clients may speak.")


class Tensor(Frozen):
    """One named input or output; -1 in the shape means any size."""

    name: str = Field(min_length=1, description="What requests and errors call it.")
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
    ] = Field(description="Type of one element, in the Open Inference Protocol's words.")
    shape: tuple[int, ...] = Field(description="Size of each dimension.")


class Interface(Frozen):
    """What a request must look like and what comes back."""

    inputs: tuple[Tensor, ...] = Field((), description="Tensors a request must have; empty: anything goes.")
    outputs: tuple[Tensor, ...] = Field((), description="Tensors the answer has.")


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
    steps: Annotated[tuple[JsonValue, ...], not_yet(())] = Field(
        (), description="Weights and waits on the way to the new Release."
    )
    analysis: Annotated[JsonValue, not_yet(None)] = Field(None, description="What is measured on the way.")
    rollback: Annotated[JsonValue, not_yet(None)] = Field(None, description="When to go back.")


class Monitoring(Frozen):
    """What is watched while it serves."""

    log: Annotated[bool, not_yet(False)] = Field(False, description="Keep requests and answers.")
    drift: Annotated[dict[str, JsonValue], not_yet({})] = Field(
        default_factory=dict, description="How drift is detected."
    )
    on_drift: Annotated[Literal["Alert", "Retrain", "Rollback"], not_yet("Alert")] = Field(
        "Alert", description="What drift leads to."
    )


class ModelDeploymentSpec(Spec):
    """What should be served."""

    model: ServedModel
    predictor: Predictor = Predictor()
    interface: Interface = Interface()
    backend: Annotated[
        Literal["seldon-v1", "seldon-v2", "kserve", "deployment", "local"], not_yet("seldon-v1", "local")
    ] = Field("seldon-v1", description="The serving engine and its version.")
    rollout: Rollout = Rollout()
    monitoring: Monitoring = Monitoring()


class Traffic(Frozen):
    """One share of the requests."""

    release: str = Field(description="The Release.")
    weight: int = Field(ge=0, le=100, description="Its share of the requests, in percent.")
    shadow: bool = Field(False, description="It sees requests, but its answers are dropped.")


class Replicas(Frozen):
    """Servers wanted and servers answering."""

    desired: int = Field(0, description="Servers wanted.")
    ready: int = Field(0, description="Servers that answer.")


class ModelDeploymentStatus(Status):
    """What is served."""

    url: str = Field("", description="Where predictions are answered.")
    release: str = Field("", description="The Release that answers.")
    digest: str = Field("", description="Its digest.")
    previous_release: str = Field("", description="The one before it.")
    traffic: tuple[Traffic, ...] = Field((), description="Who gets which share of the requests.")
    step: int = Field(0, description="Step of the rollout.")
    replicas: Replicas = Replicas()


class ModelDeployment(Resource):
    """A model in production, kept true to what was approved."""

    kind: Literal["ModelDeployment"] = "ModelDeployment"
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus = ModelDeploymentStatus()
