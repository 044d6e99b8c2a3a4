"""What `cdl up` tells a fresh API server: the kinds, who may do what, and where the admission server is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdl.cli.refusal import one_sentence
from cdl.kube import rbac
from cdl.kube.client import Api
from cdl.kube.install import install_kinds, install_webhooks
from cdl.kube.webhooks import at_address

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAMESPACE = rbac.SYSTEM
ACCOUNTS = ("cdl-operator", "cdl-admission")
MANAGER = "cdl-up"
PLURALS = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"} | {
    "Role": "roles",
    "RoleBinding": "rolebindings",
}


def install(kubeconfig: Path, admission: str, authority: bytes) -> str:
    """Install or bring up to date all of it, as the administrator of that kubeconfig; say what it was.

    Raises:
        Refusal: the API server refuses something.
    """
    with one_sentence():
        api = Api.connect(kubeconfig)
        _namespace(api, NAMESPACE)
        inside = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        for name in ACCOUNTS:
            metadata = {"name": name, "namespace": NAMESPACE}
            _apply(api, inside, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        roles = rbac.documents()
        for role in roles:
            _apply(api, _collection(role), role)
        kinds = install_kinds(api)
        install_webhooks(api, at_address(admission, authority))
    return f"{len(kinds)} kinds, {len(roles)} roles and bindings and the admission server's address"


def have_namespaces(kubeconfig: Path, names: Iterable[str]) -> None:
    """Have there be the namespaces of what is followed; nothing of one that is there is changed.

    Raises:
        Refusal: the API server refuses one.
    """
    with one_sentence():
        api = Api.connect(kubeconfig)
        for name in sorted({*names}):
            _namespace(api, name)


def _namespace(api: Api, name: str) -> None:
    _apply(api, "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def _collection(role: dict[str, Any]) -> str:
    namespace = role["metadata"].get("namespace")
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{role['apiVersion']}{inside}/{PLURALS[role['kind']]}"


def _apply(api: Api, collection: str, document: dict[str, Any]) -> None:
    api.apply(f"{collection}/{document['metadata']['name']}", document, MANAGER)
