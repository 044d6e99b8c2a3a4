"""What the server says when it cannot do what was asked: one status code, one sentence."""

from typing import Literal

Code = Literal[
    "UNKNOWN",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "INVALID_ARGUMENT",
    "RESOURCE_EXHAUSTED",
    "PERMISSION_DENIED",
]


class RefusedError(Exception):
    """A request that is answered with a status code and a sentence; Pachyderm's own default code is UNKNOWN."""

    def __init__(self, text: str, code: Code = "UNKNOWN") -> None:
        super().__init__(text)
        self.text = text
        self.code: Code = code


def missing(text: str) -> RefusedError:
    """Refuse because something is not there."""
    return RefusedError(text, "NOT_FOUND")


def exists(text: str) -> RefusedError:
    """Refuse because something is already there."""
    return RefusedError(text, "ALREADY_EXISTS")


def invalid(text: str) -> RefusedError:
    """Refuse because the request itself is wrong."""
    return RefusedError(text, "INVALID_ARGUMENT")


def absent(text: str) -> RefusedError:
    """Refuse because this embedded server does not do that."""
    return RefusedError(text, "UNIMPLEMENTED")
