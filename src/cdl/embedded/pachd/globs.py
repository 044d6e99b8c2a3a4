"""Pachyderm's glob dialect, translated to regular expressions.

`*` and `?` stop at a slash, `**` does not; `[..]`, `[!..]`, `{a,b}` and the extended forms `@(..) *(..) +(..) ?(..)`
with `|` between alternatives; a backslash takes the next character as it is. Extended forms capture, as `join_on`
and `group_by` expect.
"""

import functools
import re

from cdl.embedded.pachd import paths
from cdl.embedded.pachd.refusals import invalid

_SPECIAL = re.compile(r"[*?\[{@+!\\]")
_EXTENDED = {"@": "", "?": "?", "*": "*", "+": "+"}


class _Reader:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def until(self, stops: str) -> str:
        """Translate up to one of `stops`, which is left unread."""
        out: list[str] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in stops:
            out.append(self._piece())
        return "".join(out)

    def _piece(self) -> str:
        pattern, at = self.pattern, self.at
        sign, following = pattern[at], pattern[at + 1 : at + 2]
        self.at += 1
        if following == "(" and sign in "@*+?!":
            return self._extended(sign)
        match sign:
            case "*" if following == "*":
                self.at += 1
                return ".*"
            case "*":
                return "[^/]*"
            case "?":
                return "[^/]"
            case "[":
                return self._bracket()
            case "{":
                return "(?:" + self._alternatives(",", "}") + ")"
            case "\\" if following:
                self.at += 1
                return re.escape(following)
            case _:
                return re.escape(sign)

    def _alternatives(self, between: str, end: str) -> str:
        found = [self.until(between + end)]
        while self.at < len(self.pattern) and self.pattern[self.at] == between:
            self.at += 1
            found.append(self.until(between + end))
        if self.at >= len(self.pattern):
            raise invalid(f"glob pattern {self.pattern!r} is not closed: {end!r} is missing")
        self.at += 1
        return "|".join(found)

    def _extended(self, sign: str) -> str:
        if sign == "!":
            raise invalid(f"glob pattern {self.pattern!r} uses !(..), which this server does not know")
        self.at += 1
        inner = self._alternatives("|", ")")
        many = _EXTENDED[sign]
        return f"((?:{inner}){many})" if many else f"({inner})"

    def _bracket(self) -> str:
        start = self.at
        end = self.pattern.find("]", start + (2 if self.pattern[start : start + 1] in {"!", "^"} else 1))
        if end < 0:
            raise invalid(f"glob pattern {self.pattern!r} is not closed: ']' is missing")
        inside = self.pattern[start:end]
        self.at = end + 1
        negated = inside[:1] in {"!", "^"}
        letters = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[1:] if negated else inside)
        return f"(?!/)[{'^' if negated else ''}{letters}]"


def clean(pattern: str) -> str:
    """Give a pattern its leading slash and take a trailing one, as for paths."""
    stripped = "/" + pattern.lstrip("/")
    return stripped.rstrip("/") or "/"


@functools.lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """Translate a cleaned pattern."""
    try:
        return re.compile(_Reader(pattern).until(""), re.DOTALL)
    except re.error as error:
        raise invalid(f"glob pattern {pattern!r} cannot be read: {error}") from error


def literal(pattern: str) -> str:
    """Take the part of a pattern that stands before its first special sign: every match starts with it."""
    found = _SPECIAL.search(pattern)
    return pattern[: found.start()] if found else pattern


def is_literal(pattern: str) -> bool:
    """Tell whether a pattern can only match itself."""
    return _SPECIAL.search(pattern) is None


def check(pattern: str) -> str:
    """Clean a pattern and refuse one that cannot be read."""
    cleaned = clean(pattern)
    compiled(cleaned)
    return cleaned if not is_literal(cleaned) else paths.clean(cleaned)
