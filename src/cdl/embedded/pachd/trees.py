"""What a commit holds: paths, the parts under each tag, and the sorted index that answers questions about them.

Pure: changes in, trees out. A file's parts are kept per tag (`default` for people, the datum's id for pipelines),
because parts of different tags never merge.
"""

import bisect
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cdl.embedded.pachd import globs
from cdl.embedded.pachd.blobs import EMPTY, Part, directory_digest

Parts = tuple[Part, ...]
Tree = dict[str, dict[str, Parts]]
DEFAULT_TAG = "default"
Row = tuple[str, str, str, bytes, int]
"""A change as the database gives it: to make a Change of each costs as much as to apply it."""


class Change(NamedTuple):
    """One step from a base to a tree: put appends, set replaces, del removes, untag removes all that a datum wrote."""

    kind: str
    path: str
    tag: str
    digest: bytes = b""
    size: int = 0


def put(path: str, part: Part, tag: str = DEFAULT_TAG) -> Change:
    """Append a part to a path."""
    return Change("put", path, tag, part.digest, part.size)


def _append(found: Parts, part: Part) -> Parts:
    if not found:
        return (part,) if part.size else (EMPTY,)
    whole = (*found, part) if part.size else found
    return tuple(p for p in whole if p.size) or (EMPTY,)


def _drop(tree: Tree, path: str, tag: str) -> None:
    """Remove one tag's parts from a path."""
    kept = {t: parts for t, parts in tree[path].items() if t != tag}
    if kept:
        tree[path] = kept
    else:
        del tree[path]


def apply(tree: Tree, changes: Iterable[Change | Row]) -> Tree:
    """Make the tree that follows; the one given stays as it is."""
    made = dict(tree)
    for kind, path, tag, digest, size in changes:
        if kind in {"put", "set"}:
            part = Part(digest, size)
            tags = made.get(path, {})
            parts = _append(tags.get(tag, ()), part) if kind == "put" else (part,)
            made[path] = {**tags, tag: parts} if tags else {tag: parts}
        elif kind == "untag":
            for found in [p for p, tags in made.items() if tag in tags]:
                _drop(made, found, tag)
        elif path.endswith("/"):
            for found in [p for p, tags in made.items() if tag in tags and p.startswith(path)]:
                _drop(made, found, tag)
        elif tag in made.get(path, {}):
            _drop(made, path, tag)
    return made


def pack(tree: Tree) -> bytes:
    """Write a tree down."""
    rows = [
        (path, tag, [(p.digest.hex(), p.size) for p in parts])
        for path, tags in tree.items()
        for tag, parts in tags.items()
    ]
    return zlib.compress(json.dumps(rows).encode(), 1)


def unpack(body: bytes) -> Tree:
    """Read a tree that was written down."""
    tree: Tree = {}
    for path, tag, parts in json.loads(zlib.decompress(body)):
        tree.setdefault(path, {})[tag] = tuple(Part(bytes.fromhex(digest), size) for digest, size in parts)
    return tree


def fault(tree: Tree) -> str:
    """Say what makes a tree unfit to be finished; empty when nothing does."""
    for path, tags in tree.items():
        if len(tags) > 1:
            first, second = sorted(tags)[:2]
            return f"file {path} was written by more than one datum: {first} and {second}"
    torn = {at for folder in {path[: path.rfind("/")] for path in tree} for at in _up(folder) if at in tree}
    if torn:  # one look at each folder has found it; a look at each file says it in the order of the files
        path, at = next((path, at) for path in tree for at in _up(path[: path.rfind("/")]) if at in torn)
        return f"path {at} is both a file and a directory: {path} lies below it"
    return ""


def _up(folder: str) -> Iterator[str]:
    """Give a folder and every one above it, the root left out."""
    while folder:
        yield folder
        folder = folder[: folder.rfind("/")]


def size_of(tree: Tree) -> int:
    """Add up what the files hold."""
    return sum(part.size for tags in tree.values() for parts in tags.values() for part in parts)


