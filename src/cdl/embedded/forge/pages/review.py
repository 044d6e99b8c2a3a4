"""A merge request as people read it: how it stands, who agreed, what was told, said and changed."""

from __future__ import annotations

from starlette.requests import Request

from cdl.embedded.forge import reviews
from cdl.embedded.forge.accounts import User
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.pages import changes
from cdl.embedded.forge.pages.layout import card, e, rows, tag, when
from cdl.embedded.forge.pages.layout import page as whole
from cdl.embedded.forge.pages.markdown import rendered
from cdl.embedded.forge.store import Tree


def page(forge: Forge, project: Tree, user: User, request: Request) -> str:
    """Give the page."""
    review = reviews.find(forge, project, int(request.path_params["iid"]))
    path = project["path_with_namespace"]
    title = f"{review['title']} (!{review['iid']})"
    said = reviews.notes(forge, review)
    body = [
        f'<p class="soft small"><a href="/{e(path)}">{e(path)}</a> · merge request !{review["iid"]}</p>',
        f"<h1>{e(review['title'])}</h1>",
        f"<p>{_line(forge, project, review)}</p>",
        rendered(review["description"], path) if review["description"] else "",
        _approvals(forge, review),
        changes.statuses(forge, project, review["sha"]),
        "<h2>What was said</h2>",
        "".join(_note(forge, path, note) for note in said) or '<p class="soft">Nobody has said anything yet.</p>',
        "<h2>What would change</h2>" if review["state"] == "opened" else "<h2>What changed</h2>",
        changes.diff(forge.repository(project).diff(review["base_sha"], review["sha"])),
    ]
    return whole(title, "".join(body), user)


def _line(forge: Forge, project: Tree, review: Tree) -> str:
    standing = tag(reviews.standing(forge, review)) if review["state"] == "opened" else ""
    link = f"/{e(project['path_with_namespace'])}/-/commit/"
    merged = review["merge_commit_sha"]
    as_what = f' as <a href="{link}{merged}"><code>{merged[:12]}</code></a>' if merged else ""
    by = f" by {e(forge.user(review['merged_by']).username)}{as_what}" if review["merged_by"] else ""
    author = e(forge.user(review["author_id"]).username)
    return (
        f"{tag(review['state'])}{by} {standing} <code>{e(review['source_branch'])}</code> → "
        f"<code>{e(review['target_branch'])}</code> by {author}, {when(review['created_at'])}"
    )


def _approvals(forge: Forge, review: Tree) -> str:
    entries = []
    for given in reviews.approvals(forge, review):
        old = given["sha"] != review["sha"]
        word = '<span class="tag wait">an earlier commit</span>' if old else '<span class="tag good">this commit</span>'
        who = e(forge.user(given["user_id"]).username)
        at = f"<code>{e(given['sha'][:12])}</code>{when(given['created_at'])}"
        entries.append(f'<b class="grow">{who}</b>{word}{at}')
    wanted = reviews.required(forge, review)
    need = f'<span class="soft small">{wanted} needed</span>' if wanted else ""
    return card(f'<b class="grow">Approvals</b>{need}', rows(entries, "Nobody has approved this yet."))


def _note(forge: Forge, path: str, note: Tree) -> str:
    who = e(forge.user(note["author_id"]).username)
    if note["system"]:
        return f'<p class="event"><b>{who}</b> {e(note["body"])} {when(note["created_at"])}</p>'
    edited = ' <span class="soft small">edited</span>' if note["updated_at"] != note["created_at"] else ""
    thread = (
        (tag("success") if note["resolved"] else '<span class="tag wait">open</span>') if note["resolvable"] else ""
    )
    top = f'<b class="grow">{who}</b>{thread}{when(note["updated_at"])}{edited}'
    return card(top, f'<div class="in">{rendered(note["body"], path)}</div>', f"note_{note['id']}")
