"""Each word about an item: None when the value keeps it, else what was found and what is allowed."""

import re
from collections.abc import Callable, Mapping, Sized
from datetime import date, datetime
from numbers import Integral, Real

from .images import Picture
from .words import strings

Broken = tuple[str, str]
"""What was found, and what is allowed."""
Rule = Callable[[object, object], Broken | None]
ARRAYS_TRUTHS = ("bool", "bool_")
"""What a truth out of an array calls itself."""
TRUTHS = ("true", "false", "yes", "no", "0", "1")
SHOWN = 40


def quoted(value: object) -> str:
    """Show a value in a sentence, and never much of it."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if not isinstance(value, str):
        return str(value)[:SHOWN]
    text = value if len(value) <= SHOWN else value[: SHOWN - 3] + "..."
    return f'"{text}"'


def number_of(value: object) -> float | None:
    """Read a number; None when it is none, or not a finite one."""
    if isinstance(value, bool) or not isinstance(value, Real | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None


def type_of(value: object) -> str:
    """Name the narrowest type that a value has: of several readings of a text the strictest."""
    if isinstance(value, bool) or type(value).__name__ in ARRAYS_TRUTHS:
        return "boolean"
    if isinstance(value, Integral):
        return "integer"
    if isinstance(value, Real):  # also a number out of an array, which is no float of Python's
        return "integer" if float(value).is_integer() else "number"
    if isinstance(value, datetime):
        return "datetime"
    if isinstance(value, date):
        return "date"
    return _type_of_text(value.strip()) if isinstance(value, str) else type(value).__name__


def _type_of_text(text: str) -> str:
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return "integer"
    if number_of(text) is not None:
        return "number"
    if text.lower() in TRUTHS:
        return "boolean"
    try:
        date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return "date"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "text"
    return "datetime"


WIDER = {
    "integer": ("number", "boolean"),
    "date": ("datetime",),
}
"""What else a value of a type passes for; `0` and `1` are truths too, which `type` looks at itself."""


def of_type(value: object, wanted: object) -> Broken | None:
    """Hold a value, or the text of one, against a type."""
    found = type_of(value)
    fits = found == wanted or (wanted == "text" and isinstance(value, str)) or wanted in WIDER.get(found, ())
    if found == "integer" and wanted == "boolean":
        fits = str(value).strip() in TRUTHS
    return None if fits else (quoted(value), _a(str(wanted)))


def in_range(value: object, bounds: object) -> Broken | None:
    """Hold a number against its bounds, which are allowed themselves."""
    least, most = _bounds(bounds)
    found = number_of(value)
    inside = found is not None and (least is None or found >= least) and (most is None or found <= most)
    return None if inside else (quoted(value), f"a number{between(least, most)}")


def between(least: float | None, most: float | None) -> str:
    """Say bounds in words."""
    low = f" from {least:g}" if least is not None else ""
    return f"{low}{f' to {most:g}' if most is not None else ''}"


def min_length(value: object, least: object) -> Broken | None:
    """Count characters without the blanks around them, or the parts of a list."""
    found, unit = _length(value)
    return (f"{found} {unit}", f"at least {least}") if found < int(str(least)) else None


def max_length(value: object, most: object) -> Broken | None:
    """Count characters without the blanks around them, or the parts of a list."""
    found, unit = _length(value)
    return (f"{found} {unit}", f"at most {most}") if found > int(str(most)) else None


def one_of(value: object, allowed: object) -> Broken | None:
    """Look a value up in a list."""
    words = strings(allowed)
    return None if str(value) in words else (quoted(value), f"one of {', '.join(words)}")


def matches(value: object, pattern: object) -> Broken | None:
    """Hold the whole value against a pattern."""
    return None if re.fullmatch(str(pattern), str(value), re.DOTALL) else (quoted(value), f"a match of {pattern}")


def has_extension(value: object, allowed: object) -> Broken | None:
    """Look at a file name's ending; upper and lower case differ."""
    name = str(value).rpartition("/")[2]
    suffix = name[name.rindex(".") :] if "." in name.lstrip(".") else ""
    words = strings(allowed)
    known = ["." + word.lstrip(".") for word in words]
    return None if suffix in known else (quoted(suffix), f"extension {', '.join(words)}")


def decodes(value: object, encoding: object) -> Broken | None:
    """Read bytes as text in an encoding."""
    if isinstance(value, str):
        value = value.encode("utf-8", errors="surrogatepass")
    if not isinstance(value, bytes):
        return quoted(value), f"bytes in {encoding}"
    try:
        value.decode(str(encoding))
    except UnicodeDecodeError as error:
        # UTF-16 tells of a file that ends in the middle of a character by an empty slice.
        wrong = value[error.start : error.start + 1].hex() or "nothing"
        return f"byte 0x{wrong} at {error.start}", f"text in {encoding}"
    return None


def pictures(value: object, wanted: object) -> Broken | None:
    """Hold a picture's mode and size against what is wanted."""
    asked = wanted if isinstance(wanted, Mapping) else {}
    if not isinstance(value, Picture):
        return "no picture", "a PNG, JPEG, GIF, BMP, WebP or PNM file"
    modes = strings(asked.get("mode") or ())
    if modes and value.mode not in modes:
        return f"mode {value.mode}", f"mode {' or '.join(modes)}"
    for side, found in (("width", value.width), ("height", value.height)):
        least, most = _bounds(asked.get(side) or {})
        if (least is not None and found < least) or (most is not None and found > most):
            return f"{side} {found}", f"{side}{between(least, most)}"
    return None


RULES: Mapping[str, Rule] = {
    "type": of_type,
    "minLength": min_length,
    "maxLength": max_length,
    "oneOf": one_of,
    "range": in_range,
    "regex": matches,
    "encoding": decodes,
    "extension": has_extension,
    "image": pictures,
}


def _bounds(value: object) -> tuple[float | None, float | None]:
    asked = value if isinstance(value, Mapping) else {}
    return asked.get("min"), asked.get("max")


def _length(value: object) -> tuple[int, str]:
    if isinstance(value, str):
        return len(value.strip()), "characters"
    if isinstance(value, bytes):
        return len(value), "bytes"
    if isinstance(value, Sized):
        return len(value), "parts"
    return len(str(value)), "characters"


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" if kind != "text" else kind
