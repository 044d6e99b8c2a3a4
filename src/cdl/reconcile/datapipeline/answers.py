"""What people said, counted: one label an item, by majority."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from cdl.api.canonical import short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from cdl.api.v1alpha1.datapipeline import Side

PLAIN = " ,;:&'=~#$"
"""Characters of a label, beside letters, figures and `_.-`, that its folder's name has as they are."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file that somebody may be asked about."""

    side: Side
    path: str
    sha256: str
    """Of its content."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one person said of one content of an item."""

    item: str
    sha256: str
    label: str
    annotator: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What an item is called."""

    item: str
    sha256: str
    label: str
    annotator: str
    """Who of those that said so did it last."""
    at: datetime
    votes: int
    """How many said so."""
    of: int
    """How many said anything."""


@dataclass(frozen=True, slots=True)
class Poll:
    """All answers, ordered by item, and what became of the rest."""

    answers: tuple[Answer, ...] = ()
    undecided: int = 0
    """Items that are called one thing as often as another."""
    agreement: float | None = None
    """Krippendorff's alpha for names; None: nobody was asked what somebody else was."""
    annotators: int = 0
    newest: datetime | None = None
    """When somebody last said something that counts."""

    @property
    def key(self) -> str:
        """Stands for all answers in their order."""
        return short([_plain(answer) for answer in self.answers], 32)


def counted(items: Iterable[Item], opinions: Iterable[Opinion], votes: int) -> Poll:
    """Count what was said of these items; each person has one vote an item, the last one given."""
    wanted = {(item.path, item.sha256) for item in items}
    said: dict[tuple[str, str], dict[str, Opinion]] = {}
    for one in sorted(opinions, key=lambda o: (o.item, o.at, o.annotator, o.label)):
        if (one.item, one.sha256) in wanted:
            said.setdefault((one.item, one.sha256), {})[one.annotator] = one
    answers, undecided = list[Answer](), 0
    for given in (said[key] for key in sorted(said)):
        ranked = Counter(one.label for one in given.values()).most_common(2)
        if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
            undecided += 1
        elif len(given) >= votes:
            answers.append(_answer(tuple(given.values()), *ranked[0]))
    return Poll(
        tuple(answers),
        undecided,
        alpha([[one.label for one in given.values()] for given in said.values()]),
        len({who for given in said.values() for who in given}),
        max((one.at for given in said.values() for one in given.values()), default=None),
    )


def _answer(given: Sequence[Opinion], label: str, votes: int) -> Answer:
    last = max((one for one in given if one.label == label), key=lambda one: (one.at, one.annotator))
    return Answer(last.item, last.sha256, label, last.annotator, last.at, votes, len(given))


def alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Give Krippendorff's alpha for names: 1 is complete agreement, 0 what chance gives; None: nothing to compare."""
    pairable = [Counter(labels) for labels in units if len(labels) > 1]
    whole = sum((counts for counts in pairable), Counter[str]())
    n = whole.total()
    if n < 2:
        return None
    # pairs that differ, in each unit weighted so that every value counts once, and among all values whoever gave them
    seen = sum((c.total() ** 2 - sum(k * k for k in c.values())) / (c.total() - 1) for c in pairable) / n
    chance = (n * n - sum(k * k for k in whole.values())) / (n * (n - 1))
    return round(1 - seen / chance, 4) if chance else 1.0


def table(poll: Poll) -> bytes:
    """Write all answers down, a line of JSON each."""
    return b"".join(_line(_plain(answer)) for answer in poll.answers)


def places(items: Iterable[Item], side: Side, answers: Iterable[Answer]) -> dict[str, str]:
    """Say where each labelled file of a side goes: into a folder with its label's name, in the folder it is in."""
    called = {(answer.item, answer.sha256): answer.label for answer in answers}
    mine = ((item.path, called.get((item.path, item.sha256))) for item in items if item.side is side)
    return {path: place_of(path, label) for path, label in sorted(mine, key=lambda m: m[0]) if label is not None}


def place_of(path: str, label: str) -> str:
    """Put a folder with the label's name between a file and the folder it is in; no two files come to one place."""
    folder = quote(label, safe=PLAIN)
    folder = folder.replace(".", "%2E") if not folder.strip(".") else folder
    folder = f"%5F{folder[1:]}" if folder.startswith("_") else folder  # whose name begins so is no data
    above, _, name = path.rpartition("/")
    return f"{above}/{folder}/{name}"


def note(items: Iterable[Item], side: Side, answers: Iterable[Answer]) -> bytes:
    """Write down beside the files of a side which label each has, and who said so: what `in_note` reads."""
    mine = {(item.path, item.sha256) for item in items if item.side is side}
    told = [answer for answer in answers if (answer.item, answer.sha256) in mine]
    return b"".join(
        _line({"item": a.item, "label": a.label, "annotator": a.annotator, "at": a.at.isoformat()}) for a in told
    )


def _plain(answer: Answer) -> dict[str, object]:
    return asdict(answer) | {"at": answer.at.isoformat()}


def _line(told: Mapping[str, object]) -> bytes:
    return json.dumps(told, sort_keys=True).encode() + b"\n"
