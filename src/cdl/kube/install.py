"""Teach an API server cdl's kinds, as its version can understand them, and where the admission server is.

Repeating it changes nothing, and installing a newer cdl over an older one keeps every stored object: a definition is
changed in place, never deleted and made again.
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from cdl.api.meta import API_VERSION
from cdl.api.v1alpha1 import KINDS
from cdl.ports.errors import Conflict, Unavailable

from .crds import definition
from .webhooks import configurations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .client import Api

RULES_SINCE = (1, 25)
"""From this version on definitions may carry rules; before it they would refuse the whole definition."""
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.05


def server_version(api: Api) -> tuple[int, int]:
    """Ask an API server for its version; (0, 0) when it does not say a number."""
    told = api.get("/version") or {}
    numbers = [re.match(r"\d+", str(told.get(part, ""))) for part in ("major", "minor")]
    major, minor = (int(found.group()) if found else 0 for found in numbers)
    return major, minor


def install_kinds(api: Api, *, patience: float = PATIENCE_SECONDS) -> tuple[str, ...]:
    """Create or update the definitions and wait until every kind can be used; give the definitions' names.

    Raises:
        Unavailable: the API server does not answer, or did not get ready in time.
        Rejected: it refuses a definition, as it does when stored objects need a version that this cdl has not.
    """
    rules = server_version(api) >= RULES_SINCE
    deadline = time.monotonic() + patience
    documents = [definition(kind, rules=rules) for kind in KINDS.values()]
    names = tuple(_put(api, document, deadline) for document in documents)
    for name in names:
        _until(deadline, f"{name} is established", partial(_established, api, name))
        _until(deadline, f"{name} can be listed", partial(_listed, api, name.partition(".")[0]))
    return names


def install_webhooks(api: Api, server: Mapping[str, object]) -> None:
    """Send every new and changed resource past an admission server (`webhooks.at_address`, `webhooks.at_service`)."""
    for document in configurations(server):
        collection = f"{WEBHOOKS}/{str(document['kind']).lower()}s"
        _create_or_merge(api, collection, document)


def remove_webhooks(api: Api) -> None:
    """Ask no admission server any more."""
    for document in configurations({"url": ""}):
        api.delete(f"{WEBHOOKS}/{str(document['kind']).lower()}s/{_name(document)}")


def _put(api: Api, document: Mapping[str, Any], deadline: float) -> str:
    name = _name(document)
    _until(deadline, f"the former {name} is gone", partial(_not_going, api, name))
    _create_or_merge(api, DEFINITIONS, document)
    return name


def _create_or_merge(api: Api, collection: str, document: Mapping[str, Any]) -> None:
    """What a list holds is replaced as a whole by a merge, and all that ever changes of ours is inside lists."""
    path = f"{collection}/{_name(document)}"
    if api.get(path) is None:
        try:
            api.create(collection, document)
        except Conflict:  # somebody was quicker
            api.merge_patch(path, document)
    else:
        api.merge_patch(path, document)


def _name(document: Mapping[str, Any]) -> str:
    return str(document["metadata"]["name"])


def _not_going(api: Api, name: str) -> bool:
    there = api.get(f"{DEFINITIONS}/{name}")
    return there is None or "deletionTimestamp" not in there["metadata"]


def _established(api: Api, name: str) -> bool:
    there = api.get(f"{DEFINITIONS}/{name}") or {}
    conditions = (there.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _listed(api: Api, plural: str) -> bool:
    return api.get(f"/apis/{API_VERSION}/{plural}", limit="1") is not None


def _until(deadline: float, what: str, happened: Callable[[], bool]) -> None:
    while not happened():
        if time.monotonic() > deadline:
            message = f"waited in vain until {what}"
            raise Unavailable(message)
        time.sleep(PAUSE_SECONDS)
