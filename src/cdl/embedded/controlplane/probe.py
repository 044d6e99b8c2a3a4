"""Whether the programs work: by using them, never by asking their version.

A kube-apiserver built with the wrong compiler starts, answers and makes kinds, and then dies of the first resource of
such a kind, or refuses every empty string in one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import shutil
import ssl
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from cdl.embedded.stack import Stack, StackError

from .binaries import NEEDED, ControlPlaneError, cache
from .servers import ADMIN, ControlPlane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .binaries import Binaries

ANSWER_SECONDS = 10
SEEN_SECONDS = 20
"""Until a new kind can be used."""
COLLECTED_SECONDS = 60
"""Until the garbage collector, just started, has removed what lost its owner."""
POLL_SECONDS = 0.1
GROUP = "probe.cdl.dev"
SCHEMA = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"text": {"type": "string"}}}},
}
KIND = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"words.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Word", "listKind": "WordList", "plural": "words", "singular": "word"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
    },
}
WORD = {"apiVersion": f"{GROUP}/v1", "kind": "Word", "metadata": {"name": "silence"}, "spec": {"text": ""}}
KINDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WORDS_PATH = f"/apis/{GROUP}/v1/namespaces/default/words"
MAPS_PATH = "/api/v1/namespaces/default/configmaps"


class FaultyError(Exception):
    """The programs start and do the wrong thing; they will next time."""


def fault(binaries: Binaries, say: Callable[[str], None]) -> str:
    """Say in a few words what is wrong with the programs, nothing when they work; once found out, it is remembered."""
    with _alone() as folder:
        known = _remembered()
        mark = _mark(binaries)
        if mark in known:
            return known[mark]
        say(f"trying out the control plane from {binaries.origin}")
        try:
            _try_out(binaries, folder)
            found = ""
        except FaultyError as error:
            found = str(error)
        except (StackError, ControlPlaneError, OSError) as error:
            return f"it could not be tried out: {error}"  # which may be the machine's fault: not remembered
        _remember({**known, mark: found})
        return found


def sweep() -> None:
    """End what a try that was killed left behind."""
    if (cache() / "probe").exists():
        with _alone():
            pass


@contextlib.contextmanager
def _alone() -> Iterator[Path]:
    """Hold the one folder where programs are tried out, empty at first and gone afterwards."""
    cache().mkdir(parents=True, exist_ok=True)
    folder = cache() / "probe"
    with (cache() / ".probe.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _clear(folder)
            yield folder
        finally:
            _clear(folder)


def _clear(folder: Path) -> None:
    if folder.exists():
        Stack(folder).stop(last=NEEDED[::-1])
        shutil.rmtree(folder)


def _try_out(binaries: Binaries, folder: Path) -> None:
    """Start the programs and use them.

    Raises:
        FaultyError: they do the wrong thing.
    """
    plane, stack = ControlPlane(folder, binaries, durable=False), Stack(folder)
    for service in (plane.etcd, plane.apiserver, plane.controller_manager):
        stack.start([service()])
    ask = _Client(plane)
    _until(SEEN_SECONDS, lambda: ask("GET", "/api/v1/namespaces/default")[0] == 200, "there is no namespace `default`")
    ask("POST", KINDS_PATH, KIND)
    _until(SEEN_SECONDS, lambda: ask("GET", WORDS_PATH)[0] == 200, "a new kind never became usable")
    try:
        status, answer = ask("POST", WORDS_PATH, WORD)
    except OSError as error:
        raise FaultyError(f"kube-apiserver dies of the first custom resource ({error})") from error
    if status != 201:
        raise FaultyError(
            f"kube-apiserver refuses a custom resource with an empty string: {answer.get('message', status)}"
        )
    _, owner = ask("POST", MAPS_PATH, _map("owner"))
    _, _ = ask("POST", MAPS_PATH, _map("owned", owner))
    ask("DELETE", f"{MAPS_PATH}/owner")
    gone = "kube-controller-manager does not remove what lost its owner"
    _until(COLLECTED_SECONDS, lambda: ask("GET", f"{MAPS_PATH}/owned")[0] == 404, gone)


class _Client:
    """Asks the API server, as its administrator."""

    def __init__(self, plane: ControlPlane) -> None:
        pair = plane.authority.pair(ADMIN[0], groups=ADMIN[1])
        context = ssl.create_default_context(cafile=plane.authority.certificate)
        context.load_cert_chain(pair.certificate, pair.key)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)
        self._server = plane.server

    def __call__(self, method: str, path: str, document: object = None) -> tuple[int, dict[str, object]]:
        """Give the status and what was answered; what is no JSON counts as nothing.

        Raises:
            OSError: there was no answer.
        """
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._server + path, data=body, method=method, headers=headers)  # noqa: S310 - our own server
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                return answer.status, _json(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _json(error.read())
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error


def _json(text: bytes) -> dict[str, object]:
    try:
        held = json.loads(text)
    except ValueError:
        return {}  # a path that is not served yet is answered in plain words
    return held if isinstance(held, dict) else {}


def _map(name: str, owner: dict[str, object] | None = None) -> dict[str, object]:
    metadata: dict[str, object] = {"name": name}
    if owner is not None:
        held = owner.get("metadata")
        uid = held.get("uid") if isinstance(held, dict) else None
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _until(seconds: float, question: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise FaultyError(otherwise)
        time.sleep(POLL_SECONDS)


def _mark(binaries: Binaries) -> str:
    """Name these very files: another build in the same place is another candidate."""
    facts = [(str(path), (at := path.stat()).st_size, at.st_mtime_ns) for path in binaries.paths]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _remembered() -> dict[str, str]:
    try:
        held = json.loads((cache() / "probed.json").read_text())
        return {str(mark): str(found) for mark, found in held.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _remember(known: dict[str, str]) -> None:
    beside = cache() / "probed.json.new"
    beside.write_text(json.dumps(known, indent=1))
    beside.replace(cache() / "probed.json")
