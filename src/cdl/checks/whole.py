"""Checks about a whole dataset: one sentence for one that does not hold, None for one that does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .prints import Overlap
from .words import Check


@dataclass(frozen=True)
class Whole:
    """What is known once every item was judged."""

    rows: int = 0
    """Items of both sides together."""
    rejected: int = 0
    overlap: Overlap | None = None
    """What the test side has in common with the train side; None: nobody looked."""
    outline: Mapping[str, str] = field(default_factory=dict)
    """What kind of values each field has."""
    before: Mapping[str, str] = field(default_factory=dict)
    """The same of the last version; empty: there was none."""


def broken_whole(check: Check, found: Whole) -> str | None:
    """Judge one check about a whole dataset."""
    for word, judge in JUDGES.items():
        if word in check.asks:
            said = judge(check.asks[word], found)
            if said is not None:
                return f"check {check.name}: {said}"
    return None


def _rows(asked: object, found: Whole) -> str | None:
    least, most = _of(asked, "min"), _of(asked, "max")
    if least is not None and found.rows < least:
        return f"found {found.rows} rows, allowed: at least {least:g}"
    if most is not None and found.rows > most:
        return f"found {found.rows} rows, allowed: at most {most:g}"
    return None


def _rejected(asked: object, found: Whole) -> str | None:
    most = _of(asked, "maxFraction") or 0.0
    items = found.rows + found.rejected
    share = found.rejected / items if found.rejected else 0.0
    if share <= most:
        return None
    return f"{found.rejected} of {items} items rejected ({share:.1%}), allowed: at most {most:.1%}"


def _duplicates(asked: object, found: Whole) -> str | None:
    if found.overlap is None:
        return "nobody has taken the items' fingerprints; a step with `uses: checks` does"
    most, seen = _of(asked, "maxFraction") or 0.0, found.overlap
    if seen.share <= most:
        return None
    near = f"{seen.same} equal, {seen.near} nearly equal; " if _of(asked, "near") is not None else ""
    example = f", as {seen.examples[0].item} and {seen.examples[0].other}" if seen.examples else ""
    return (
        f"{seen.same + seen.near} of {seen.items} test items are on the train side too"
        f" ({near}{seen.share:.1%}){example}, allowed: at most {most:.1%}"
    )


def _schema(asked: object, found: Whole) -> str | None:
    if not found.before:
        return None
    for name in sorted(found.before.keys() | found.outline.keys()):
        was, now = found.before.get(name), found.outline.get(name)
        if was == now or (was is None and asked == "compatible"):
            continue
        if was is None:
            return f"field {name} is new ({now}), allowed: the fields of the last version"
        if now is None:
            return f"field {name} is gone, allowed: {was}, as in the last version"
        return f"field {name} is {now}, allowed: {was}, as in the last version"
    return None


JUDGES = {"rows": _rows, "rejected": _rejected, "duplicates": _duplicates, "schema": _schema}


def _of(asked: object, word: str) -> float | None:
    value = asked.get(word) if isinstance(asked, Mapping) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
