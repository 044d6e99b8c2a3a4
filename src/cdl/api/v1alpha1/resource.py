"""What the four kinds have in common."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from pydantic import Field, ValidationError

from cdl.api.conditions import Condition, ConditionType
from cdl.api.duration import Duration
from cdl.api.meta import API_VERSION, Frozen, Key, Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping


class DeletionPolicy(StrEnum):
    """What happens at the engines when the resource is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


class Spec(Frozen):
    """Fields every spec has."""

    suspend: bool = Field(False, description="Do nothing for this resource until it is false again.")
    interval: Duration = Field("10m", description="How often to look again when nothing seems to happen.")
    timeout: Duration = Field("6h", description="How long one piece of work may take before it counts as failed.")
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.DELETE, description="Delete removes the engine objects with the resource; Orphan leaves them."
    )


class Event(Frozen):
    """One line of a resource's own history."""

    at: datetime = Field(description="When.")
    what: str = Field(description="What happened, in a few words.")
    revision: str = Field("", description="Git commit in force at that moment.")
    digest: str = Field("", description="Digest of the thing made, where there is one.")


class Status(Frozen):
    """Fields every status has; written by the platform only."""

    observed_generation: int = Field(0, description="The spec's generation this status speaks of.")
    conditions: tuple[Condition, ...] = Field((), description="Answers, one a type; Ready is the summary.")
    transitions: int = Field(0, description="How often an answer or its reason changed; the ledger counts by it.")
    progress: str = Field("", description="Steps done of steps to do, as in 3/5.")
    last_handled_requested_at: str = Field("", description="The cdl.dev/requestedAt annotation that was answered last.")
    last_applied_revision: str = Field("", description="Git commit that is true of the world.")
    last_attempted_revision: str = Field("", description="Git commit that was last worked on.")
    history: tuple[Event, ...] = Field((), description="The last ten things that happened, newest last.")

    def condition(self, kind: ConditionType) -> Condition | None:
        """Find the condition of a type."""
        return next((c for c in self.conditions if c.type is kind), None)


class Resource(Frozen):
    """A Kubernetes object of one of our kinds."""

    api_version: str = Field(API_VERSION, pattern=f"^{API_VERSION}$")
    kind: str
    metadata: Metadata

    @property
    def key(self) -> Key:
        """What this resource is called by."""
        return Key(self.kind, self.metadata.namespace, self.metadata.name)

    @classmethod
    def read(cls, document: Mapping[str, object]) -> Self:
        """Validate a plain document: types as written, names in camelCase, as an API server would have it.

        Raises:
            pydantic.ValidationError: with every fault found.
        """
        # A YAML date is text to people, and so it is to us.
        return cls.model_validate_json(json.dumps(document, default=str), strict=True, by_alias=True, by_name=False)

    @classmethod
    def read_status(cls, document: Mapping[str, object]) -> Status:
        """Read the status of a document whose spec may be wrong; one that cannot be read counts as none."""
        field = cls.model_fields.get("status")
        told: object = field.annotation if field is not None else None
        status = told if isinstance(told, type) and issubclass(told, Status) else Status
        try:
            return status.model_validate_json(json.dumps(document.get("status") or {}, default=str), by_alias=True)
        except ValidationError:
            return status()

    def plain(self) -> dict[str, object]:
        """Write the resource as plain JSON data, absent values left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def parse(document: Mapping[str, object], kinds: Mapping[str, type[Resource]]) -> Resource:
    """Read a document of any kind.

    Raises:
        ValueError: the document's kind is not one of `kinds`.
        pydantic.ValidationError: with every fault found.
    """
    name = document.get("kind")
    if not isinstance(name, str) or name not in kinds:
        message = f"kind: found {name!r}, allowed: {', '.join(sorted(kinds))}"
        raise ValueError(message)
    return kinds[name].read(document)
