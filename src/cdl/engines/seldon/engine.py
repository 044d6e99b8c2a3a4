"""Servers of ModelDeployments as SeldonDeployment objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from kubernetes import client as kubernetes

from cdl.ports.errors import Rejected

from .door import door, there
from .translate import (
    GROUP,
    KEY,
    MINE,
    OWNER,
    PLURAL,
    VERSION,
    manifest,
    mark_of,
    notes,
    pulses,
    released,
    replacing,
    serving_seen,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from cdl.api.meta import Key
    from cdl.reconcile.modeldeployment import ServingSeen, ServingWish

SECONDS = 30
PAGE = 500
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""An API server leaves specs and statuses out; one that does not know this sends whole objects."""


class SeldonEngine:
    """Drives one API server. A SeldonDeployment is called like its ModelDeployment."""

    def __init__(
        self,
        api: str | kubernetes.ApiClient,
        *,
        image: str,
        namespaces: Sequence[str] = (),
        ingress: str = "",
        trusted: str = "",
    ) -> None:
        """Talk to the API server at a URL, or through a client that knows who we are; nothing is asked yet.

        Beats are of these namespaces, of all without any. With an ingress, Seldon's own or another, predictions are
        said to be asked below its address; without one where Seldon says. Servers start only what one of the trusted
        keys, as PEM, has approved; told of none, they do not ask.
        """
        if isinstance(api, str):
            made = kubernetes.Configuration(host=api.rstrip("/"))
            made.retries = False  # the loop asks again, and knows when
            api = kubernetes.ApiClient(made)
        self._objects = kubernetes.CustomObjectsApi(api)
        self._get = partial(self._objects.get_namespaced_custom_object, _request_timeout=SECONDS)
        self._create = partial(self._objects.create_namespaced_custom_object, _request_timeout=SECONDS)
        self._replace = partial(self._objects.replace_namespaced_custom_object, _request_timeout=SECONDS)
        self._delete = partial(self._objects.delete_namespaced_custom_object, _request_timeout=SECONDS)
        self._image, self._trusted = image, trusted
        self._namespaces, self._ingress = tuple(namespaces), ingress

    def look(self, owner: Key) -> ServingSeen | None:
        """Report what runs for the owner; changes nothing; None when nothing does.

        The key is the wish's key; phase Available is said only of the wish last served, not of the one before it.
        """
        with door(f"looking at ModelDeployment {owner.name}"):
            live = self._live(owner)
        return serving_seen(live, self._ingress) if live is not None and _is_ours(owner, live) else None

    def serve(self, owner: Key, wish: ServingWish) -> None:
        """Make the engine run the wish. A second call with an equal wish changes nothing.

        What answered before goes on answering until the new servers do.

        Raises:
            Rejected: the wish says why it may not be served.
        """
        wanted = manifest(owner, wish, self._image, self._trusted)
        with door(f"serving {wish.release.name}"):
            live = self._live(owner)
            if live is None:
                self._create(**_kind(owner), body=wanted)
                return
            if not _is_ours(owner, live):
                message = f"SeldonDeployment {owner.name} exists and was not made by cdl; rename the ModelDeployment"
                raise Rejected(message)
            if notes(live).get(KEY) != wish.key:
                # The whole object goes, with the version that was read: who was faster is not overwritten.
                self._replace(**_kind(owner), name=owner.name, body=replacing(live, wanted))

    def let_go(self, owner: Key) -> None:
        """Make what runs for the owner outlive the resource that is named as the wish's owner; it answers as before.

        Letting go of what is not there is a success.
        """
        with door(f"letting go of the servers of ModelDeployment {owner.name}"):
            live = self._live(owner)
            alone = released(live) if live is not None and _is_ours(owner, live) else None
            if alone is not None:
                there(lambda: self._replace(**_kind(owner), name=owner.name, body=alone))

    def remove(self, owner: Key) -> None:
        """Stop and remove what runs for the owner. Removing what is not there is a success."""
        with door(f"removing the servers of ModelDeployment {owner.name}"):
            live = self._live(owner)
            if live is not None and _is_ours(owner, live):
                there(lambda: self._delete(**_kind(owner), name=owner.name))

    def beat(self) -> Mapping[Key, str]:
        """Give, for every ModelDeployment that a SeldonDeployment was made for, a text that stands for that.

        The text changes whenever a look would see something else. Changes nothing itself.

        Raises:
            Unavailable: nobody answered, or only in part.
        """
        found: dict[Key, str] = {}
        with door("asking for what changed"):
            for namespace in self._namespaces or (None,):
                for page in self._pages(namespace):
                    found |= pulses(page.get("items") or ())  # an API server says null of none
        return found

    def _pages(self, namespace: str | None) -> Iterator[dict[str, Any]]:
        named = {"group": GROUP, "version": VERSION, "plural": PLURAL}
        ask = self._objects.list_cluster_custom_object
        if namespace is not None:
            ask, named = self._objects.list_namespaced_custom_object, {**named, "namespace": namespace}
        how = {"label_selector": MINE, "limit": PAGE, "_request_timeout": SECONDS}
        after = ""
        while True:
            page = ask(**named, **how, _headers={"Accept": METADATA}, **({"_continue": after} if after else {}))
            yield page
            after = str(page.get("metadata", {}).get("continue") or "")
            if not after:
                return

    def _live(self, owner: Key) -> dict[str, JsonValue] | None:
        found: Any = there(lambda: self._get(**_kind(owner), name=owner.name))
        return cast("dict[str, JsonValue] | None", found)


def _kind(owner: Key) -> dict[str, str]:
    return {"group": GROUP, "version": VERSION, "namespace": owner.namespace, "plural": PLURAL}


def _is_ours(owner: Key, live: dict[str, JsonValue]) -> bool:
    return notes(live).get(OWNER) == mark_of(owner)
