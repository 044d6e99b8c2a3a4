"""One byte string for one meaning, so that a digest can stand for a value."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue


LEAST_WITH_EXPONENT = 1e21
"""From here on a number is written with an exponent, and stays a floating one."""


def canonical(value: object) -> bytes:
    """Write plain JSON data with sorted keys, no white space and UTF-8.

    Raises:
        ValueError: the value holds NaN, Infinity or half a character, which JSON cannot say.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half a character (a lone surrogate), which UTF-8 cannot say") from error
    except ValueError as error:
        raise ValueError("holds NaN or Infinity, which JSON cannot say") from error


def as_stored(value: JsonValue) -> JsonValue:
    """Write whole numbers without a point, as an API server gives them back; else 1.0 would lose its digest there."""
    match value:
        case dict():
            return {name: as_stored(part) for name, part in value.items()}
        case list():
            return [as_stored(part) for part in value]
        case float() if value.is_integer() and abs(value) < LEAST_WITH_EXPONENT:
            return int(value)
        case _:
            return value


def digest(value: object) -> str:
    """Give `sha256:<hex>` over the canonical form."""
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def short(value: object, size: int = 12) -> str:
    """Give the first characters of the digest, for names that people read."""
    return digest(value).removeprefix("sha256:")[:size]
