"""The list of projects, a project, a commit."""

from __future__ import annotations

from starlette.requests import Request

from cdl.embedded.forge.accounts import User
from cdl.embedded.forge.api.repository import resolved
from cdl.embedded.forge.api.statuses import latest
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.pages import changes
from cdl.embedded.forge.pages.layout import card, e, href, page, rows, tag, when
from cdl.embedded.forge.store import Tree

SHOWN = 15


def home(forge: Forge, user: User) -> str:
    """Give the projects somebody may see."""
    seen = [p for p in forge.store.all("project") if forge.accounts.access(user, p) or p["visibility"] == "public"]
    entries = [
        f'<a class="grow" href="/{e(p["path_with_namespace"])}"><b>{e(p["path_with_namespace"])}</b></a>'
        f'<span class="soft grow">{e(p["description"])}</span>{tag(p["visibility"])}'
        for p in sorted(seen, key=lambda p: str(p["path_with_namespace"]))
    ]
    hint = "There is no project yet." if user.id else "There is no public project; sign in to see the others."
    return page("Projects", f"<h1>Projects</h1>{card('<b>All you may see</b>', rows(entries, hint))}", user)


def project(forge: Forge, found: Tree, user: User, _request: Request) -> str:
    """Give a project: what is to be merged, what was committed, where it runs."""
    path = found["path_with_namespace"]
    clone = (
        f'<p class="soft">{e(found["description"])}</p><pre><code>git clone {e(forge.url)}/{e(path)}.git</code></pre>'
    )
    body = f"<h1>{e(path)}</h1>{clone}{_reviews(forge, found)}{_environments(forge, found)}{_commits(forge, found)}"
    return page(path, body, user)


def _reviews(forge: Forge, found: Tree) -> str:
    kept = sorted(forge.store.all("merge_request", found["id"]), key=lambda r: (r["state"] != "opened", -r["iid"]))
    entries = [
        f'{tag(r["state"])}<a class="grow" href="/{e(found["path_with_namespace"])}/-/merge_requests/{r["iid"]}">'
        f'!{r["iid"]} {e(r["title"])}</a><span class="soft small">{e(r["source_branch"])} → {e(r["target_branch"])},'
        f" {e(forge.user(r['author_id']).username)}</span>{when(r['updated_at'])}"
        for r in kept[:SHOWN]
    ]
    return card('<b class="grow">Merge requests</b>', rows(entries, "Nobody has asked to merge anything yet."))


def _environments(forge: Forge, found: Tree) -> str:
    deployed = {d["environment_id"]: d for d in forge.store.all("deployment", found["id"])}
    entries = []
    for where in forge.store.all("environment", found["id"]):
        name = f"<b>{e(where['name'])}</b>"
        if where["external_url"]:
            name = f'<a href="{href(where["external_url"])}" rel="noopener noreferrer">{name}</a>'
        last = deployed.get(where["id"])
        said = f"{tag(last['status'])}<code>{e(last['sha'][:12])}</code>{when(last['updated_at'])}" if last else ""
        entries.append(f'<span class="grow">{name}</span>{said}')
    return card("<b>Environments</b>", rows(entries, "")) if entries else ""


def _commits(forge: Forge, found: Tree) -> str:
    repository = forge.repository(found)
    branch = found["default_branch"]
    sha = repository.resolve(f"refs/heads/{branch}")
    entries = []
    for seen in repository.log(sha, limit=SHOWN) if sha else []:
        told = {s["status"] for s in latest(forge.store.all("status", found["id"], seen.sha))}
        worst = next((state for state in ("failed", "running", "pending", "success") if state in told), "")
        link = f"/{e(found['path_with_namespace'])}/-/commit/{seen.sha}"
        entries.append(
            f'<code><a href="{link}">{seen.sha[:8]}</a></code><span class="grow">{e(seen.title)}</span>'
            f'{tag(worst) if worst else ""}<span class="soft small">{e(seen.author[0])}</span>{when(seen.committer[2])}'
        )
    return card(f"<b>Commits of {e(branch)}</b>", rows(entries, "The repository is empty: push something to it."))


def commit(forge: Forge, found: Tree, user: User, request: Request) -> str:
    """Give a commit: what was told of it and what it changed."""
    repository = forge.repository(found)
    seen = repository.commit(resolved(repository, request.path_params["sha"]))
    path = e(found["path_with_namespace"])
    top = f'<p class="soft"><a href="/{path}">{path}</a> · <code>{seen.sha}</code> · {e(seen.author[0])}</p>'
    body = f"<h1>{e(seen.title)}</h1>{top}<pre>{e(seen.message)}</pre>{changes.statuses(forge, found, seen.sha)}"
    changed = repository.diff(seen.parents[0] if seen.parents else "", seen.sha)
    return page(seen.title, f"{body}<h2>Changes</h2>{changes.diff(changed)}", user)
