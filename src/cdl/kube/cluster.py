"""ClusterStore: an API server's resources for the command line, with what people do to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cdl.api.meta import Key
from cdl.api.v1alpha1 import KINDS, ModelDeployment, Resource, parse
from cdl.ports.errors import Rejected

from . import paths
from .client import Api
from .store import KubeStore, Live, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Outcome = Literal["created", "configured", "unchanged"]
MANAGER = "cdl"


class ClusterStore(KubeStore):
    """Asks the server for every read: a command asks once."""

    def __init__(self, kubeconfig: Path | None, manager: str = MANAGER) -> None:
        """Reach the cluster a kubeconfig names, as this manager of fields; nothing is asked yet."""
        self._manager = manager
        self._server = Api.connect(kubeconfig)
        super().__init__(self._server, Live(self._server))

    def apply(self, document: Mapping[str, object]) -> tuple[Outcome, Resource]:
        """Make the stored resource as the document says; fields that others set stay.

        Raises:
            ValueError: the document is no valid resource; a pydantic.ValidationError has every fault.
        """
        wanted = parse(document, KINDS)
        key = wanted.key
        before = self._server.get(paths.resource(key))
        if before is not None and isinstance(wanted, ModelDeployment):
            self._unpin(before, wanted)
        body: dict[str, Any] = {"apiVersion": wanted.api_version, "kind": key.kind, "spec": document["spec"]}
        given = {"labels": wanted.metadata.labels, "annotations": wanted.metadata.annotations}
        body["metadata"] = {"name": key.name, "namespace": key.namespace, **{k: v for k, v in given.items() if v}}
        after = self._server.apply(paths.resource(key), body, self._manager)
        outcome: Outcome = "created" if before is None else "unchanged" if _same(before, after) else "configured"
        return outcome, KINDS[key.kind].read(after)

    def delete(self, key: Key) -> bool:
        """Ask for a resource to go; it is gone once it has no finalizers. False: there was none."""
        return self._server.delete(paths.resource(key)) is not None

    def change(self, key: Key, part: Mapping[str, object]) -> Resource:
        """Change some fields of metadata or spec as a merge patch does; None takes a field away. The next apply wins.

        Raises:
            Rejected: there is no such resource, or it would not be valid.
            NotPermitted: we may not change it.
        """
        stored = self._server.merge_patch(paths.resource(key), part)
        if stored is None:
            raise Rejected(f"{key}: there is no such resource")
        return KINDS[key.kind].read(stored)

    def annotate(self, key: Key, name: str, value: str) -> None:
        """Set one annotation.

        Raises:
            Rejected: there is no such resource.
        """
        self.note(key, {name: value})

    def note(self, key: Key, annotations: Mapping[str, str | None]) -> None:
        """Set annotations in one write; None takes one away.

        Raises:
            Rejected: there is no such resource, or admission does not let us.
        """
        if self._server.merge_patch(paths.resource(key), {"metadata": {"annotations": dict(annotations)}}) is None:
            raise Rejected(f"{key}: there is no such resource")

    def _unpin(self, before: Mapping[str, Any], wanted: ModelDeployment) -> None:
        """Take away the version a rollback pinned: it is nobody's but its writer's, so that an apply would leave it."""
        model = wanted.spec.model
        if model.version is None and before["spec"].get("model", {}).get("version") is not None:
            self.change(wanted.key, {"spec": {"model": {"policy": model.policy.value, "version": None}}})

    def documents(self, kind: str | None = None, namespace: str | None = None) -> tuple[dict[str, Any], ...]:
        """Give resources as plain documents, also those that cannot be read."""
        kinds = KINDS if kind is None else (kind,)
        return tuple(document for each in kinds for document in listed(self._server, each, namespace)[0])


def _same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    wished = ("generation", "labels", "annotations")
    return all(before["metadata"].get(name) == after["metadata"].get(name) for name in wished)
