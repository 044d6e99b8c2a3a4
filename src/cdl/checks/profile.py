"""What the values of a field look like: counts, extremes and histograms that can be added up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .images import Picture
from .rules import number_of, type_of

KINDS = 50
"""How many different values of a field are counted one by one; a field with more has lengths instead."""
KIND_LENGTH = 60
FIELDS = 200
"""How many fields a profile holds; a table that is wider than that is described by its first ones."""


def bucket(value: float) -> float:
    """Give the lower end of the bucket a number falls into: 1, 2, 5, 10, 20, 50 and so on, the same everywhere.

    Zero has a bucket of its own, and a negative number the mirror image of its opposite's.
    """
    if value == 0:
        return 0.0
    power = math.floor(math.log10(abs(value)) + 1e-9)
    step = 10.0**power
    rounded = next((m * step for m in (5, 2, 1) if abs(value) >= m * step * (1 - 1e-12)), step)
    return math.copysign(float(f"{rounded:.6g}"), value)


@dataclass
class Facts:
    """One field."""

    count: int = 0
    nulls: int = 0
    types: Counter[str] = field(default_factory=Counter)
    numbers: int = 0
    total: float = 0.0
    least: float | None = None
    most: float | None = None
    buckets: Counter[float] = field(default_factory=Counter)
    lengths: Counter[float] = field(default_factory=Counter)
    kinds: Counter[str] | None = field(default_factory=Counter)
    """How often each value comes; None: there are too many."""

    def add(self, value: object) -> None:
        """Count one value."""
        self.count += 1
        if value is None:
            self.nulls += 1
            return
        if isinstance(value, Picture):
            self.types["picture"] += 1
            self._kind(str(value))
            return
        found = type_of(value)
        self.types[found] += 1
        number = number_of(value) if found in {"integer", "number"} else None
        if number is not None:
            self._number(number)
        else:
            self.lengths[bucket(len(value) if isinstance(value, str | bytes | list | dict) else 1)] += 1
        self._kind(str(value) if not isinstance(value, bytes) else "")

    def merge(self, told: Mapping[str, object]) -> None:
        """Add what another profile wrote down of the same field."""
        self.count += _int(told.get("count"))
        self.nulls += _int(told.get("nulls"))
        self.types.update(_counts(told.get("types")))
        self.numbers += _int(told.get("numbers"))
        self.total += number_of(told.get("sum")) or 0.0
        for name, choose in (("min", min), ("max", max)):
            theirs = number_of(told.get(name))
            ours = self.least if name == "min" else self.most
            chosen = theirs if ours is None else ours if theirs is None else choose(ours, theirs)
            if name == "min":
                self.least = chosen
            else:
                self.most = chosen
        self.buckets.update(_by_number(told.get("buckets")))
        self.lengths.update(_by_number(told.get("lengths")))
        kinds = told.get("values")
        if self.kinds is not None and isinstance(kinds, Mapping):
            self.kinds.update(_counts(kinds))
            self.kinds = self.kinds if len(self.kinds) <= KINDS else None
        elif not isinstance(kinds, Mapping):
            self.kinds = None

    def document(self) -> dict[str, object]:
        """Write it down so that `merge` can read it."""
        told: dict[str, object] = {"count": self.count, "nulls": self.nulls, "types": dict(sorted(self.types.items()))}
        if self.numbers:
            told |= {"numbers": self.numbers, "sum": self.total, "min": self.least, "max": self.most}
            told["buckets"] = _written(self.buckets)
        if self.lengths:
            told["lengths"] = _written(self.lengths)
        if self.kinds is not None:
            told["values"] = dict(sorted(self.kinds.items()))
        return told

    def _number(self, value: float) -> None:
        self.numbers += 1
        self.total += value
        self.least = value if self.least is None else min(self.least, value)
        self.most = value if self.most is None else max(self.most, value)
        self.buckets[bucket(value)] += 1

    def _kind(self, text: str) -> None:
        if self.kinds is None:
            return
        if not 0 < len(text) <= KIND_LENGTH or (text not in self.kinds and len(self.kinds) >= KINDS):
            self.kinds = None
        else:
            self.kinds[text] += 1


@dataclass
class Profile:
    """The fields of all rows of one place."""

    fields: dict[str, Facts] = field(default_factory=dict)

    def add(self, row: Mapping[str, object]) -> None:
        """Count one row."""
        for name, value in row.items():
            if name in self.fields or len(self.fields) < FIELDS:
                self.fields.setdefault(name, Facts()).add(value)

    def document(self) -> dict[str, object]:
        """Write it down as JSON."""
        return {name: facts.document() for name, facts in sorted(self.fields.items())}


def together(documents: Iterable[object]) -> dict[str, object]:
    """Add up what several places wrote down; what is no profile counts nothing."""
    whole = Profile()
    for document in documents:
        for name, told in document.items() if isinstance(document, Mapping) else ():
            if isinstance(told, Mapping) and (name in whole.fields or len(whole.fields) < FIELDS):
                whole.fields.setdefault(str(name), Facts()).merge(told)
    return whole.document()


def outline(profile: Mapping[str, object]) -> dict[str, str]:
    """Say in a word a field what kind of values it has: what a schema is compared by.

    A label's outline is the list of its classes, a picture's its modes: another class is another schema.
    """
    return {
        name: word
        for name, told in sorted(profile.items())
        if isinstance(told, Mapping) and (word := _word(name, told))
    }


def _word(name: str, told: Mapping[str, object]) -> str:
    types = {kind for kind, count in _counts(told.get("types")).items() if count}
    values = told.get("values")
    if name == "label" and isinstance(values, Mapping):
        return f"one of {', '.join(sorted(map(str, values)))}"
    if types == {"picture"}:
        modes = {str(value).rpartition(" ")[2] for value in values} if isinstance(values, Mapping) else set()
        return f"picture {'/'.join(sorted(modes))}".strip()
    if name == "text":
        return "text"  # a document that happens to be a number is a document
    if types <= {"integer", "number"} and types:
        return "number" if "number" in types else "integer"
    return next(iter(types)) if len(types) == 1 else "text" if types else ""


def _written(counts: Counter[float]) -> dict[str, int]:
    return {f"{low:g}": count for low, count in sorted(counts.items())}


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _counts(value: object) -> Counter[str]:
    return Counter({str(k): _int(v) for k, v in value.items()}) if isinstance(value, Mapping) else Counter()


def _by_number(value: object) -> Counter[float]:
    return Counter({n: count for text, count in _counts(value).items() if (n := number_of(text)) is not None})
