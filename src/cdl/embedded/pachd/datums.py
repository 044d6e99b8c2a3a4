"""What a job has to do: its datums, their ids and hashes, and which of them were done before.

Pure but for the index that is handed in.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cdl.embedded.pachd.trees import Index
from cdl.embedded.pachd.wire import Msg


class Datum(NamedTuple):
    """One piece of work: one match of the input's glob."""

    id: str
    hash: str
    path: str
    size: int


class Plan(NamedTuple):
    """What a job will do: process some, skip some, and remove the outputs of what is gone or done again."""

    process: tuple[Datum, ...]
    skip: tuple[Datum, ...]
    remove: tuple[str, ...]


def _lengthy(*texts: str) -> bytes:
    """Write texts, each followed by its length, so that no two lists look alike."""
    out = b""
    for text in texts:
        body = text.encode()
        out += body + len(body).to_bytes(8, "big", signed=True)
    return out


def datum_id(name: str, repo: str, branch: str, path: str) -> str:
    """Name a datum by where its input lies; the project is not part of it."""
    return hashlib.blake2b(_lengthy(name, repo, branch, path), digest_size=32).hexdigest()


def datum_hash(key: str, files: Iterable[bytes], salt: str) -> str:
    """Name a datum's state by what its input holds."""
    found = hashlib.blake2b(key.encode(), digest_size=32)
    for digest in files:
        found.update(digest)
    found.update(salt.encode())
    return found.hexdigest()


def of_input(source: Msg, index: Index, salt: str) -> list[Datum]:
    """List the datums of a pfs input: one for each match of its glob."""
    made: dict[str, Datum] = {}
    for entry in index.glob(source.glob):
        key = datum_id(source.name, source.repo, source.branch, entry.path)
        files = () if source.reference else (entry.digest,)
        made.setdefault(key, Datum(key, datum_hash(key, files, salt), entry.path, entry.size))
    return list(made.values())


def plan(found: list[Datum], done: Mapping[str, str], *, everything: bool, tags: Iterable[str]) -> Plan:
    """Decide what to process. `done` maps the base job's good datums to their hashes; `tags` are in its output."""
    skip = tuple(d for d in found if not everything and done.get(d.id) == d.hash)
    kept = {d.id for d in skip}
    process = tuple(d for d in found if d.id not in kept)
    return Plan(process, skip, tuple(sorted(set(tags) - kept)))
