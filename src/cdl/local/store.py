"""LocalStore: resources in one SQLite file, kept by the rules of a Kubernetes API server."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from cdl.api.canonical import canonical
from cdl.api.conditions import Reason
from cdl.api.meta import API_VERSION, APPLIED_BY_ANNOTATION, Key
from cdl.api.refusal import explain
from cdl.api.rules import changed
from cdl.api.v1alpha1 import KINDS, Resource, parse
from cdl.ports.errors import Conflict, Rejected, Unreadable

from .file import File
from .patch import patched

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from cdl.api.v1alpha1.resource import Status

R = TypeVar("R", bound=Resource)
Outcome = Literal["created", "configured", "unchanged"]
Plain = dict[str, object]

SERVED = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
"""Metadata that the store writes; what a document says of it is not taken over."""
REMEMBERED_DELETIONS = 1000
_ROW = "SELECT version, document, status, applied FROM resource WHERE kind = ? AND namespace = ? AND name = ?"
_ROWS = (
    "SELECT version, document, status, kind, namespace, name FROM resource"
    " WHERE kind = coalesce(?, kind) AND namespace = coalesce(?, namespace) ORDER BY kind, namespace, name"
)


class LocalStore:
    """A ResourceStore for one machine; threads and processes may use the same file at once."""

    def __init__(self, path: Path, user: str = "") -> None:
        """Open the file, or make it, for a user; see File for what can be wrong with it."""
        self._file = File(path)
        self._user = user

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    # --- the port ----------------------------------------------------------------------------------------------------

    def get(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Give the resource; None when there is none.

        Raises:
            Unreadable: when what is stored cannot be read as the kind.
        """
        key = Key(kind.__name__, namespace, name)
        with self._file.reading() as db:
            row = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
        return None if row is None else _read(kind, key, _whole(row[0], row[1], row[2]))

    def list(self, kind: type[R], namespace: str | None = None) -> tuple[R, ...]:
        """Give every resource of a kind; one that cannot be read is left out and named by `unreadable`."""
        found: list[R] = []
        for key, document in self._rows(kind.__name__, namespace):
            try:
                found.append(_read(kind, key, document))
            except Rejected:
                continue
        return tuple(found)

    def create(self, resource: R) -> R:
        """Make sure a resource of this name exists and give it. An existing one is given back unchanged."""
        key = resource.key
        with self._file.writing() as db:
            row = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
            stored = _whole(row[0], row[1], row[2]) if row else _insert(db, key, resource.plain(), {})
        return _read(type(resource), key, stored)

    def write_status(self, key: Key, status: Status, resource_version: str) -> None:
        """Replace the status; an equal one writes nothing; a resource that is gone is a success.

        Raises:
            Conflict: the resource changed since resource_version.
        """
        with self._file.writing() as db:
            row = _fresh(db, key, resource_version)
            if row is not None and not _says(row[2], status):
                _update(db, key, status=status.model_dump_json(by_alias=True, exclude_none=True))

    def write_finalizers(self, key: Key, finalizers: tuple[str, ...], resource_version: str) -> None:
        """Replace the finalizers; a deleted resource without any is gone.

        Raises:
            Conflict: the resource changed since resource_version.
        """
        with self._file.writing() as db:
            row = _fresh(db, key, resource_version)
            if row is None:
                return
            document = json.loads(row[1])
            metadata = document["metadata"]
            if tuple(metadata.get("finalizers", ())) == finalizers:
                return
            metadata["finalizers"] = list(finalizers)
            if metadata.get("deletionTimestamp") and not finalizers:
                _remove(db, key)
            else:
                _update(db, key, document=json.dumps(document))

    # --- for the command line ----------------------------------------------------------------------------------------

    def apply(self, document: Mapping[str, object]) -> tuple[Outcome, Resource]:
        """Make the stored resource as the document says, as `kubectl apply` would.

        Labels and annotations that an earlier apply set and this document lacks go; those that others set stay.
        A spec that is new is signed with the user's name over whatever the document says, as admission does.

        Raises:
            ValueError: the document is no valid resource; a pydantic.ValidationError has every fault.
            Conflict: the resource is being deleted.
            Rejected: it would change what may never change; the sentences are those of admission.
        """
        wanted = parse(document, KINDS)
        key, plain = wanted.key, wanted.plain()
        outcome: Outcome = "unchanged"
        with self._file.writing() as db:
            row = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
            if row is None:
                plain = _signed(plain, self._user) if self._user else plain
                outcome, stored = "created", _insert(db, key, plain, _set_by(plain))
            else:
                stored = _whole(row[0], row[1], row[2])
                if self._user:
                    same = _normal(key, stored) == plain["spec"]
                    plain = _signed(plain, _notes(stored).get(APPLIED_BY_ANNOTATION) if same else self._user)
                merged = _merged(key, stored, plain, json.loads(row[3]))
                applied = canonical(_set_by(plain)).decode()
                if merged is not None:
                    outcome = "configured"
                    stored = _update(db, key, document=json.dumps(merged), applied=applied)
                elif applied != row[3]:
                    db.execute(
                        "UPDATE resource SET applied = ? WHERE kind = ? AND namespace = ? AND name = ?",
                        (applied, key.kind, key.namespace, key.name),
                    )
        return outcome, _read(KINDS[key.kind], key, stored)

    def delete(self, key: Key) -> bool:
        """Ask for a resource to go; it is gone once it has no finalizers. False: there was none."""
        with self._file.writing() as db:
            row = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
            if row is None:
                return False
            document = json.loads(row[1])
            metadata = document["metadata"]
            if not metadata.get("finalizers"):
                _remove(db, key)
            elif not metadata.get("deletionTimestamp"):
                metadata["deletionTimestamp"] = _now()
                _update(db, key, document=json.dumps(document))
            return True

    def change(self, key: Key, part: Mapping[str, object]) -> Resource:
        """Change some fields of metadata or spec as a merge patch does; None takes a field away. The next apply wins.

        Raises:
            ValueError: the resource would not be valid.
            Conflict: the resource is being deleted.
            Rejected: there is no such resource, or it would change what may never change.
        """
        with self._file.writing() as db:
            row = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
            if row is None:
                message = f"{key}: there is no such resource"
                raise Rejected(message)
            stored = _whole(row[0], row[1], row[2])
            whole = patched(stored, part)
            wanted = parse({**whole, "status": {}}, KINDS).plain()
            merged = _merged(key, stored, wanted, _set_by(stored))
            if merged is not None:
                stored = _update(db, key, document=json.dumps(merged))
        return _read(KINDS[key.kind], key, stored)

    def annotate(self, key: Key, name: str, value: str) -> None:
        """Set one annotation; the value it has already writes nothing.

        Raises:
            Rejected: there is no such resource.
        """
        with self._file.writing() as db:
            row = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
            if row is None:
                message = f"{key}: there is no such resource"
                raise Rejected(message)
            document = json.loads(row[1])
            annotations = document["metadata"].setdefault("annotations", {})
            if annotations.get(name) != value:
                annotations[name] = value
                _update(db, key, document=json.dumps(document))

    def documents(self, kind: str | None = None, namespace: str | None = None) -> tuple[Plain, ...]:
        """Give resources as plain documents, also those that cannot be read."""
        return tuple(document for _, document in self._rows(kind, namespace))

    def unreadable(self) -> tuple[tuple[Key, str], ...]:
        """Name every stored document that cannot be read, with one sentence why."""
        found: list[tuple[Key, str]] = []
        for key, document in self._rows(None, None):
            try:
                _read(KINDS.get(key.kind, Resource), key, document)
            except Rejected as error:
                found.append((key, str(error)))
        return tuple(found)

    def changed_since(self, version: int) -> tuple[int, tuple[Key, ...]]:
        """Say which resources were written or removed after a version, and the version now; start with 0."""
        with self._file.reading() as db:
            now = int(db.execute("SELECT version FROM counter").fetchone()[0])
            if now == version:
                return now, ()
            since = version if version < now else 0
            rows = db.execute(
                "SELECT kind, namespace, name FROM resource WHERE version > :since UNION"
                " SELECT kind, namespace, name FROM gone WHERE version > :since ORDER BY 1, 2, 3",
                {"since": since},
            ).fetchall()
        return now, tuple(Key(*row) for row in rows)

    def _rows(self, kind: str | None, namespace: str | None) -> tuple[tuple[Key, Plain], ...]:
        with self._file.reading() as db:
            rows = db.execute(_ROWS, (kind, namespace)).fetchall()
        return tuple((Key(*row[3:]), _whole(*row[:3])) for row in rows)


