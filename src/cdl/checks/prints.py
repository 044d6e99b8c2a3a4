"""Fingerprints: equal files have equal ones, and texts that are nearly equal nearly equal ones.

A print is `<content>:<sketch>`: the first 16 hexadecimal digits of the sha256 of the bytes, and the smallest hashes of
the text's runs of three words (bottom-k minhash). The share of small hashes that two sketches have in common estimates
how much of their text they have in common (Jaccard's index), without either text at hand.
"""

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RUN = 3
SKETCH = 32
CROWD = 200
"""A run of words that more texts than this share is a form letter's; it points at nobody."""
EXAMPLES = 10


@dataclass(frozen=True)
class Twin:
    """An item of the one side that the other side has too."""

    item: str
    other: str
    likeness: float
    """1.0: the same bytes."""


@dataclass(frozen=True)
class Overlap:
    """What two sides have in common."""

    items: int = 0
    """Items of the side that is looked for on the other."""
    same: int = 0
    near: int = 0
    examples: tuple[Twin, ...] = ()

    @property
    def share(self) -> float:
        """How many of the items lie on the other side too."""
        return (self.same + self.near) / self.items if self.items else 0.0


def print_of(raw: bytes, text: str | None = None) -> str:
    """Take the print of a file; without a text it is known by its bytes alone."""
    content = hashlib.sha256(raw).hexdigest()[:16]
    return f"{content}:{''.join(f'{h:08x}' for h in _sketch(text))}" if text is not None else content


def overlap(wanted: Mapping[str, str], among: Mapping[str, str], near: float | None = None) -> Overlap:
    """Look for each item of the one side on the other: the same bytes, or with `near` a likeness of at least that."""
    by_content = {told.partition(":")[0]: name for name, told in sorted(among.items(), reverse=True)}
    crowd = _by_hash(among) if near is not None else {}
    sketches = {name: _hashes(told) for name, told in among.items()} if near is not None else {}
    same, twins = 0, list[Twin]()
    for name, told in sorted(wanted.items()):
        content = told.partition(":")[0]
        if content in by_content:
            same += 1
            twins.append(Twin(name, by_content[content], 1.0))
        elif near is not None:
            best = max(
                _likenesses(_hashes(told), crowd, sketches), key=lambda found: (found[0], found[1]), default=None
            )
            if best is not None and best[0] >= near:
                twins.append(Twin(name, best[1], round(best[0], 2)))
    twins.sort(key=lambda twin: (-twin.likeness, twin.item))
    return Overlap(len(wanted), same, len(twins) - same, tuple(twins[:EXAMPLES]))


def families(prints: Mapping[str, str], near: float) -> dict[str, str]:
    """Give each item the content that stands for its family: items that are nearly equal, and whoever is to them.

    The smallest content of a family stands for it, so that neither names nor order play a part.
    """
    contents: dict[str, str] = {}
    for _, told in sorted(prints.items()):
        contents.setdefault(told.partition(":")[0], told)
    crowd, sketches = _by_hash(contents), {content: _hashes(told) for content, told in contents.items()}
    head = {content: content for content in contents}

    def first(content: str) -> str:
        while head[content] != content:
            head[content] = head[head[content]]
            content = head[content]
        return content

    for content, ours in sorted(sketches.items()):
        for likeness, other in _likenesses(ours, crowd, sketches):
            if likeness >= near:
                low, high = sorted((first(content), first(other)))
                head[high] = low
    return {name: first(told.partition(":")[0]) for name, told in prints.items()}


def _sketch(text: str) -> list[int]:
    words = re.findall(r"\w+", text.lower())
    runs = {" ".join(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))} if words else set()
    return sorted({zlib.crc32(run.encode()) for run in runs})[:SKETCH]


def _hashes(told: str) -> frozenset[int]:
    sketch = told.partition(":")[2]
    return frozenset(int(sketch[at : at + 8], 16) for at in range(0, len(sketch) - 7, 8))


def _by_hash(among: Mapping[str, str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for name, told in sorted(among.items()):
        for value in _hashes(told):
            found[value].append(name)
    return {value: names for value, names in found.items() if len(names) <= CROWD}


def _likenesses(
    ours: frozenset[int], crowd: Mapping[int, list[str]], sketches: Mapping[str, frozenset[int]]
) -> Iterator[tuple[float, str]]:
    for name in {name for value in ours for name in crowd.get(value, ())}:
        theirs = sketches[name]
        smallest = frozenset(sorted(ours | theirs)[:SKETCH])
        yield len(smallest & ours & theirs) / len(smallest), name
