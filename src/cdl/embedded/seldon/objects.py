"""Where the controller finds its objects: in a store of its own, or in an API server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cdl.embedded.seldon.fields import Object, meta


@dataclass(frozen=True)
class Event:
    """A change, as watches report it."""

    type: str  # ADDED, MODIFIED, DELETED
    document: Object

    @property
    def version(self) -> int:
        """The resource version that the change made."""
        return int(str(meta(self.document)["resourceVersion"]))


class Objects(Protocol):
    """The objects as they are known now, and what was served last."""

    listeners: set[Callable[[Event], None]]

    def get(self, namespace: str, name: str) -> Object | None:
        """Give an object, or nothing."""
        ...

    def everything(self, namespace: str = "") -> list[Object]:
        """List the objects of a namespace, or all."""
        ...

    def report(self, document: Object, status: Object) -> None:
        """Have a status written, of the object as it was looked at."""
        ...

    def served(self, namespace: str, name: str) -> Object | None:
        """Give the object as it was when it was last fully ready."""
        ...

    def remember_served(self, document: Object) -> None:
        """Keep the object as the one that is served, so that a restart can serve it again."""
        ...
