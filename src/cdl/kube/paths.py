"""Where the API server keeps what: paths of our resources."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from cdl.api.meta import API_VERSION

if TYPE_CHECKING:
    from cdl.api.meta import Key


def plural(kind: str) -> str:
    """Give the name a kind has in paths."""
    return f"{kind.lower()}s"


def collection(kind: str, namespace: str | None = None) -> str:
    """Give the path of a kind's resources, in one namespace or in all."""
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{API_VERSION}{inside}/{plural(kind)}"


def resource(key: Key) -> str:
    """Give the path of one resource."""
    return f"{collection(key.kind, key.namespace)}/{quote(key.name, safe='')}"
