"""Markdown of other people's words: shown as they are, and taken for nothing else.

GitLab reads a note twice: as Markdown, and afterwards the text that comes out, for people, issues and addresses that
are mentioned. Marks are written as entities for the first reading; an invisible joiner ends mentions in the second.
What is for machines stands in code, which is not read a second time.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 300
"""Characters of a sentence."""
SHORTEST = 60
"""Characters of a name."""
JOINER = "\u2060"
"""Takes no room and ends a word."""
PLAIN = frozenset(" .,:;-'\"()/=+?%")
"""ASCII signs that are no mark within a line; at its beginning only letters are none."""
ALIKE = str.maketrans({"`": "\u02cb", "|": "\u00a6", "<": "\u2039", ">": "\u203a"})
"""What code cannot hold, and what is shown in its place."""
_MENTION = re.compile(r"([@#!~%$^&\[{])(?!\s)")
_ADDRESS = re.compile(r":(?=//)|(?<=\bwww)(?=\.)", re.IGNORECASE)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str, longest: int = LONGEST) -> str:
    """Write a sentence of somebody else's."""
    line = _line(text, longest)
    apart = _ADDRESS.sub(lambda found: found[0] + JOINER, _MENTION.sub(lambda found: found[1] + JOINER, line))
    first, rest = apart[:1], apart[1:]
    begins = first if first.isalpha() or not first.isascii() else f"&#{ord(first)};" if first else ""
    return begins + "".join(_entity(sign) for sign in rest)


def mono(text: str, longest: int = SHORTEST) -> str:
    """Write a name or a value as code; what would end the code or the cell is replaced by what looks like it."""
    line = _line(text, longest).translate(ALIKE)
    return f"`{line}`" if line else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """Write a table of cells that are Markdown already; the last `right` columns hold numbers."""
    rules = ["---"] * (len(head) - right) + ["---:"] * right
    return "\n".join((_row(head), _row(rules), *(_row(row) for row in rows)))


def folded(title: str, body: str) -> str:
    """Hide something until somebody asks; the empty lines let the Markdown within be read."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(text: str, longest: int) -> str:
    shown = "".join(" " if sign.isspace() else sign for sign in text if sign.isspace() or _shows(sign))
    line = " ".join(shown.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _shows(sign: str) -> bool:
    return unicodedata.category(sign) not in _HIDDEN


def _entity(sign: str) -> str:
    harmless = sign.isalnum() or sign in PLAIN or not sign.isascii()
    return sign if harmless else f"&#{ord(sign)};"
