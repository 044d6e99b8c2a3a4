"""What a merge request is told from: resources as they are stored, what they led to, and what merging would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cdl.api.meta import Key
from cdl.api.refusal import explain
from cdl.api.v1alpha1 import KINDS, ModelDeployment
from cdl.api.v1alpha1.resource import Status
from cdl.reconcile.gitops import ORDER, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdl.api.v1alpha1 import Resource
    from cdl.reconcile.plan import Plan
    from cdl.reconcile.release.diff import ReleaseFacts

    Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Part:
    """One resource of a commit, as it is stored."""

    key: Key
    resource: Resource | None = None
    """None: it is not there, or cannot be read."""
    status: Status = field(default_factory=Status)
    generation: int = 0
    deleting: bool = False
    fault: str = ""
    """Why it cannot be read."""

    @property
    def there(self) -> bool:
        """It is stored."""
        return self.generation > 0

    @property
    def current(self) -> bool:
        """Its status is about what is asked for now."""
        return self.there and self.status.observed_generation >= self.generation


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Release that a commit led to, and what answers for its model in production."""

    experiment: Key
    release: ReleaseFacts
    production: ReleaseFacts | None = None
    picture: str = ""
    """Markdown that shows its confusion matrix; empty: there is none."""


@dataclass(frozen=True, slots=True)
class View:
    """One commit in one namespace, and everything that is told of it."""

    sha: str
    namespace: str
    state: State
    sentence: str = ""
    parts: tuple[Part, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    production: Mapping[str, ReleaseFacts] = field(default_factory=dict)
    """What answers in production, by model."""
    plan: Plan | str = ""
    """What merging leads to; a text: why that is not known."""

    @property
    def looked(self) -> bool:
        """What is stored is what the commit says."""
        return self.state is State.APPLIED


@dataclass(frozen=True, slots=True)
class Ending:
    """How a merge request ended."""

    merged_as: str = ""
    """What the target got; empty: it was closed without merging."""
    head: str = ""
    """What production follows now; empty: it has not taken up what was merged."""
    parts: tuple[Part, ...] = ()
    """Production's resources."""
    trouble: str = ""
    """Why production cannot take it up."""

    @property
    def deployments(self) -> tuple[ModelDeployment, ...]:
        """Those that serve."""
        return tuple(part.resource for part in self.parts if isinstance(part.resource, ModelDeployment))


def parts(documents: Iterable[Document], inventory: Iterable[Key] = ()) -> tuple[Part, ...]:
    """Read what is stored; what the inventory names and nobody stored is a part too. Data first, servers last."""
    found = {part.key: part for part in map(part_of, documents)}
    for key in inventory:
        found.setdefault(key, Part(key))
    return tuple(sorted(found.values(), key=lambda part: (_place(part.key.kind), part.key)))


def part_of(document: Document) -> Part:
    """Read one resource, whatever is wrong with it."""
    kind, told = str(document.get("kind")), document.get("metadata")
    meta: Mapping[str, object] = told if isinstance(told, dict) else {}
    key = Key(kind, str(meta.get("namespace") or "default"), str(meta.get("name")))
    generation, deleting = meta.get("generation"), bool(meta.get("deletionTimestamp"))
    number = generation if isinstance(generation, int) and generation > 0 else 1
    try:
        resource = KINDS[kind].read(document)
    except (ValidationError, KeyError) as error:
        fault = "; ".join(explain(error)) if isinstance(error, ValidationError) else f"nobody knows the kind {kind}"
        status = KINDS[kind].read_status(document) if kind in KINDS else Status()
        return Part(key, None, status, number, deleting, fault)
    said: object = getattr(resource, "status", None)
    return Part(key, resource, said if isinstance(said, Status) else Status(), number, deleting)


def _place(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
