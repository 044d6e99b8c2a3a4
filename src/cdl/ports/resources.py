"""The resources themselves: SQLite on a laptop, the Kubernetes API in a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import Resource
    from cdl.api.v1alpha1.resource import Status

R = TypeVar("R", bound="Resource")


class ResourceStore(Protocol):
    """Where specs are read and statuses written. Kubernetes' rules hold: generation, resourceVersion, finalizers."""

    def get(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Give the resource; None when there is none.

        Raises:
            Unreadable: what is stored is no resource of this kind.
        """

    def list(self, kind: type[R], namespace: str | None = None) -> tuple[R, ...]:
        """Give every resource of a kind, of one namespace or of all; those that cannot be read are left out."""

    def create(self, resource: R) -> R:
        """Make sure a resource of this name exists and give it. An existing one is given back unchanged."""

    def write_status(self, key: Key, status: Status, resource_version: str) -> None:
        """Replace the status. An equal status writes nothing. A resource that is gone is a success.

        Raises:
            Conflict: the resource changed since resource_version.
        """

    def write_finalizers(self, key: Key, finalizers: tuple[str, ...], resource_version: str) -> None:
        """Replace the finalizers; a deleted resource without any is gone.

        Raises:
            Conflict: the resource changed since resource_version.
        """
