"""Release: one immutable, verifiable version of everything behind a model. Written by the platform, never by hand."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from cdl.api.canonical import digest
from cdl.api.meta import Digest, Frozen, ModelName

from .resource import Resource, Status

MEMBERS = ("git", "code", "data", "labels", "transforms", "experiment", "checkpoint", "evaluation", "environment")


class ReleaseSpec(Frozen):
    """The coherent set. Its digest stands for all of it."""

    model: ModelName = Field(description="The model.")
    version: int = Field(ge=1, description="Its version, counted from 1.")
    digest: Digest = Field(description="Stands for all members.")
    members: dict[str, JsonValue] = Field(
        description="git, code, data, labels, transforms, experiment, checkpoint, evaluation, environment"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if set(self.members) != set(MEMBERS):
            message = f"members: found {sorted(self.members)}, allowed: exactly {sorted(MEMBERS)}"
            raise ValueError(message)
        if digest(self.members) != self.digest:
            message = f"digest: found {self.digest}, but the members hash to {digest(self.members)}"
            raise ValueError(message)
        return self


class ApprovalState(StrEnum):
    """What was decided about a Release."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    VOID = "Void"


class Voided(StrEnum):
    """Why a decision does not count any more, or never did."""

    CHANGED = "Changed"
    """What it was about was changed."""
    MISSING = "Missing"
    """A member is not there any more."""
    EXPIRED = "Expired"
    """Its time is over."""
    AUTHOR = "Author"
    """An author decided."""
    TAKEN_BACK = "TakenBack"
    """Its note was taken away, or the merge request does not hold it any more."""


class Production(Frozen):
    """What a decision was compared with: a Release that answered at that moment."""

    release: str = Field(description="Its name.")
    digest: str = Field("", description="Its digest.")
    deployments: tuple[str, ...] = Field((), description="The ModelDeployments it answered for.")
    metrics: dict[str, float] = Field(default_factory=dict, description="What its evaluation found.")
    differences: dict[str, float] = Field(
        default_factory=dict, description="By how much the decided Release's metrics are greater."
    )


class MergeRequestRef(Frozen):
    """The merge request whose approval backs a decision."""

    url: str = Field(description="Its page.")
    number: int = Field(ge=1, description="Its number in its project.")
    sha: str = Field(description="Its head, which the approval is about.")
    open: bool = Field(False, description="It was not merged then, so that its approval could still be taken back.")


class ApprovalStatus(Frozen):
    """A decision, bound to the digest it was made about."""

    state: ApprovalState = ApprovalState.PENDING
    by: str = Field("", description="Who decided.")
    at: datetime | None = Field(None, description="When.")
    digest: str = Field("", description="The Release's digest that the decision is about.")
    reason: str = Field("", description="Why, in the decider's words.")
    merge_request: MergeRequestRef | None = None
    voided: Voided | None = Field(None, description="Why it is void.")
    expires_at: datetime | None = Field(None, description="Until when the approval is good; absent: for good.")
    metrics: dict[str, float] = Field(default_factory=dict, description="What the Release's evaluation had found.")
    production: tuple[Production, ...] = Field((), description="What answered for the model when it was decided.")
    attestation: str = Field("", description="Where the signed statement of the decision lies.")

    @field_validator("merge_request", mode="before")
    @classmethod
    def _once_a_text(cls, found: object) -> object:
        """Read what earlier versions wrote, where none was ever named."""
        return found or None


class ReleaseStatus(Status):
    """What was decided, and who serves it."""

    observed_generation: int = Field(1, description="Always 1: the spec of a Release never changes.")
    approval: ApprovalStatus = ApprovalStatus()
    provenance: str = Field("", description="Where the signed statement of what it was made from lies.")
    verified_at: datetime | None = Field(None, description="When every member was last found unchanged.")
    served_by: tuple[str, ...] = Field((), description="ModelDeployments that serve it.")


class Release(Resource):
    """One version of a model with everything it came from."""

    kind: Literal["Release"] = "Release"
    spec: ReleaseSpec
    status: ReleaseStatus = ReleaseStatus()

    @property
    def approved(self) -> bool:
        """Somebody allowed to has approved exactly these members."""
        approval = self.status.approval
        return approval.state is ApprovalState.APPROVED and approval.digest == self.spec.digest
