"""Turn what pydantic found into one sentence a person can act on: which field, what was found, what is allowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_JARGON = (
    ("a valid array", "a list"),
    ("an object", "a mapping"),
    ("a valid string", "text"),
    ("a valid boolean", "true or false"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
)
_LARGE: dict[type[object], str] = {dict: "a mapping", list: "a list"}


def explain(error: ValidationError) -> tuple[str, ...]:
    """Give a sentence for each fault, in the order of the document."""
    return tuple(_sentence(fault) for fault in error.errors(include_url=False))


def _path(fault: ErrorDetails) -> str:
    path = ""
    for part in fault["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{_name(part)}" if path else _name(part)
    return path or "the document"


def _name(field: str) -> str:
    """Write a field as it is, unless that would show nothing or play with the reader's terminal."""
    return field if field.strip() and field.isprintable() else ascii(field)


def _sentence(fault: ErrorDetails) -> str:
    kind, found, context = fault["type"], fault["input"], fault.get("ctx", {})
    path = _path(fault) + getattr(context.get("error"), "below", "")
    if kind == "json_invalid":
        return "the document: holds half a character (a lone surrogate), which UTF-8 cannot say"
    if kind == "extra_forbidden":
        return f"{path}: unknown field"
    if kind == "missing":
        return f"{path}: missing, and required"
    if kind == "value_error":
        what = "" if isinstance(found, dict | list) else f"found {_shown(found)}: "
        return f"{path}: {what}{context.get('error', fault['msg'])}"
    if kind in {"enum", "literal_error"}:
        return f"{path}: found {_shown(found)}, allowed: {context.get('expected')}"
    if kind == "string_pattern_mismatch":
        return f"{path}: found {_shown(found)}, allowed: text that matches {context.get('pattern')}"
    return f"{path}: found {_shown(found)}, allowed: {_allowed(fault['msg'])}"


def _allowed(message: str) -> str:
    text = re.sub(r"^(Input|Value|String|List|Tuple|Dictionary|Object) should (be |have )?", "", message)
    for jargon, word in _JARGON:
        text = text.replace(jargon, word)
    return text[:1].lower() + text[1:]


def _shown(value: object, width: int = 60) -> str:
    text = _LARGE.get(type(value)) or repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