def _read(kind: type[R], key: Key, document: Plain) -> R:
    try:
        return kind.read(document)
    except ValidationError as error:
        message = f"{key}: what is stored cannot be read: {explain(error)[0]}"
        raise Unreadable(message, document) from error


def _says(stored: str, status: Status) -> bool:
    try:
        return type(status).model_validate_json(stored) == status
    except ValidationError:
        return False


def _whole(version: int, document: str, status: str) -> Plain:
    whole: Plain = json.loads(document)
    metadata = whole["metadata"]
    if isinstance(metadata, dict):
        metadata["resourceVersion"] = str(version)
    whole["status"] = json.loads(status)
    return whole


def _fresh(db: sqlite3.Connection, key: Key, version: str) -> tuple[int, str, str] | None:
    row: tuple[int, str, str] | None = db.execute(_ROW, (key.kind, key.namespace, key.name)).fetchone()
    if row is not None and str(row[0]) != version:
        message = f"{key}: changed since version {version or '(none)'}, now {row[0]}"
        raise Conflict(message)
    return row


def _next(db: sqlite3.Connection) -> int:
    return int(db.execute("UPDATE counter SET version = version + 1 RETURNING version").fetchone()[0])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _part(document: Mapping[str, object], name: str) -> Plain:
    part = document.get(name)
    return dict(part) if isinstance(part, dict) else {}


