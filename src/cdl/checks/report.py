"""The report of the checks: what was judged, what broke, and what the values look like; as JSON first."""

from collections import Counter
from collections.abc import Iterable, Mapping

from .profile import outline, together
from .rules import between
from .whole import Whole, broken_whole
from .words import Check, strings

SHOWN = 20
"""How many items a side's examples name; the counts are always complete."""


def side_of(documents: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Add up what a step wrote down datum by datum."""
    accepted, examples, profiles = 0, list[object](), list[object]()
    counts: dict[str, Counter[str]] = {"rejected": Counter(), "warned": Counter()}
    for said in documents:
        found = said.get("accepted")
        accepted += found if isinstance(found, int) else 0
        for word, counter in counts.items():
            told = said.get(word)
            counter.update(
                {str(k): v for k, v in told.items() if isinstance(v, int)} if isinstance(told, Mapping) else {}
            )
        shown = said.get("examples")
        examples += shown if isinstance(shown, list) else []
        profiles.append(said.get("fields"))
    return {
        "accepted": accepted,
        **{word: dict(sorted(counter.items())) for word, counter in counts.items()},
        "examples": examples[:SHOWN],
        "fields": together(profiles),
    }


def outline_of(sides: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Say what kind of values each field has, over all sides."""
    found = outline(together(side.get("fields") for side in sides.values()))
    return {name: word for name, word in found.items() if name != "file"}


def report_of(
    checks: Iterable[Check], sides: Mapping[str, Mapping[str, object]], found: Whole | None = None
) -> dict[str, object]:
    """Put the report together: a verdict for every check, and everything that is known of each side.

    Without `found` the checks about a whole dataset are still open.
    """
    report: dict[str, object] = {
        "checks": [_judged(check, sides, found) for check in checks],
        "sides": {name: dict(side) for name, side in sides.items()},
        "outline": outline_of(sides),
    }
    if found is not None and found.before:
        report["before"] = dict(found.before)
    if found is not None and found.overlap is not None:
        seen = found.overlap
        twins = [{"item": t.item, "other": t.other, "likeness": t.likeness} for t in seen.examples]
        report["overlap"] = {"items": seen.items, "same": seen.same, "near": seen.near, "examples": twins}
    return report


def _judged(check: Check, sides: Mapping[str, Mapping[str, object]], found: Whole | None) -> dict[str, object]:
    said = (broken_whole(check, found) or "") if check.whole and found is not None else ""
    broken = sum(_count(side, word, check.name) for side in sides.values() for word in ("rejected", "warned"))
    if check.whole:
        verdict = "open" if found is None else "kept" if not said else "warned" if check.on_fail == "warn" else "broken"
    else:
        verdict = "kept" if not broken else "warned" if check.on_fail == "warn" else "rejected"
    return {
        "name": check.name,
        "asks": in_words(check),
        "onFail": check.on_fail,
        "broken": broken,
        "verdict": verdict,
        "said": said.removeprefix(f"check {check.name}: "),
    }


def in_words(check: Check) -> str:
    """Say what a check asks, for people."""
    about = f"{check.field}: " if check.field else ""
    return about + "; ".join(_word(word, value) for word, value in check.asks.items())


def _word(word: str, value: object) -> str:
    asked = value if isinstance(value, Mapping) else {}
    if word in {"range", "rows"}:
        return f"{word}{between(asked.get('min'), asked.get('max'))}"
    if word == "image":
        parts = [f"mode {' or '.join(strings(asked['mode']))}"] if asked.get("mode") else []
        sizes = [(side, asked.get(side) or {}) for side in ("width", "height")]
        parts += [f"{side}{between(bound.get('min'), bound.get('max'))}" for side, bound in sizes if bound]
        return ", ".join(parts) or "a picture"
    if asked:
        return f"{word} " + ", ".join(f"{name} {bound:g}" for name, bound in asked.items() if bound is not None)
    if value is True:
        return word
    return f"{word} {', '.join(strings(value)) if isinstance(value, list | tuple) else value}"


def _count(side: Mapping[str, object], word: str, name: str) -> int:
    told = side.get(word)
    found = told.get(name) if isinstance(told, Mapping) else 0
    return found if isinstance(found, int) else 0
