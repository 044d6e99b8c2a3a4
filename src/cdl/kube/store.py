"""KubeStore: resources kept by an API server. Reads come from what was seen, writes go to the server and come back."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import ValidationError

from cdl.api.meta import Key
from cdl.api.refusal import explain
from cdl.api.v1alpha1 import Resource
from cdl.ports.errors import Conflict, Unavailable, Unreadable

from . import paths
from .cache import entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdl.api.v1alpha1.resource import Status

    from .cache import Entry
    from .client import Api, Document

R = TypeVar("R", bound=Resource)

PAGE = 500


class View(Protocol):
    """Where reads come from: the cache of a watch, or the server itself."""

    def get(self, key: Key) -> Entry | None:
        """Give what is known of a resource."""

    def of_kind(self, kind: str, namespace: str | None = None) -> tuple[Entry, ...]:
        """Give what is known of a kind."""

    def put(self, document: Document) -> bool:
        """Take in the answer to a write."""

    def drop(self, key: Key, uid: str) -> bool:
        """Learn that a resource is gone."""


class KubeStore:
    """A ResourceStore over an API server."""

    def __init__(
        self,
        api: Api,
        view: View,
        *,
        may_write: Callable[[], bool] = lambda: True,
        told: Callable[[Document, Document], None] | None = None,
    ) -> None:
        """`may_write` turns false when another operator may lead; `told` hears of each status written."""
        self._api = api
        self._view = view
        self._may_write = may_write
        self._told = told

    def get(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Give the resource; None when there is none.

        Raises:
            Unreadable: what is stored is no resource of this kind.
        """
        entry = self._view.get(Key(kind.__name__, namespace, name))
        return None if entry is None else _read(kind, entry)

    def list(self, kind: type[R], namespace: str | None = None) -> tuple[R, ...]:
        """Give every resource of a kind, of one namespace or of all; those that cannot be read are left out."""
        found: list[R] = []
        for entry in self._view.of_kind(kind.__name__, namespace):
            try:
                found.append(_read(kind, entry))
            except Unreadable:
                continue
        return tuple(found)

    def create(self, resource: R) -> R:
        """Make sure a resource of this name exists and give it. An existing one is given back unchanged."""
        self._guard()
        plain, meta = resource.plain(), resource.metadata
        body: Document = {name: plain[name] for name in ("apiVersion", "kind", "spec") if name in plain}
        body["metadata"] = {
            "name": meta.name,
            "namespace": meta.namespace,
            "labels": meta.labels,
            "annotations": meta.annotations,
        }
        try:
            stored = self._api.create(paths.collection(resource.kind, meta.namespace), body)
        except Conflict:
            there = self._there(resource.key)
            if there is None:  # it was deleted between the two
                raise
            stored = there
        self._view.put(stored)
        return _read(type(resource), entry_of(stored))

    def write_status(self, key: Key, status: Status, resource_version: str) -> None:
        """Replace the status; an equal one writes nothing; a resource that is gone is a success.

        Raises:
            Conflict: the resource changed since resource_version.
        """
        entry = self._current(key, resource_version)
        if entry is None:
            return
        before = entry.document.get("status") or {}
        change = _merge(before, _finite(status.model_dump(mode="json", by_alias=True, exclude_none=True)))
        if change:
            body = {"metadata": {"resourceVersion": resource_version}, "status": change}
            stored = self._write(key, f"{paths.resource(key)}/status", body)
            if stored is not None:
                self._view.put(stored)
                if self._told is not None:
                    self._told(entry.document, stored)

    def write_finalizers(self, key: Key, finalizers: tuple[str, ...], resource_version: str) -> None:
        """Replace the finalizers; a deleted resource without any is gone.

        Raises:
            Conflict: the resource changed since resource_version.
        """
        entry = self._current(key, resource_version)
        if entry is None or tuple(entry.document["metadata"].get("finalizers", ())) == finalizers:
            return
        meta = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        stored = self._write(key, paths.resource(key), {"metadata": meta})
        if stored is None:
            return
        if stored["metadata"].get("deletionTimestamp") and not stored["metadata"].get("finalizers"):
            self._view.drop(key, str(stored["metadata"]["uid"]))
        else:
            self._view.put(stored)

    def _current(self, key: Key, version: str) -> Entry | None:
        self._guard()
        entry = self._view.get(key)
        if entry is not None and str(entry.document["metadata"]["resourceVersion"]) != version:
            raise Conflict(f"{key}: changed since version {version or '(none)'}, now {entry.version}")
        return entry

    def _write(self, key: Key, path: str, body: Mapping[str, Any]) -> Document | None:
        """Patch; whoever was slower reads what is there now, so that the next try does not wait for the watch."""
        try:
            return self._api.merge_patch(path, body)
        except Conflict:
            now = self._there(key)
            if now is not None:
                self._view.put(now)
            raise

    def _there(self, key: Key) -> Document | None:
        """Read one resource from the server: by a list, for which no right is needed that a watch does not need."""
        found, _ = listed(self._api, key.kind, key.namespace, name=key.name)
        return found[0] if found else None

    def _guard(self) -> None:
        if not self._may_write():
            raise Unavailable("this operator does not lead any more, so it writes nothing")


