"""What a name on the command line stands for: a Release, model@version, or what a ModelDeployment serves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.ports.errors import Unreadable

from .refusal import Refusal

if TYPE_CHECKING:
    from cdl.compose import Shelf

VERSION = re.compile(r"(?P<model>[^@]+)@(?P<version>[0-9]+)")


def release_names(store: Shelf, namespace: str) -> tuple[str, ...]:
    """Name every Release, readable or not."""
    return tuple(sorted(str(document["metadata"]["name"]) for document in _kept(store, namespace)))


def release_named(store: Shelf, name: str, namespace: str) -> str | None:
    """Give the name of a Release that is called so or is that model@version, readable or not; None: there is none."""
    asked = VERSION.fullmatch(name)
    for document in _kept(store, namespace):
        found = str(document["metadata"]["name"])
        if found == name or (asked and _version(document) == (asked["model"], asked["version"])):
            return found
    return None


def release_meant(store: Shelf, name: str, namespace: str) -> str:
    """Give the name of the Release somebody means, readable or not.

    Raises:
        Refusal: there is none, or the deployment serves none.
    """
    found = release_named(store, name, namespace)
    if found is not None:
        return found
    try:
        deployment = store.get(ModelDeployment, namespace, name)
    except Unreadable:
        deployment = None
    if deployment is not None and not deployment.status.release:
        message = f"ModelDeployment {name} serves nothing yet; `cdl describe modeldeployment {name}` says why"
        raise Refusal(message)
    known = release_names(store, namespace)
    if deployment is None or deployment.status.release not in known:
        message = (
            f"{name}: found no such Release, model@version or ModelDeployment; releases: {', '.join(known) or 'none'}"
        )
        raise Refusal(message)
    return deployment.status.release


def meant(store: Shelf, name: str, namespace: str) -> Release:
    """Find the Release somebody means.

    Raises:
        Refusal: there is none, or the deployment serves none.
        Unreadable: what is stored is no Release.
    """
    wanted = release_meant(store, name, namespace)
    release = store.get(Release, namespace, wanted)
    if release is None:
        message = f"release {wanted}: is gone meanwhile"
        raise Refusal(message)
    return release


def _kept(store: Shelf, namespace: str) -> list[dict[str, Any]]:
    return list(store.documents("Release", namespace))


def _version(document: dict[str, Any]) -> tuple[str, str]:
    spec = document.get("spec")
    told = spec if isinstance(spec, dict) else {}
    return str(told.get("model")), str(told.get("version"))
