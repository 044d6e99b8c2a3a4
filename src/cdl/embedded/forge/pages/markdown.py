"""Markdown as people write it in notes, without teeth: no script, nothing loaded from elsewhere, few bare tags."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

TAGS = "details|summary|br|b|i|em|strong|sub|sup|kbd|p|code|pre|table|thead|tbody|tr|th|td|ul|ol|li|hr"
PIECES = re.compile(rf"(<!--.*?-->)|(</?(?:{TAGS})\s*/?>)|(<details open>)", re.DOTALL | re.IGNORECASE)
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
UPLOAD = re.compile(r"/uploads/[0-9a-f]{32}/[\w.-]+")
LINK = re.compile(r"(?:https?:|mailto:)|[/#]|[\w.-]+(?:[/?#]|$)", re.IGNORECASE)


def _harmless(raw: str) -> str:
    """Keep bare tags of a short list, drop comments, and make text of everything else."""
    found, at = [], 0
    for match in PIECES.finditer(raw):
        found.append(html.escape(raw[at : match.start()]))
        found.append("" if match[1] else match[0].lower())
        at = match.end()
    return "".join([*found, html.escape(raw[at:])])


class _Harmless(RendererHTML):
    """Renders what has been read."""

    def html_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Render HTML that somebody wrote."""
        return _harmless(tokens[idx].content)

    def html_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Render a tag that somebody wrote."""
        return _harmless(tokens[idx].content)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Render a picture that is here; one from elsewhere is a link to it."""
        source, words = str(tokens[idx].attrs.get("src", "")), html.escape(tokens[idx].content)
        if UPLOAD.fullmatch(source):
            source = f"/{env['project']}{source}"
        elif not PICTURE.fullmatch(source):
            return f'<a href="{html.escape(source)}" rel="noopener noreferrer nofollow">{words or "picture"}</a>'
        return f'<img src="{html.escape(source)}" alt="{words}" loading="lazy">'

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Render the beginning of a link."""
        tokens[idx].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, idx, options, env)


class _Reader(MarkdownIt):
    """Reads Markdown with tables; addresses are judged here and again where they are written."""

    def validateLink(self, url: str) -> bool:  # the library's name
        """Say whether an address may stand in a link or picture."""
        return bool(PICTURE.fullmatch(url)) or bool(LINK.match(url) and not url.startswith("//"))


READER = _Reader("commonmark", {"html": True}, renderer_cls=_Harmless).enable(["table", "strikethrough"])


def rendered(text: str, project: str) -> str:
    """Give the HTML of what somebody wrote in a project."""
    env: dict[str, Any] = {"project": html.escape(project)}
    return f'<div class="md">{READER.render(text, env)}</div>'
