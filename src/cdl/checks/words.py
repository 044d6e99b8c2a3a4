"""What a check may say, and the sentence for one that says something else."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OUTCOMES = ("reject", "fail", "warn")
TYPES = ("integer", "number", "boolean", "text", "date", "datetime")
ENCODINGS = ("utf-8", "ascii", "utf-16", "latin-1", "cp1252")
FRAME = ("name", "field", "onFail")
ITEM = (
    "type",
    "range",
    "minLength",
    "maxLength",
    "oneOf",
    "regex",
    "encoding",
    "extension",
    "image",
    "unique",
    "notNull",
)
"""Words about one item: whoever holds the item can judge it."""
WHOLE = ("rows", "rejected", "duplicates", "schema")
"""Words about a whole dataset: judged once all items are known."""
USUAL_FIELD = {"encoding": "text", "image": "image", "extension": "file"}
"""What a check without `field` is about, by its word; the others ask for the field."""


class WrongCheckError(ValueError):
    """A check that cannot be applied; its text is one sentence for whoever wrote it."""


@dataclass(frozen=True)
class Check:
    """One rule, read and found sound."""

    name: str
    field: str
    """What is looked at; empty: the words say it."""
    on_fail: str
    asks: Mapping[str, object]
    """The words it uses, without its frame."""

    @property
    def whole(self) -> bool:
        """It is about the dataset, not about an item."""
        return any(word in self.asks for word in WHOLE)

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that an item needs for this check."""
        named = strings(self.asks.get("notNull", ()))
        return (*named, self.field) if self.field and self.field not in named else named


def checks_in(documents: object) -> tuple[Check, ...]:
    """Read a list of checks as a DataPipeline writes them under `spec.checks`.

    Raises:
        WrongCheckError: the first thing that is wrong, in one sentence.
    """
    if not isinstance(documents, list) or not all(isinstance(document, Mapping) for document in documents):
        raise WrongCheckError("checks must be a list of objects, each with a name and what it asks")
    return tuple(_check(document, number) for number, document in enumerate(documents))


def strings(value: object) -> tuple[str, ...]:
    """Give a list of words; one word alone is a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(word) for word in value) if isinstance(value, Sequence) else ()


def _check(document: Mapping[str, object], number: int) -> Check:
    # A document may spell out what it does not ask for.
    said = {word: value for word, value in document.items() if value is not None}
    place = f"check {said.get('name', number)}"
    for word in said:
        if word not in (*FRAME, *ITEM, *WHOLE):
            raise WrongCheckError(f"{place}: unknown word {word}, allowed are {', '.join((*FRAME, *ITEM, *WHOLE))}")
    outcome = str(said.get("onFail", "reject"))
    if outcome not in OUTCOMES:
        raise WrongCheckError(f"{place}: onFail is {outcome}, allowed are {', '.join(OUTCOMES)}")
    asks = {word: value for word, value in said.items() if word not in FRAME and value is not False}
    for word, value in asks.items():
        shape = SHAPES.get(word)
        wrong = shape(value) if shape is not None else ""
        if wrong:
            raise WrongCheckError(f"{place}: {word} is {value!r}, allowed is {wrong}")
    items, whole = ([word for word in words if word in asks] for words in (ITEM, WHOLE))
    if items and whole:
        raise WrongCheckError(
            f"{place}: {items[0]} is about each item, {whole[0]} about all of them; make two checks of it"
        )
    if "regex" in asks:
        _reject_bad_pattern(str(asks["regex"]), place)
    return Check(str(said.get("name", f"check-{number}")), _field(said, asks, place), outcome, asks)


def _field(said: Mapping[str, object], asks: Mapping[str, object], place: str) -> str:
    """A word says itself what it is about, or the check does."""
    given = said.get("field")
    if given is not None and not isinstance(given, str):
        raise WrongCheckError(f"{place}: field is {given!r}, allowed is the name of one field")
    needing = [word for word in asks if word in ITEM and word != "notNull"]
    if given is not None or not needing:
        return given or ""
    usual = {USUAL_FIELD[word] for word in needing if word in USUAL_FIELD}
    if len(usual) == 1 and all(word in USUAL_FIELD for word in needing):
        return usual.pop()
    raise WrongCheckError(f"{place}: {needing[0]} needs a field, such as text, label, file or columns.price")


def _reject_bad_pattern(pattern: str, place: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise WrongCheckError(f"{place}: regex {pattern!r} cannot be compiled: {error}") from error


def _whole_number(value: object) -> str:
    sound = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if sound else "a whole number from 0"


def _one_of(*allowed: str) -> Callable[[object], str]:
    return lambda value: "" if value in allowed else f"one of {', '.join(allowed)}"


def _bounds(value: object) -> str:
    sound = (
        isinstance(value, Mapping)
        and set(value) <= {"min", "max"}
        and all(isinstance(bound, int | float | None) and not isinstance(bound, bool) for bound in value.values())
    )
    return "" if sound else "min, max or both, as numbers"


def _share(*others: str) -> Callable[[object], str]:
    def wrong(value: object) -> str:
        known = {"maxFraction", *others}
        sound = (
            isinstance(value, Mapping)
            and set(value) <= known
            and all(
                isinstance(v, int | float | None) and not isinstance(v, bool) and 0 <= (v or 0) <= 1
                for v in value.values()
            )
        )
        return "" if sound else f"{' and '.join(sorted(known))}, from 0 to 1"

    return wrong


def _image(value: object) -> str:
    if not isinstance(value, Mapping) or not set(value) <= {"mode", "width", "height"}:
        return "mode (a list such as L, RGB), width and height (each with min, max)"
    return next((wrong for side in ("width", "height") if (wrong := _bounds(value.get(side) or {}))), "")


def _texts(value: object) -> str:
    sound = isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value))
    return "" if sound else "a list of texts"


SHAPES: Mapping[str, Callable[[object], str]] = {
    "type": _one_of(*TYPES),
    "range": _bounds,
    "minLength": _whole_number,
    "maxLength": _whole_number,
    "encoding": _one_of(*ENCODINGS),
    "extension": _texts,
    "image": _image,
    "unique": lambda value: "" if value is True else "true or false",
    "notNull": _texts,
    "rows": _bounds,
    "rejected": _share(),
    "duplicates": _share("near"),
    "schema": _one_of("same", "compatible"),
}
"""What is wrong with a word's value, as what is allowed instead; empty: nothing."""
