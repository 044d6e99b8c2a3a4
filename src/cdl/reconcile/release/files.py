"""What differs between two folders of code, and between the files of two commits of data."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cdl.api.meta import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LISTED = 20
"""Files that are named; all are counted."""
LONGEST_TEXT = 1 << 20
"""Bytes of a file that is compared line by line."""
TOP = 2
"""Parts of a path that a folder and a file make."""
Sort = Literal["added", "removed", "changed"]


class CodeFile(Frozen):
    """One file of code that differs."""

    path: str = Field(description="Where it lies in the archive.")
    change: Sort = Field(description="added, removed or changed.")
    added: int | None = Field(None, description="Lines only B has; absent: it is no text.")
    removed: int | None = Field(None, description="Lines only A has; absent: it is no text.")
    text: str = Field("", description="The difference as a unified diff, where it was asked for.")


class CodeDiff(Frozen):
    """One archive of code."""

    part: str = Field(description="model or serve.")
    a: str = Field("", description="Digest of A's archive; empty: there is none.")
    b: str = Field("", description="Digest of B's archive; empty: there is none.")
    files: tuple[CodeFile, ...] = Field((), description="Files that differ.")
    unread: str = Field("", description="Why the archives were not compared file by file.")


class DataDiff(Frozen):
    """One side of the data."""

    side: str = Field(description="train or test.")
    a: str = Field("", description="A's commit.")
    b: str = Field("", description="B's commit.")
    added: int = Field(0, description="Files only B has.")
    removed: int = Field(0, description="Files only A has.")
    changed: int = Field(0, description="Files of the same name with other content.")
    relabelled: int = Field(0, description="Files with the same content in another label's folder; in no other count.")
    first: tuple[str, ...] = Field((), description="The first of them, each with what became of it.")
    classes_a: dict[str, int] = Field(default_factory=dict, description="A's files by label, where folders are labels.")
    classes_b: dict[str, int] = Field(default_factory=dict, description="B's files by label.")
    unread: str = Field("", description="Why the files were not compared.")


def code_files(a: Mapping[str, bytes], b: Mapping[str, bytes], *, full: bool) -> tuple[CodeFile, ...]:
    """Compare two folders of code; `full` adds the lines."""
    paths = sorted({*a, *b})
    return tuple(_code_file(path, a.get(path), b.get(path), full=full) for path in paths if a.get(path) != b.get(path))


def _code_file(path: str, a: bytes | None, b: bytes | None, *, full: bool) -> CodeFile:
    change: Sort = "added" if a is None else "removed" if b is None else "changed"
    old, new = _lines(a), _lines(b)
    if old is None or new is None:
        return CodeFile(path=path, change=change)
    lines = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}"))
    body = lines[2:]
    return CodeFile(
        path=path,
        change=change,
        added=sum(line.startswith("+") for line in body),
        removed=sum(line.startswith("-") for line in body),
        text="".join(line if line.endswith("\n") else f"{line}\n" for line in lines) if full else "",
    )


def _lines(content: bytes | None) -> list[str] | None:
    """The lines of a text; None when it is none, or too long a one."""
    if content is None:
        return []
    if len(content) > LONGEST_TEXT or b"\0" in content:
        return None
    try:
        return content.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None


def data_files(
    side: str, commits: tuple[str, str], a: Mapping[str, str], b: Mapping[str, str], listed: int = LISTED
) -> DataDiff:
    """Compare the files of two commits: path to digest; at most so many are named."""
    gone, come = {p: a[p] for p in a.keys() - b.keys()}, {p: b[p] for p in b.keys() - a.keys()}
    moved = dict(_relabelled(gone, come))
    added = sorted(come.keys() - set(moved.values()))
    removed = sorted(gone.keys() - moved.keys())
    changed = sorted(p for p in a.keys() & b.keys() if a[p] != b[p])
    named = [
        *(f"{old}: {_label(old)} -> {_label(new)}" for old, new in sorted(moved.items())),
        *(f"{path}: added" for path in added),
        *(f"{path}: removed" for path in removed),
        *(f"{path}: changed" for path in changed),
    ]
    return DataDiff(
        side=side,
        a=commits[0],
        b=commits[1],
        added=len(added),
        removed=len(removed),
        changed=len(changed),
        relabelled=len(moved),
        first=tuple(named[:listed]),
        classes_a=_classes(a),
        classes_b=_classes(b),
    )


def _relabelled(gone: Mapping[str, str], come: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pair files that left one label's folder with equal ones that came into another's, by name first."""
    by_content: dict[str, list[str]] = {}
    for path in sorted(come):
        by_content.setdefault(come[path], []).append(path)
    for path in sorted(gone):
        same = [p for p in by_content.get(gone[path], []) if _label(p) and _label(path) and _label(p) != _label(path)]
        found = next((p for p in same if _name(p) == _name(path)), same[0] if same else None)
        if found is not None:
            by_content[gone[path]].remove(found)
            yield path, found


def _classes(files: Mapping[str, str]) -> dict[str, int]:
    return dict(sorted(Counter(label for path in files if (label := _label(path))).items()))


def _label(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[-2] if len(parts) >= TOP else ""


def _name(path: str) -> str:
    return path.rpartition("/")[2]
