"""Nothing that somebody wrote becomes a mark, a mention, a picture, a command, or the end of a table."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cdl.reconcile.review.defused import LONGEST, mono, plain, table

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SHOWN = {"text", "code_inline", "softbreak"}
MENTION = re.compile(r"[@#!~%$^&\[{][^\s\u2060]")
"""What GitLab looks for in the text of a note that was rendered, and never in code."""
ADDRESS = re.compile(r"://|www\.", re.IGNORECASE)
NASTY = st.text(
    st.sampled_from(list("\\`*_[]<>|#~&@!$%^{}()-+=/:.'\"x1 \n\r\t\u202e\u2060\u200b\u2028é😀")), max_size=80
)
HOSTILE = [
    "<!-- cdl:note cdl -->",
    "-->",
    "![x](https://tracker.example/p.png)",
    "<img src=x onerror=alert(1)>",
    "@all please",
    "| a | b |\n| - | - |",
    "\\",
    "\\|",
    "`` ` ``",
    "/merge",
    "a\n/approve",
    "</details>",
    "[x](javascript:alert(1))",
    "https://evil.example/login",
    "WWW.evil.example",
    "&lt;script&gt; &#64;all",
    "#1 !2 ~bug %v1 $3 &4 ^5 {+ added +} [- gone -]",
    "```",
    "~~~",
    "$`a`$",
]


def cells(markdown):
    """The cells of a table's body, each as its inline tokens."""
    tokens = READER.parse(markdown)
    assert tokens[0].type == "table_open"
    assert tokens[-1].type == "table_close"
    return [t.children for b, t in pairwise(tokens) if b.type == "td_open"]


@pytest.mark.parametrize("write", [plain, mono])
@given(text=st.one_of(NASTY, st.text(max_size=400)))
@example(text="\\|")
@example(text="`|`")
def test_a_cell_stays_one_cell_of_text(write, text):
    written = write(text)
    found = cells(table(("a", "b"), [(written, "safe")]))
    assert len(found) == 2
    assert {token.type for token in found[0]} <= SHOWN
    assert [token.content for token in found[1]] == ["safe"]
    assert_mentions_nobody(found[0])


def assert_mentions_nobody(tokens):
    for token in tokens:
        if token.type == "text":
            assert not MENTION.search(token.content), token.content
            assert not ADDRESS.search(token.content), token.content


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_hostile_is_shown_as_it_is(text):
    for line in (f"said: {plain(text)}", f"said: {mono(text)}", plain(text)):
        tokens = READER.parse(line)
        kinds = {t.type for t in tokens} | {child.type for t in tokens for child in t.children or ()}
        assert kinds <= {"paragraph_open", "paragraph_close", "inline", *SHOWN}
        assert_mentions_nobody(tokens[1].children)
        assert "<!--" not in line
        assert "-->" not in line
        assert not line.startswith("/")


@given(text=st.text(max_size=100))
def test_what_is_written_is_what_is_read(text):
    """Whoever reads sees the words; only signs that cannot be seen, and spaces, are other ones."""
    (inline,) = [t for t in READER.parse(f"x {plain(text)}") if t.type == "inline"]
    shown = "".join(token.content for token in inline.children).replace("\u2060", "")
    kept = [sign for sign in text if not sign.isspace() and unicodedata.category(sign)[0] != "C"]
    assert [sign for sign in shown[1:] if not sign.isspace()] == kept


def test_what_is_long_is_cut():
    assert len(plain("word " * 1000)) <= LONGEST
    assert mono("x" * 1000).endswith("…`")