class Entry(NamedTuple):
    """One file or directory; a directory's path ends in a slash, and its size and digest are of all below."""

    path: str
    size: int
    digest: bytes
    parts: Parts = ()
    tag: str = ""

    @property
    def is_dir(self) -> bool:
        """Tell whether this is a directory."""
        return self.path.endswith("/")


class Index:
    """A tree in order, with its directories: answers list, walk, glob and inspect."""

    def __init__(self, tree: Tree, digest_of: Callable[[Parts], bytes]) -> None:
        self.entries: dict[str, Entry] = {}
        children: dict[str, list[Entry]] = {"/": []} if tree else {}
        for path, tags in tree.items():
            parts = tuple(p for tag in sorted(tags) for p in tags[tag])
            parts = tuple(p for p in parts if p.size) or (EMPTY,)
            entry = Entry(path, sum(p.size for p in parts), digest_of(parts), parts, min(tags))
            self.entries[path] = entry
            folder = path[: path.rfind("/") + 1]
            if folder not in children:
                _open_folders(children, folder)
            children[folder].append(entry)
        for folder in sorted(children, key=lambda f: f.count("/") if f != "/" else 0, reverse=True):
            below = sorted(children[folder])
            digest = directory_digest([(e.path, e.digest) for e in below])
            entry = Entry(folder, sum(e.size for e in below), digest)
            self.entries[folder] = entry
            if folder != "/":
                children[_parent(folder)].append(entry)
        self.order = sorted(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, path: str) -> Entry | None:
        """Find a file or directory by its cleaned path; a file is found first."""
        if path == "/":
            return self.entries.get("/")
        return self.entries.get(path) or self.entries.get(path + "/")

    def below(self, prefix: str) -> Iterator[Entry]:
        """Give every entry whose path starts with `prefix`, in order."""
        for at in range(bisect.bisect_left(self.order, prefix), len(self.order)):
            path = self.order[at]
            if not path.startswith(prefix):
                return
            yield self.entries[path]

    def walk(self, path: str) -> Iterator[Entry]:
        """Give an entry and everything below it, in order; nothing when it is not there."""
        found = self.find(path)
        if found is None:
            return
        if found.is_dir:
            yield from self.below(found.path)
        else:
            yield found

    def children(self, path: str) -> Iterator[Entry]:
        """Give what lies directly in a directory, or the file itself."""
        found = self.find(path)
        if found is None:
            return
        if not found.is_dir:
            yield found
            return
        at = bisect.bisect_right(self.order, found.path)
        while at < len(self.order) and self.order[at].startswith(found.path):
            entry = self.entries[self.order[at]]
            yield entry
            # Past a directory, jump over all that lies below it: "0" follows "/" in ASCII.
            at = bisect.bisect_left(self.order, entry.path[:-1] + "0", at) if entry.is_dir else at + 1
            # "/a-b" sorts before "/a/": nothing between is lost, for the jump starts at the directory itself.

    def files(self, path: str) -> Iterator[Entry]:
        """Give the files at and below a path."""
        return (entry for entry in self.walk(path) if not entry.is_dir)

    def glob(self, pattern: str) -> Iterator[Entry]:
        """Give every file and directory that a cleaned pattern matches, in order."""
        if globs.is_literal(pattern):
            found = self.find(pattern)
            if found is not None:
                yield found
            return
        expression = globs.compiled(pattern)
        for entry in self.below(globs.literal(pattern)):
            if entry.path != "/" and expression.fullmatch(entry.path.rstrip("/")):
                yield entry


def _parent(folder: str) -> str:
    return folder[: folder.rstrip("/").rfind("/") + 1]


def _open_folders(children: dict[str, list[Entry]], folder: str) -> None:
    """Make sure a folder and all above it are known."""
    while folder not in children:
        children[folder] = []
        folder = _parent(folder)


def difference(new: Iterable[Entry], old: Iterable[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Merge two walks in order, giving the pairs that differ in hash or presence."""
    ours, theirs = {e.path: e for e in new}, {e.path: e for e in old}
    for path in sorted(ours.keys() | theirs.keys()):
        one, two = ours.get(path), theirs.get(path)
        if one is None or two is None or one.digest != two.digest:
            yield one, two
