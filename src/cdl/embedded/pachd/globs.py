"""Pachyderm's glob dialect, translated to regular expressions.

`*` and `?` stop at a slash, `**` does not; `[..]` with ranges, POSIX classes and `!` or `^`; `{a,b}`; a backslash takes
the next character as it is. Parentheses with `|` between alternatives capture, as `join_on` and `group_by` expect:
`(..)` and `@(..)` once, `?(..)` at most once, `*(..)` and `+(..)` several times, `!(..)` anything else up to a slash.
"""

import functools
import re

from cdl.embedded.pachd import paths
from cdl.embedded.pachd.refusals import invalid

_SPECIAL = re.compile(r"[*?\[{(@+!\\]")
_EXTENDED = {"@": "", "?": "?", "*": "*", "+": "+"}
_DOT = "[^/]"
# How far `!(..)` reaches depends on whether anything but fixed-width pieces follows it, which is known only at the
# end. Until then two signs that no pattern can hold stand for "here a negation closes" and "here something follows".
_CLOSE, _MORE = "\uffff", "\ufffe"
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\x00-\x7f",
    "blank": r"\t ",
    "cntrl": "\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_CLASS = re.compile(r"\[:(\^?)(\w+):\]")
_TEMPLATE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


class _Reader:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def whole(self) -> str:
        """Translate all of it, and decide how far its negations reach."""
        out = self.until("")
        found = out.find(_CLOSE)
        end = "" if found < 0 or _MORE in out[found:] else r"\Z"
        return out.replace(_CLOSE, end).replace(_MORE, "")

    def until(self, stops: str) -> str:
        """Translate up to one of `stops`, which is left unread."""
        out: list[str] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in stops:
            out.append(self._piece())
        made = "".join(out)
        return made.replace(_CLOSE, "", max(0, made.count(_CLOSE) - 1))  # only the last of several closes

    def _piece(self) -> str:
        pattern, at = self.pattern, self.at
        sign, following = pattern[at], pattern[at + 1 : at + 2]
        self.at += 1
        if following == "(" and sign in "@*+?!":
            self.at += 1
            return self._capture(sign)
        match sign:
            case "(":
                return self._capture("@")
            case "*" if following == "*":
                self.at += 1
                return ".*" + _MORE
            case "*":
                return _DOT + "*" + _MORE
            case "?":
                return _DOT
            case "[":
                return self._bracket()
            case "{":
                return "(?:" + self._alternatives(",", "}") + ")"
            case "\\" if following:
                self.at += 1
                return re.escape(following) + _MORE
            case _:
                return re.escape(sign) + _MORE

    def _alternatives(self, between: str, end: str) -> str:
        found = [self.until(between + end)]
        while self.at < len(self.pattern) and self.pattern[self.at] == between:
            self.at += 1
            found.append(self.until(between + end))
        if self.at >= len(self.pattern):
            raise self._open(end)
        self.at += 1
        return "|".join(found)

    def _open(self, end: str) -> Exception:
        return invalid(f"glob pattern {self.pattern!r} is not closed: {end!r} is missing")

    def _capture(self, sign: str) -> str:
        inner = self._alternatives("|", ")")
        if sign == "!":
            return f"((?:(?!(?:{inner}){_CLOSE}){_DOT}*))"
        many = _EXTENDED[sign]
        return f"((?:{inner}){many})" if many else f"({inner})"

    def _bracket(self) -> str:
        pattern = self.pattern
        negated = pattern[self.at : self.at + 1] in {"!", "^"}
        self.at += negated
        out: list[str] = []
        while not out or pattern[self.at : self.at + 1] != "]":
            if self.at >= len(pattern):
                raise self._open("]")
            out.append(self._letter())
        self.at += 1
        return f"(?!/)[{'^' if negated else ''}{''.join(out)}]"

    def _letter(self) -> str:
        """Translate one letter or class inside brackets; a dash stays one between two letters, a range."""
        named = _CLASS.match(self.pattern, self.at)
        if named is not None:
            letters = _POSIX.get(named[2])
            if letters is None:
                raise invalid(f"glob pattern {self.pattern!r} has an unknown class {named[2]!r}")
            self.at = named.end()
            return letters if not named[1] else _others(letters)
        if self.pattern[self.at] == "\\" and self.at + 1 < len(self.pattern):
            self.at += 1
        self.at += 1
        sign = self.pattern[self.at - 1]
        return sign if sign == "-" else re.escape(sign)


def _others(letters: str) -> str:
    """List every ASCII letter that is not in a class."""
    known = re.compile(f"[{letters}]")
    return "".join(re.escape(chr(n)) for n in range(128) if not known.match(chr(n)))


def clean(pattern: str) -> str:
    """Give a pattern its leading slash and take a trailing one, as for paths."""
    stripped = "/" + pattern.lstrip("/")
    return stripped.rstrip("/") or "/"


@functools.lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """Translate a cleaned pattern."""
    try:
        return re.compile(_Reader(pattern).whole(), re.DOTALL)
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


def expand(pattern: str, path: str, template: str) -> str:
    """Fill `$1` or `${1}` in a template with what a pattern captured in a path; empty when it captured nothing."""
    found = compiled(pattern).fullmatch(path.rstrip("/") or "/")

    def fill(sign: re.Match[str]) -> str:
        if sign[1]:
            return "$"
        name = sign[2] or sign[3]
        if found is None or not name.isdecimal() or int(name) > found.re.groups:
            return ""
        return found[int(name)] or ""

    return _TEMPLATE.sub(fill, template)
