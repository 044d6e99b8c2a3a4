"""What can go wrong, in two families.

Refused   the server cannot start; carries the exit code of the process
Fault     a request cannot be answered; carries the HTTP status
"""

from __future__ import annotations

BAD_SETTING = 2  # what was asked of the process cannot be read, or its port is taken
BAD_RELEASE = 3  # the release, or a member of it, is not what its digest says, or nobody has approved it
BAD_MODEL = 4  # the user's class could not be imported, built, loaded or warmed up


class Refused(Exception):  # noqa: N818 - it is a verdict, and reads as one: `raise Refused(...)`
    """The server does not start. The message is one sentence for the person who deployed it."""

    def __init__(self, sentence: str, exit_code: int = BAD_RELEASE) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code


class Fault(Exception):  # noqa: N818 - the same
    """A request is answered with a status and one sentence instead of a prediction."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


def shown(value: object, limit: int = 40) -> str:
    """Describe a JSON value in a few words, for an error sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value[:limit]!r}{'…' if len(value) > limit else ''}"
    if isinstance(value, (int, float)):
        return f"the number {value!r}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return f"a {type(value).__name__}"
