"""One byte string for one meaning, so that a digest can stand for a value: RFC 8785 (JSON Canonicalization Scheme)."""

from __future__ import annotations

import hashlib

import rfc8785

LARGEST_EXACT = 2**53
"""Beyond this, readers of JSON disagree about whole numbers: most hold them as IEEE 754 doubles."""
LARGEST_DOUBLE = 10**308


def canonical(value: object) -> bytes:
    """Write plain JSON data as RFC 8785 says: sorted keys, no white space, UTF-8, numbers as ECMAScript spells them.

    1.0 and 1 are one number and so one text: an API server gives back the one for the other.

    Raises:
        ValueError: the value holds NaN, Infinity, half a character or a whole number that a double cannot hold.
    """
    try:
        try:
            return rfc8785.dumps(value)  # type: ignore[arg-type]  # what is no JSON is refused there
        except rfc8785.IntegerDomainError:
            return rfc8785.dumps(_as_doubles(value))  # type: ignore[arg-type]  # the same
    except rfc8785.FloatDomainError as error:
        raise ValueError("holds NaN or Infinity, which JSON cannot say") from error
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        half = UnicodeEncodeError in (type(error), type(error.__cause__))
        said = "holds half a character (a lone surrogate), which UTF-8 cannot say" if half else str(error)
        raise ValueError(said) from error


def _as_doubles(value: object) -> object:
    """Take large whole numbers for the doubles that every reader makes of them."""
    match value:
        case dict():
            return {name: _as_doubles(part) for name, part in value.items()}
        case list() | tuple():
            return [_as_doubles(part) for part in value]
        case bool():
            return value
        case int() if abs(value) >= LARGEST_EXACT:
            return _as_double(value)
        case _:
            return value


def _as_double(number: int) -> float:
    if abs(number) < LARGEST_DOUBLE:
        double = float(number)
        if int(double) == number or rfc8785.dumps(double) == str(number).encode():
            return double
    message = f"holds {str(number)[:40]}, a whole number that a double cannot hold exactly"
    raise ValueError(message)


def digest(value: object) -> str:
    """Give `sha256:<hex>` over the canonical form."""
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def short(value: object, size: int = 12) -> str:
    """Give the first characters of the digest, for names that people read."""
    return digest(value).removeprefix("sha256:")[:size]
