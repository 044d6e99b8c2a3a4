"""A resource store in memory, with the API server's rules."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from cdl.api.v1alpha1 import Resource
from cdl.ports.errors import Conflict
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from cdl.api.meta import Key, Metadata
    from cdl.api.v1alpha1.resource import Status

R = TypeVar("R", bound=Resource)


class MemoryResources:
    """A ResourceStore. `put` and `delete` are what a person does."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start empty."""
        self.weather = weather or Weather()
        self.writes = 0
        """How often anything changed."""
        self._stored: dict[Key, Resource] = {}
        self._uids = itertools.count(1)

    def get(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Give the resource; None when there is none."""
        with self.weather.call(f"get {kind.__name__} {name}"):
            found = (r for k, r in self._stored.items() if (k.namespace, k.name) == (namespace, name))
            return next((r for r in found if isinstance(r, kind)), None)

    def list(self, kind: type[R], namespace: str | None = None) -> tuple[R, ...]:
        """Give every resource of a kind, of one namespace or of all."""
        with self.weather.call(f"list {kind.__name__}"):
            found = [r for r in self._stored.values() if isinstance(r, kind)]
            return tuple(r for r in found if namespace in {None, r.metadata.namespace})

    def create(self, resource: R) -> R:
        """Make sure a resource of this name exists and give it."""
        with self.weather.call(f"create {resource.key}"):
            there = self._stored.get(resource.key)
            if there is not None and isinstance(there, type(resource)):
                return there
            return self._insert(resource)

    def write_status(self, key: Key, status: Status, resource_version: str) -> None:
        """Replace the status. An equal status writes nothing. A resource that is gone is a success.

        Raises:
            Conflict: the resource changed since resource_version.
        """
        with self.weather.call(f"write status of {key}"):
            there = self._fresh(key, resource_version)
            if there is not None and getattr(there, "status", None) != status:
                self._store(there, there.metadata, status=status)

    def write_finalizers(self, key: Key, finalizers: tuple[str, ...], resource_version: str) -> None:
        """Replace the finalizers; a deleted resource without any is gone.

        Raises:
            Conflict: the resource changed since resource_version.
        """
        with self.weather.call(f"write finalizers of {key}"):
            there = self._fresh(key, resource_version)
            if there is None or there.metadata.finalizers == finalizers:
                return
            if there.metadata.deleting and not finalizers:
                self.writes += 1
                del self._stored[key]
            else:
                self._store(there, there.metadata.model_copy(update={"finalizers": finalizers}))

    def put(self, resource: R) -> R:
        """Create the resource or change its spec, labels and annotations, as `kubectl apply` does."""
        there = self._stored.get(resource.key)
        if there is None or not isinstance(there, type(resource)):
            return self._insert(resource)
        asked, metadata = resource.metadata, there.metadata
        same = getattr(there, "spec", None) == getattr(resource, "spec", None)
        if same and (asked.labels, asked.annotations) == (metadata.labels, metadata.annotations):
            return there
        generation = metadata.generation + (not same)
        new = {"labels": asked.labels, "annotations": asked.annotations, "generation": generation}
        return self._store(there, metadata.model_copy(update=new), spec=getattr(resource, "spec", None))

    def delete(self, key: Key) -> None:
        """Ask for a resource to go."""
        there = self._stored.get(key)
        if there is None or there.metadata.deleting:
            return
        if there.metadata.finalizers:
            self._store(there, there.metadata.model_copy(update={"deletion_timestamp": datetime.now(UTC)}))
        else:
            self.writes += 1
            del self._stored[key]

    def _fresh(self, key: Key, resource_version: str) -> Resource | None:
        there = self._stored.get(key)
        if there is not None and there.metadata.resource_version != resource_version:
            message = f"{key}: changed since version {resource_version}"
            raise Conflict(message)
        return there

    def _insert(self, resource: R) -> R:
        new = {"uid": f"uid-{next(self._uids)}", "generation": 1, "creation_timestamp": datetime.now(UTC)}
        metadata = resource.metadata.model_copy(update={**new, "deletion_timestamp": None})
        fresh = type(resource).model_fields["status"].get_default(call_default_factory=True)
        return self._store(resource, metadata, status=fresh)

    def _store(self, resource: R, metadata: Metadata, **parts: object) -> R:
        self.writes += 1
        stored = resource.model_copy(
            update={"metadata": metadata.model_copy(update={"resource_version": str(self.writes)}), **parts}
        )
        self._stored[stored.key] = stored
        return stored
