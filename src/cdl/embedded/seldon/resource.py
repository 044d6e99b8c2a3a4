"""Create, replace, patch, apply, delete: what a custom resource does on an API server."""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from cdl.embedded.seldon import patches
from cdl.embedded.seldon.fields import Object, listing, mapping, meta, text, whole
from cdl.embedded.seldon.refusals import (
    Refusal,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
)
from cdl.embedded.seldon.store import Store
from cdl.embedded.seldon.validation import faults, identity_faults

# What only the server writes: taken from the stored object, whatever a caller sends.
SERVERS_OWN = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def now() -> str:
    """Give the time as Kubernetes spells it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Resource:
    """The verbs, on a store; every rule that is broken is a Refusal and changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, namespace: str, name: str) -> Object:
        """Give the object."""
        found = self._store.get(namespace, name)
        if found is None:
            raise not_found(name)
        return found

    def create(self, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object."""
        document = copy.deepcopy(body)
        metadata = document["metadata"] = dict(meta(document))
        if not metadata.get("name") and text(metadata.get("generateName")):
            metadata["name"] = f"{metadata['generateName']}{secrets.token_hex(3)[:5]}"
        name = text(metadata.get("name"))
        if metadata.get("namespace", namespace) != namespace:
            raise bad_request(f"the namespace of the object ({metadata['namespace']}) is not that of the request")
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        metadata["namespace"] = namespace
        if "name" not in metadata:
            raise invalid("", [("metadata.name", "is missing; expected a name")])
        _check(document, name)
        if self._store.get(namespace, name) is not None:
            raise already_exists(name)
        for field in (*SERVERS_OWN, "managedFields"):
            metadata.pop(field, None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
        document.pop("status", None)
        return document if dry_run else self._store.put(document, "ADDED")

    def replace(self, namespace: str, name: str, body: Object, part: str = "", *, dry_run: bool = False) -> Object:
        """Put the body in the object's place; it must carry the resource version that it was made from."""
        live = self.get(namespace, name)
        if meta(body).get("name", name) != name:
            raise bad_request("the name of the object does not match the name on the URL")
        version = text(meta(body).get("resourceVersion"))
        if not version and not part:
            raise invalid(name, [("metadata.resourceVersion", "must be specified for an update")])
        return self._change(live, lambda _: body, part, version, dry_run=dry_run)

    def merge(self, namespace: str, name: str, patch: Object, part: str = "", *, dry_run: bool = False) -> Object:
        """Apply a merge patch."""
        live = self.get(namespace, name)
        version = text(meta(patch).get("resourceVersion"))
        return self._change(live, lambda old: mapping(patches.merged(old, patch)), part, version, dry_run=dry_run)

    def apply(
        self, namespace: str, name: str, wish: Object, applier: str, *, part: str = "", force: bool, dry_run: bool
    ) -> tuple[Object, bool]:
        """Apply on the server's side; also says whether the object is new."""
        if not applier:
            raise invalid(name, [("fieldManager", "is required for apply patch")])
        if meta(wish).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        named: Object = {**wish, "metadata": {**meta(wish), "name": meta(wish).get("name", name)}}
        if meta(named).get("name") != name:
            raise bad_request("the name of the object does not match the name on the URL")
        live = self._store.get(namespace, name)
        if live is None:
            if part or meta(wish).get("uid"):
                raise not_found(name) if part else conflict(name, "uid mismatch: the object does not exist")
            created = self.create(namespace, named, dry_run=dry_run)
            if not dry_run:
                self._store.remember_applied(namespace, name, {applier: wish})
            return created, True
        owners = self._store.applied(namespace, name)
        before = owners.pop(applier, {})
        disputed = patches.conflicts(live, wish, owners)
        if disputed and not force:
            raise _disputed(name, disputed)
        owners = {other: patches.disowned(owned, wish) for other, owned in owners.items()}
        version = text(meta(wish).get("resourceVersion"))
        changed = self._change(
            live, lambda old: patches.applied(old, named, before, owners), part, version, dry_run=dry_run
        )
        if not dry_run:
            self._store.remember_applied(namespace, name, {**owners, applier: wish})
        return changed, False

    def delete(self, namespace: str, name: str, options: Object, *, dry_run: bool = False) -> Object:
        """Remove the object; one with finalizers is marked and goes with the last of them."""
        live = self.get(namespace, name)
        for field, wanted in mapping(options.get("preconditions")).items():
            if wanted is not None and meta(live).get(field) != wanted:
                raise conflict(name, f"the {field} in the precondition ({wanted}) is not that of the object")
        if dry_run:
            return live
        if listing(meta(live).get("finalizers")):
            if "deletionTimestamp" in meta(live):
                return live
            marks = {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
            raised = {"generation": whole(meta(live).get("generation")) + 1}
            return self._store.put({**live, "metadata": {**meta(live), **marks, **raised}}, "MODIFIED")
        return self._store.remove(live)

    def _change(
        self, live: Object, edit: Callable[[Object], Object], part: str, version: str, *, dry_run: bool
    ) -> Object:
        name = text(meta(live).get("name"))
        edited = copy.deepcopy(edit(copy.deepcopy(live)))
        if version and version != meta(live).get("resourceVersion"):
            raise conflict(
                name, "the object has been modified; please apply your changes to the latest version and try again"
            )
        uid = meta(edited).get("uid")
        if uid is not None and uid != meta(live).get("uid"):
            raise conflict(name, f"the uid in the request ({uid}) is not that of the object")
        changed = _status_only(live, edited) if part == "status" else _all_but_status(live, edited)
        if part != "status":
            _check(changed, name)
        if meta(changed).get("deletionTimestamp") and not listing(meta(changed).get("finalizers")):
            return changed if dry_run else self._store.remove(changed)
        if changed == live or dry_run:
            return changed
        return self._store.put(changed, "MODIFIED")


def _status_only(live: Object, edited: Object) -> Object:
    return {**{k: v for k, v in live.items() if k != "status"}, **{k: edited[k] for k in ("status",) if k in edited}}


def _all_but_status(live: Object, edited: Object) -> Object:
    metadata = {k: v for k, v in meta(edited).items() if k not in (*SERVERS_OWN, "managedFields")}
    kept = {k: v for k, v in meta(live).items() if k in (*SERVERS_OWN, "name", "namespace", "resourceVersion")}
    changed: Object = {**{k: v for k, v in edited.items() if k != "status"}, "metadata": {**metadata, **kept}}
    if "status" in live:
        changed["status"] = live["status"]
    if changed.get("spec") != live.get("spec"):
        mapping(changed["metadata"])["generation"] = whole(meta(live).get("generation")) + 1
    return changed


def _check(document: Object, name: str) -> None:
    wrong = identity_faults(document) or faults(document)
    if wrong:
        raise invalid(name, wrong)


def _disputed(name: str, disputed: list[tuple[str, str]]) -> Refusal:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{applier}"', "field": field}
        for applier, field in disputed
    ]
    owners = ", ".join(f'"{applier}": {field}' for applier, field in disputed)
    refusal = conflict(name, "")
    plural = "s" if len(disputed) > 1 else ""
    message = f"Apply failed with {len(disputed)} conflict{plural}: conflict{plural} with {owners}"
    return Refusal(409, "Conflict", message, {**refusal.details, "causes": causes})