def _read(kind: type[R], entry: Entry) -> R:
    if isinstance(entry.parsed, kind):
        return entry.parsed
    try:
        parsed = kind.read(entry.document)
    except ValidationError as error:
        raise Unreadable("; ".join(explain(error)[:3]), entry.document) from error
    entry.parsed = parsed
    return parsed


def _merge(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Give the merge patch that turns one document into the other; empty when they are the same."""
    change: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            inner = _merge(old, value)
            if inner:
                change[name] = inner
        elif name not in before or old != value:
            change[name] = value
    return change


def _finite(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out numbers that JSON cannot say; an API server refuses the whole status for one of them."""
    try:
        json.dumps(value, allow_nan=False)  # the quickest way to see that there are none, as nearly always
    except ValueError:
        return {name: _without_infinities(part) for name, part in value.items() if not _infinite(part)}
    return value


def _without_infinities(value: Any) -> Any:  # noqa: ANN401 - plain JSON data of any shape
    if isinstance(value, dict):
        return {k: _without_infinities(v) for k, v in value.items() if not _infinite(v)}
    if isinstance(value, list):
        return [_without_infinities(v) for v in value if not _infinite(v)]
    return value


def _infinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


class Live:
    """Reads from the server itself: for a command that asks once."""

    def __init__(self, api: Api) -> None:
        """Ask this server."""
        self._api = api

    def get(self, key: Key) -> Entry | None:
        """Ask for a resource."""
        document = self._api.get(paths.resource(key))
        return None if document is None else entry_of(document)

    def of_kind(self, kind: str, namespace: str | None = None) -> tuple[Entry, ...]:
        """Ask for a kind."""
        return tuple(entry_of(document) for document in listed(self._api, kind, namespace)[0])

    def put(self, document: Document) -> bool:
        """Keep nothing."""
        return True

    def drop(self, key: Key, uid: str) -> bool:
        """Keep nothing."""
        return True


def listed(
    api: Api, kind: str, namespace: str | None = None, page: int = PAGE, name: str = ""
) -> tuple[tuple[Document, ...], int]:
    """List a kind, or the one of that name, page by page, each document complete, with the version of the list."""
    found: list[Document] = []
    query = {"limit": str(page), **({"fieldSelector": f"metadata.name={name}"} if name else {})}
    while True:
        part = api.list(paths.collection(kind, namespace), **query)
        version = str(part.get("apiVersion", ""))
        found += [{"apiVersion": version, "kind": kind, **item} for item in part["items"]]
        more = str(part["metadata"].get("continue", ""))
        if not more:
            return tuple(found), int(part["metadata"]["resourceVersion"])
        query["continue"] = more
