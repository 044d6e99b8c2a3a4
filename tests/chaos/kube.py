"""The API server as a person sees it: an own client, past every proxy, and a record of everything that changed."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.chaos.certificates import entrance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Document = dict[str, Any]
GROUP = "/apis/cdl.dev/v1alpha1"
PLURALS = {
    "DataPipeline": "datapipelines",
    "Experiment": "experiments",
    "ModelDeployment": "modeldeployments",
    "Release": "releases",
}
MERGE = {"content-type": "application/merge-patch+json"}
PATIENCE = 60.0


class Kube:
    """One API server, asked as an administrator; an outage is waited for."""

    def __init__(self, kubeconfig: Path) -> None:
        """Open nothing yet."""
        at = entrance(kubeconfig)
        self.base, self.tls = f"https://{at.host}:{at.port}", at.tls
        self._client = httpx.Client(base_url=self.base, verify=at.tls, timeout=30)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """Give an object; None when there is none."""
        answer = self._ask("GET", f"{collection(kind, namespace)}/{name}")
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def list(self, kind: str, namespace: str) -> list[Document]:
        """Give every object of a kind."""
        return list(self._ask("GET", collection(kind, namespace)).raise_for_status().json()["items"])

    def create(self, document: Document) -> Document:
        """Create an object."""
        path = collection(document["kind"], document["metadata"]["namespace"])
        return dict(self._ask("POST", path, json=document).raise_for_status().json())

    def patch(self, kind: str, namespace: str, name: str, body: Document, part: str = "") -> Document:
        """Merge into an object, or into a part of it such as /status."""
        found = self.patch_if_there(kind, namespace, name, body, part)
        if found is None:
            message = f"{kind} {name} is not there"
            raise LookupError(message)
        return found

    def patch_if_there(self, kind: str, namespace: str, name: str, body: Document, part: str = "") -> Document | None:
        """Merge into an object; None when there is none."""
        path = f"{collection(kind, namespace)}/{name}{part}"
        answer = self._ask("PATCH", path, content=json.dumps(body), headers=MERGE)
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for an object to go."""
        answer = self._ask("DELETE", f"{collection(kind, namespace)}/{name}")
        if answer.status_code != 404:
            answer.raise_for_status()

    def namespace(self, name: str) -> None:
        """Make sure there is a namespace."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = self._ask("POST", "/api/v1/namespaces", json=body)
        if answer.status_code != 409:
            answer.raise_for_status()

    def owned(self, namespace: str, uid: str) -> list[str]:
        """Name every object of ours that still carries a uid."""
        found = []
        for kind in PLURALS:
            for item in self.list(kind, namespace):
                owners = [o.get("uid") for o in item["metadata"].get("ownerReferences", ())]
                if uid in owners or item["metadata"]["uid"] == uid:
                    found.append(f"{kind} {item['metadata']['name']}")
        return found

    def until(
        self,
        kind: str,
        namespace: str,
        name: str,
        holds: Callable[[Document | None], object],
        seconds: float = PATIENCE,
    ) -> Document | None:
        """Ask until something holds.

        Raises:
            TimeoutError: it did not within so many seconds; the message has the last status.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(kind, namespace, name)
            if holds(found):
                return found
            if time.monotonic() > deadline:
                message = f"{kind} {name}: not within {seconds} s: {brief(found)}"
                raise TimeoutError(message)
            time.sleep(0.05)

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._client.request(method, path, **how)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            if answer.status_code < 500 or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)


def collection(kind: str, namespace: str) -> str:
    """Give the path of a kind's objects in a namespace; no namespace means all."""
    if kind == "Event":
        return f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    return f"{GROUP}/namespaces/{namespace}/{PLURALS[kind]}" if namespace else f"{GROUP}/{PLURALS[kind]}"


