"""Release: one immutable, verifiable version of everything behind a model. Written by the platform, never by hand."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from cdl.api.canonical import digest
from cdl.api.meta import Digest, Frozen, Name

from .resource import Resource, Status

MEMBERS = ("git", "code", "data", "labels", "transforms", "experiment", "checkpoint", "evaluation", "environment")


class ReleaseSpec(Frozen):
    """The coherent set. Its digest stands for all of it."""

    model: Name
    version: int = Field(ge=1)
    digest: Digest
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


class ApprovalStatus(Frozen):
    """A decision, bound to the digest it was made about."""

    state: ApprovalState = ApprovalState.PENDING
    by: str = ""
    at: datetime | None = None
    digest: str = ""
    reason: str = ""
    merge_request: str = ""


class ReleaseStatus(Status):
    """What was decided, and who serves it."""

    approval: ApprovalStatus = ApprovalStatus()
    verified_at: datetime | None = None
    served_by: tuple[str, ...] = ()


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
