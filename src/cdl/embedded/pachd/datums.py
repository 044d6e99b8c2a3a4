"""What a job has to do: its datums, their ids and hashes, and which of them were done before.

Pure but for the indexes that are handed in.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cdl.embedded.pachd import globs
from cdl.embedded.pachd.inputs import Leaf, Node
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.trees import Index

MOST = 1_000_000  # datums of one job; a cross grows faster than anybody means it to


class File(NamedTuple):
    """One match of a leaf's glob, with the words by which it is joined and grouped."""

    leaf: Leaf
    path: str
    digest: bytes
    size: int
    joined: str
    grouped: str


Files = tuple[File, ...]


class Datum(NamedTuple):
    """One piece of work."""

    id: str
    hash: str
    files: Files


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


def datum_id(files: Iterable[File]) -> str:
    """Name a datum by where its inputs lie; the project is not part of it."""
    found = hashlib.blake2b(digest_size=32)
    for file in files:
        found.update(_lengthy(file.leaf.name, file.leaf.repo.name, file.leaf.branch, file.path))
    return found.hexdigest()


def datum_hash(key: str, files: Iterable[File], salt: str) -> str:
    """Name a datum's state by what its inputs hold; those that are only referred to do not count."""
    found = hashlib.blake2b(key.encode(), digest_size=32)
    for file in files:
        if not file.leaf.reference:
            found.update(file.digest)
    found.update(salt.encode())
    return found.hexdigest()


def of_input(node: Node, indexes: Sequence[Index], salt: str) -> list[Datum]:
    """List the datums of an input. `indexes` are those of its leaves, by number."""
    made: dict[str, Datum] = {}
    for files in _found(node, indexes):
        key = datum_id(files)
        if key not in made:
            made[key] = Datum(key, datum_hash(key, files, salt), files)
        if len(made) > MOST:
            raise RefusedError(f"the input makes more than {MOST} datums; narrow its globs")
    return list(made.values())


def _found(node: Node, indexes: Sequence[Index]) -> Iterator[Files]:
    """Give what each datum of a node reads."""
    if node.leaf is not None:
        yield from _matches(node.leaf, indexes[node.leaf.number])
    elif node.kind == "union":
        for below in node.below:
            yield from _found(below, indexes)
    elif node.kind == "cross":
        yield from _product([list(_found(below, indexes)) for below in node.below])
    elif node.kind == "join":
        yield from _joined(node, indexes)
    else:
        yield from _grouped(node, indexes)


def _matches(leaf: Leaf, index: Index) -> Iterator[Files]:
    for entry in index.glob(leaf.glob):
        joined = globs.expand(leaf.glob, entry.path, leaf.join_on) if leaf.join_on else ""
        grouped = globs.expand(leaf.glob, entry.path, leaf.group_by) if leaf.group_by else ""
        yield (File(leaf, entry.path, entry.digest, entry.size, joined, grouped),)


def _product(arms: list[list[Files]]) -> Iterator[Files]:
    for chosen in itertools.product(*arms):
        yield tuple(itertools.chain.from_iterable(chosen))


def _joined(node: Node, indexes: Sequence[Index]) -> Iterator[Files]:
    """Pair what has the same word; what finds no partner is kept where the join is an outer one."""
    arms: list[dict[str, list[Files]]] = []
    for below in node.below:
        arm: dict[str, list[Files]] = {}
        for files in _found(below, indexes):
            arm.setdefault("".join(file.joined for file in files), []).append(files)
        arms.append(arm)
    for word in sorted(set().union(*arms)):
        there = [arm[word] for arm in arms if word in arm]
        if len(there) < len(arms):
            there = [found for found in there if found[0][0].leaf.outer]
        if there:
            yield from _product(there)


def _grouped(node: Node, indexes: Sequence[Index]) -> Iterator[Files]:
    """Put everything with the same word into one datum."""
    groups: dict[str, list[File]] = {}
    for below in node.below:
        for files in _found(below, indexes):
            groups.setdefault("".join(file.grouped for file in files), []).extend(files)
    for word in sorted(groups):
        yield tuple(groups[word])


def plan(found: list[Datum], done: Mapping[str, str], *, everything: bool, tags: Iterable[str]) -> Plan:
    """Decide what to process. `done` maps the base job's good datums to their hashes; `tags` are in its output."""
    skip = tuple(d for d in found if not everything and done.get(d.id) == d.hash)
    kept = {d.id for d in skip}
    process = tuple(d for d in found if d.id not in kept)
    return Plan(process, skip, tuple(sorted(set(tags) - kept)))