def _set_by(plain: Plain) -> dict[str, list[str]]:
    """What an apply is remembered by, so that the next one can take it away again."""
    metadata = _part(plain, "metadata")
    return {name: sorted(_part(metadata, name)) for name in ("annotations", "labels")}


def _notes(plain: Plain) -> Plain:
    return _part(_part(plain, "metadata"), "annotations")


def _signed(plain: Plain, who: object) -> Plain:
    """Write who applied a document over what it says of that itself; of nobody it says nothing."""
    notes = {name: value for name, value in _notes(plain).items() if name != APPLIED_BY_ANNOTATION}
    signed = {**notes, APPLIED_BY_ANNOTATION: who} if who else notes
    return {**plain, "metadata": {**_part(plain, "metadata"), "annotations": signed}}


def _insert(db: sqlite3.Connection, key: Key, plain: Plain, applied: Mapping[str, list[str]]) -> Plain:
    metadata = {k: v for k, v in _part(plain, "metadata").items() if k not in SERVED}
    metadata |= {"uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": _now()}
    document = json.dumps({"apiVersion": API_VERSION, "kind": key.kind, "metadata": metadata, "spec": plain["spec"]})
    version = _next(db)
    db.execute(
        "INSERT INTO resource (kind, namespace, name, version, document, status, applied) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.kind, key.namespace, key.name, version, document, "{}", canonical(applied).decode()),
    )
    db.execute("DELETE FROM gone WHERE kind = ? AND namespace = ? AND name = ?", (key.kind, key.namespace, key.name))
    return _whole(version, document, "{}")


def _update(
    db: sqlite3.Connection,
    key: Key,
    *,
    document: str | None = None,
    status: str | None = None,
    applied: str | None = None,
) -> Plain:
    row = db.execute(
        "UPDATE resource SET version = ?, document = coalesce(?, document), status = coalesce(?, status),"
        " applied = coalesce(?, applied) WHERE kind = ? AND namespace = ? AND name = ?"
        " RETURNING version, document, status",
        (_next(db), document, status, applied, key.kind, key.namespace, key.name),
    ).fetchone()
    return _whole(*row)


def _remove(db: sqlite3.Connection, key: Key) -> None:
    version = _next(db)
    db.execute(
        "DELETE FROM resource WHERE kind = ? AND namespace = ? AND name = ?", (key.kind, key.namespace, key.name)
    )
    db.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, ?, ?)", (key.kind, key.namespace, key.name, version))
    db.execute(
        "DELETE FROM gone WHERE version <= (SELECT version FROM gone ORDER BY version DESC LIMIT 1 OFFSET ?)",
        (REMEMBERED_DELETIONS,),
    )


def _merged(key: Key, stored: Plain, wanted: Plain, applied: Mapping[str, list[str]]) -> Plain | None:
    """The stored document as the wanted one changes it; None when nothing changes."""
    before, metadata = _part(stored, "metadata"), _part(stored, "metadata")
    metadata.pop("resourceVersion", None)
    for name in ("annotations", "labels"):
        others = {k: v for k, v in _part(before, name).items() if k not in applied.get(name, ())}
        metadata[name] = {**others, **_part(_part(wanted, "metadata"), name)}
    spec = _normal(key, stored)
    same_spec = spec == wanted["spec"]
    if same_spec and all(metadata[name] == _part(before, name) for name in ("annotations", "labels")):
        return None
    if before.get("deletionTimestamp"):
        message = f"{key}: is being deleted; apply it again once it is gone"
        raise Conflict(message)
    if not same_spec:
        refused = changed(key.kind, wanted, {"spec": spec})
        if refused:
            message = f"{key}: {'; '.join(refused)}"
            raise Rejected(message, Reason.INVALID_SPEC)
        metadata["generation"] = int(str(before.get("generation", 0))) + 1
    return {"apiVersion": API_VERSION, "kind": key.kind, "metadata": metadata, "spec": wanted["spec"]}


def _normal(key: Key, stored: Plain) -> object:
    """The stored spec with today's defaults, so that a default written out is no change."""
    try:
        return KINDS[key.kind].read({**stored, "status": {}}).plain()["spec"]
    except ValidationError:
        return stored["spec"]
