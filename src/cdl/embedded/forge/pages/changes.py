"""What changed in files, and what was told of a commit."""

from __future__ import annotations

from cdl.embedded.forge.api.statuses import latest
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.git import LARGE, Change
from cdl.embedded.forge.pages.layout import card, e, href, rows, tag, when
from cdl.embedded.forge.store import Tree

CLASSES = {"+": "add", "-": "del", "@": "at", "\\": "at"}
FILES = 100


def diff(found: list[Change]) -> str:
    """Give the files that changed, each in a box."""
    more = f'<p class="soft">and {len(found) - FILES} files more</p>' if len(found) > FILES else ""
    return "".join(_file(change) for change in found[:FILES]) + more


def _file(change: Change) -> str:
    name = e(change.new_path)
    if change.old_path != change.new_path:
        name = f"{e(change.old_path)} → {name}"
    lines = change.text.splitlines()
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    count = f'<span class="tag good">+{added}</span><span class="tag bad">−{removed}</span>'  # noqa: RUF001 - a minus
    word = {"A": "new", "D": "removed", "R": "renamed"}.get(change.status, "")
    top = f'<code class="grow">{name}</code>{f"<span class=tag>{word}</span>" if word else ""}{count}'
    if len(change.text) > LARGE:
        return card(top, '<p class="in soft">too long to be shown here</p>')
    shown = "".join(f'<span class="{CLASSES.get(line[:1], "")}">{e(line) or " "}</span>' for line in lines)
    return card(top, f'<pre class="diff">{shown}</pre>' if shown else '<p class="in soft">no lines changed</p>')


def statuses(forge: Forge, project: Tree, sha: str) -> str:
    """Give what a commit was told to say of itself."""
    found = latest(forge.store.all("status", project["id"], sha))
    entries = []
    for status in sorted(found, key=lambda s: s["name"]):
        name = f"<b>{e(status['name'])}</b>"
        if status["target_url"]:
            name = f'<a href="{href(status["target_url"])}" rel="noopener noreferrer">{name}</a>'
        said = f'<span class="soft grow">{e(status["description"] or "")}</span>'
        entries.append(f"{tag(status['status'])}{name}{said}{when(status['finished_at'] or status['created_at'])}")
    top = f'<b class="grow">Commit statuses</b><code>{e(sha[:12])}</code>'
    return card(top, rows(entries, "Nobody has told this commit anything yet."))
