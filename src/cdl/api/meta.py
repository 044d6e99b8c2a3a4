"""What every resource carries: its name, its identity and its place in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

GROUP = "cdl.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
REVISION_ANNOTATION = "cdl.dev/revision"
PROJECT_ANNOTATION = "cdl.dev/forge-project"
"""Path of the forge's project that the commit is of, as in team/news: where people review it."""
REQUESTED_AT_ANNOTATION = "cdl.dev/requestedAt"
AUTHORS_ANNOTATION = "cdl.dev/authors"
"""Who wrote the git commit, by commas; never the ones who may approve what comes of it."""
APPLIED_BY_ANNOTATION = "cdl.dev/applied-by"
"""Who applied the resource; on a cluster admission writes it over whatever was sent."""
LIKE_ANNOTATION = "cdl.dev/like"
"""Namespace of a DataPipeline of the same name: what that has made already is taken over where it is equal."""
MANAGED_BY_LABEL = "cdl.dev/managed-by"
"""Which repository, branch and path `cdl gitops` keeps the resource true to."""
RENDERED_ANNOTATION = "cdl.dev/rendered"
"""Digest of what git said when `cdl gitops` last wrote it: what differs from it now, somebody else changed."""
PRUNE_ANNOTATION = "cdl.dev/prune"
"""`disabled`: the resource stays when it leaves git."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=32)]
"""Shorter, because Releases are called by it: <model>-1, <model>-2 and so on."""
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Frozen(BaseModel):
    """A value nobody can change; written in camelCase, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Metadata(BaseModel):
    """The part of a Kubernetes object's metadata that cdl reads; the rest is kept as it came."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True)

    name: Name
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @property
    def revision(self) -> str:
        """The git commit this resource was applied from; empty when nobody said."""
        return self.annotations.get(REVISION_ANNOTATION, "")

    @property
    def project(self) -> str:
        """The forge's project this resource was applied from; empty when nobody said."""
        return self.annotations.get(PROJECT_ANNOTATION, "").strip()

    @property
    def like(self) -> str:
        """Namespace of the resource of this name whose equal work may be taken over; empty where nobody said."""
        namespace = self.annotations.get(LIKE_ANNOTATION, "").strip()
        return namespace if namespace != self.namespace else ""

    @property
    def authors(self) -> tuple[str, ...]:
        """Who wrote the commit and who applied it, in order of the alphabet; none where nobody said."""
        said = [
            *self.annotations.get(AUTHORS_ANNOTATION, "").split(","),
            self.annotations.get(APPLIED_BY_ANNOTATION, ""),
        ]
        return tuple(sorted({name.strip() for name in said} - {""}))

    @property
    def requested_at(self) -> str:
        """When somebody asked for a look, as they wrote it; empty when nobody did."""
        return self.annotations.get(REQUESTED_AT_ANNOTATION, "")

    @property
    def deleting(self) -> bool:
        """Somebody asked for this resource to go."""
        return self.deletion_timestamp is not None


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which resource: what the queue, the store and the log call it by."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Read as `Experiment default/bbc-news`."""
        return f"{self.kind} {self.namespace}/{self.name}"


AVAILABLE = "x-cdl-available"
"""Where a field's JSON schema says which of its values already do something, and what to tell who wants another."""


@dataclass(frozen=True, slots=True)
class _Announced(AfterValidator):
    """A check that shows in the JSON schema, so that an API server can be taught it."""

    func: Callable[[object], object]
    allowed: tuple[object, ...]
    message: str

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {AVAILABLE: {"values": list(self.allowed), "message": self.message}}


def not_yet(*allowed: object) -> AfterValidator:
    """Accept a field only with the values that already do something.

    A field whose feature is still to come must never be ignored in silence: any other value is refused.
    """
    shown = [_plain(a) for a in allowed if a is not None and a not in ("", (), {})]
    hint = f"; available now: {', '.join(shown)}" if shown else "; leave it out"
    message = f"not available yet{hint}"

    def refuse(value: object) -> object:
        if value in allowed:
            return value
        raise ValueError(message)

    return _Announced(refuse, allowed, message)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
