"""Namespaces that are ours: made when missing, and recognized by their label."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from cdl.api.meta import MANAGED_BY_LABEL
from cdl.ports.errors import Conflict, Rejected

from .client import Api

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACES = "/api/v1/namespaces"


class Namespaces:
    """Makes namespaces, one an inventory."""

    def __init__(self, kubeconfig: Path | None) -> None:
        """Reach the cluster a kubeconfig names; nothing is asked yet."""
        self._server = Api.connect(kubeconfig)

    def have(self, name: str) -> None:
        """Have there be a namespace that belongs to the inventory of its own name.

        Raises:
            Rejected: there is one that belongs to somebody else, or is going away.
        """
        there = self._server.get(f"{NAMESPACES}/{quote(name, safe='')}")
        if there is None:
            metadata = {"name": name, "labels": {MANAGED_BY_LABEL: name}}
            try:
                there = self._server.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
            except Conflict:
                there = self._server.get(f"{NAMESPACES}/{quote(name, safe='')}") or {"metadata": metadata}
        if there["metadata"].get("labels", {}).get(MANAGED_BY_LABEL) != name:
            raise Rejected(f"namespace {name}: is somebody else's: it has no label {MANAGED_BY_LABEL}={name}")