def brief(document: Document | None) -> Document:
    """What a person wants to see of an object that is not as it should be."""
    if document is None:
        return {}
    meta = {k: v for k, v in document["metadata"].items() if k not in {"managedFields", "annotations"}}
    return {"metadata": meta, "status": document.get("status", {})}


def condition(document: Document | None, kind: str = "Ready") -> Document:
    """Give a condition of an object; an empty one when it has none."""
    conditions = (document or {}).get("status", {}).get("conditions") or ()
    return next((dict(c) for c in conditions if c["type"] == kind), {})


def is_settled(document: Document | None) -> bool:
    """The status speaks of this generation, and says Ready or a named failure that time will not change."""
    if document is None or document["metadata"].get("deletionTimestamp"):
        return False
    seen = document.get("status", {}).get("observedGeneration")
    over = condition(document).get("status") == "True" or condition(document, "Stalled").get("status") == "True"
    return seen == document["metadata"]["generation"] and over


def is_ready(document: Document | None) -> bool:
    """Settled, and well."""
    return is_settled(document) and condition(document).get("status") == "True"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object as a watch showed it."""

    at: float
    type: str
    object: Document


@dataclass(slots=True)
class History:
    """Everything that was seen of one object."""

    sightings: list[Sighting] = field(default_factory=list)

    def statuses(self) -> Iterator[tuple[int, Document]]:
        """Give (generation, status) of every state that had one."""
        for sighting in self.sightings:
            yield sighting.object["metadata"].get("generation", 0), sighting.object.get("status") or {}


class Recorder:
    """Watches every kind and the events about them, from the API server itself."""

    KINDS = (*PLURALS, "Event")

    def __init__(self, kube: Kube) -> None:
        """Nothing is watched yet."""
        self._kube = kube
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._histories: dict[str, History] = defaultdict(History)
        self._newest: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._watch, args=(k,), name=f"chaos-{k.lower()}") for k in self.KINDS]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every watch."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def history(self, uid: str) -> History:
        """Give what was seen of an object."""
        with self._lock:
            return History(list(self._histories[uid].sightings))

    def events(self, uid: str) -> list[Document]:
        """Give the events about an object, as they are by now."""
        with self._lock:
            newest = {
                of: history.sightings[-1].object
                for of, history in self._histories.items()
                if history.sightings and history.sightings[-1].object.get("kind") == "Event"
            }
        return [e for e in newest.values() if e.get("involvedObject", {}).get("uid") == uid]

    def _watch(self, kind: str) -> None:
        with httpx.Client(base_url=self._kube.base, verify=self._kube.tls, timeout=httpx.Timeout(10, read=2)) as client:
            version = ""
            while not self._stop.is_set():
                try:
                    version = version or self._list(client, kind)
                    version = self._follow(client, kind, version)
                except httpx.ReadTimeout:
                    continue  # nothing happened for a while: look at the stop sign and go on from the same version
                except (httpx.HTTPError, ValueError, KeyError):
                    version = ""
                    self._stop.wait(0.2)

    def _list(self, client: httpx.Client, kind: str) -> str:
        answer = client.get(collection(kind, "")).raise_for_status().json()
        for item in answer["items"]:
            self._note("LISTED", {"kind": kind, **item})
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, client: httpx.Client, kind: str, version: str) -> str:
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "300"}
        try:
            with client.stream("GET", collection(kind, ""), params=query) as answer:
                answer.raise_for_status()
                for line in answer.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return ""
                    self._newest[kind] = version = event["object"]["metadata"]["resourceVersion"]
                    self._note(event["type"], {"kind": kind, **event["object"]})
                    if self._stop.is_set():
                        return version
        except httpx.ReadTimeout:
            return self._newest.get(kind, version)
        return version

    def _note(self, kind: str, document: Document) -> None:
        with self._lock:
            history = self._histories[document["metadata"]["uid"]].sightings
            version = document["metadata"]["resourceVersion"]
            if not history or history[-1].object["metadata"]["resourceVersion"] != version:
                history.append(Sighting(time.time(), kind, document))
