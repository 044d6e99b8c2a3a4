"""What lies in a repository: trees, files, commits, branches, comparisons, archives."""

from __future__ import annotations

import base64
import hashlib

from starlette.responses import Response

from cdl.embedded.forge import changes, protections, views
from cdl.embedded.forge.accounts import MAINTAINER
from cdl.embedded.forge.errors import ApiError, forbidden, incomplete, invalid, missing
from cdl.embedded.forge.git import GitError, Repository
from cdl.embedded.forge.store import Tree
from cdl.embedded.forge.web import Answer, Call, Routes

ARCHIVES = {"tar.gz": ("tar.gz", "application/gzip"), "tgz": ("tgz", "application/gzip")}
ARCHIVES |= {"tar": ("tar", "application/x-tar"), "zip": ("zip", "application/zip")}


def add_to(routes: Routes) -> None:
    """Serve these."""
    here = "/projects/{project}/repository"
    routes.add("GET", f"{here}/tree", tree)
    routes.add("GET", f"{here}/files/{{file}}/raw", raw)
    routes.add("GET", f"{here}/files/{{file}}", file)
    routes.add("GET", f"{here}/commits", commits)
    routes.add("GET", f"{here}/commits/{{sha}}", commit)
    routes.add("GET", f"{here}/commits/{{sha}}/diff", commit_diff)
    routes.add("GET", f"{here}/commits/{{sha}}/refs", commit_refs)
    routes.add("GET", f"{here}/compare", compare)
    routes.add("GET", f"{here}/merge_base", merge_base)
    routes.add("GET", f"{here}/branches", branches)
    routes.add("POST", f"{here}/branches", create_branch)
    routes.add("GET", f"{here}/branches/{{branch}}", branch)
    routes.add("DELETE", f"{here}/branches/{{branch}}", remove_branch)
    routes.add("GET", f"{here}/tags", tags)
    for name in ("archive", *(f"archive.{form}" for form in ARCHIVES)):
        routes.add("GET", f"{here}/{name}", archive)


def resolved(repository: Repository, name: str, what: str = "Commit") -> str:
    """Give the commit a name leads to.

    Raises:
        ApiError: there is none.
    """
    sha = repository.resolve(name)
    if not sha:
        raise missing(what)
    return sha


def tree(call: Call) -> Answer:
    """GET /repository/tree."""
    project, repository = call.repository()
    sha = resolved(repository, call.text("ref") or project["default_branch"], "Tree")
    found = repository.tree(sha, call.text("path"), recursive=call.flag("recursive"))
    if not found and call.text("path"):
        raise missing("invalid revision or path")
    found.sort(key=lambda entry: (entry[1] != "tree", entry[3]))
    return call.page(
        [
            {"id": blob, "name": path.rpartition("/")[2], "type": kind, "path": path, "mode": mode}
            for mode, kind, blob, path in found
        ]
    )


def _file(call: Call) -> tuple[Tree, bytes]:
    project, repository = call.repository()
    ref = call.text("ref") or project["default_branch"]
    sha = resolved(repository, project["default_branch"] if ref == "HEAD" else ref)
    path = call.name("file")
    found = repository.blob(sha, path)
    if found is None:
        raise missing("File")
    mode, blob, content = found
    last = repository.log(sha, path=path, limit=1)
    return {
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "size": len(content),
        "encoding": "base64",
        "content_sha256": hashlib.sha256(content).hexdigest(),
        "ref": ref,
        "blob_id": blob,
        "commit_id": sha,
        "last_commit_id": last[0].sha if last else sha,
        "execute_filemode": mode == "100755",
    }, content


def file(call: Call) -> Answer:
    """GET /repository/files/:path."""
    facts, content = _file(call)
    return facts | {"content": base64.b64encode(content).decode()}


def raw(call: Call) -> Answer:
    """GET /repository/files/:path/raw; as plain text, so that no browser runs what somebody committed."""
    _, content = _file(call)
    return Response(content, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})


def commits(call: Call) -> Answer:
    """GET /repository/commits."""
    project, repository = call.repository()
    ref = call.text("ref_name") or project["default_branch"]
    if not repository.refs() and not call.text("ref_name"):
        return call.page([])
    stop, _, start = ref.rpartition("..")
    sha = resolved(repository, start)
    until = resolved(repository, stop) if stop else ""
    size, page = min(max(call.whole("per_page", 20), 1), 100), max(call.whole("page", 1), 1)
    path = call.text("path")
    found = repository.log(sha, stop=until, path=path, limit=size, skip=(page - 1) * size)
    total = repository.count(sha, stop=until, path=path)
    items = [views.commit(call.forge, project, seen) for seen in found]
    return call.answer_page(items, page, size, max(-(-total // size), 1), total)


def commit(call: Call) -> Answer:
    """GET /repository/commits/:sha."""
    project, repository = call.repository()
    sha = resolved(repository, call.name("sha"))
    return views.commit_in_full(call.forge, project, repository, repository.commit(sha))


def commit_diff(call: Call) -> Answer:
    """GET /repository/commits/:sha/diff."""
    _, repository = call.repository()
    seen = repository.commit(resolved(repository, call.name("sha")))
    found = repository.diff(seen.parents[0] if seen.parents else "", seen.sha)
    return call.page([views.diff(change) for change in found])


def commit_refs(call: Call) -> Answer:
    """GET /repository/commits/:sha/refs."""
    _, repository = call.repository()
    sha = resolved(repository, call.name("sha"))
    wanted = {"branch": ("refs/heads",), "tag": ("refs/tags",)}.get(call.text("type"), ("refs/heads", "refs/tags"))
    said = repository.text("for-each-ref", f"--contains={sha}", "--format=%(refname)", *wanted).splitlines()
    kinds = {"heads": "branch", "tags": "tag"}
    return call.page([{"type": kinds[ref.split("/")[1]], "name": ref.split("/", 2)[2]} for ref in said])


def compare(call: Call) -> Answer:
    """GET /repository/compare; from where the two parted, or straight."""
    project, repository = call.repository()
    old, new = (resolved(repository, call.needed(name), "Ref") for name in ("from", "to"))
    start = old if call.flag("straight") else repository.base(old, new) or old
    found = repository.log(new, stop=old)
    listed = [views.commit(call.forge, project, seen) for seen in reversed(found)]
    return {
        "commit": listed[-1] if listed else None,
        "commits": listed,
        "diffs": [views.diff(change) for change in repository.diff(start, new)],
        "compare_timeout": False,
        "compare_same_ref": old == new,
        "web_url": f"{views.web_url(call.forge, project)}/-/compare/{call.text('from')}...{call.text('to')}",
    }


def merge_base(call: Call) -> Answer:
    """GET /repository/merge_base."""
    project, repository = call.repository()
    refs = call.given.get("refs[]") or call.given.get("refs") or []
    names = refs if isinstance(refs, list) else [refs]
    if len(names) != 2:
        raise incomplete("refs", "must have two values")
    base = repository.base(*(resolved(repository, str(name), "Ref") for name in names))
    return views.commit(call.forge, project, repository.commit(base)) if base else {}


def _branch(call: Call, project: Tree, repository: Repository, name: str, sha: str) -> Tree:
    rule = protections.rule(call.forge.store, project, name)
    level = call.forge.accounts.access(call.user, project)
    default = repository.resolve(f"refs/heads/{project['default_branch']}")
    return {
        "name": name,
        "commit": views.commit(call.forge, project, repository.commit(sha)),
        "merged": bool(default) and name != project["default_branch"] and repository.leads_to(sha, default),
        "protected": rule is not None,
        "developers_can_push": bool(rule) and protections.allows(30, rule["push_access_level"] if rule else 0),
        "developers_can_merge": bool(rule) and protections.allows(30, rule["merge_access_level"] if rule else 0),
        "can_push": protections.may_push(call.forge.store, project, name, level),
        "default": name == project["default_branch"],
        "web_url": f"{views.web_url(call.forge, project)}/-/tree/{name}",
    }


def branches(call: Call) -> Answer:
    """GET /repository/branches."""
    project, repository = call.repository()
    found = {ref.removeprefix("refs/heads/"): sha for ref, sha in repository.refs().items()}
    wanted = {name: sha for name, sha in found.items() if call.text("search") in name}
    return call.page([_branch(call, project, repository, name, sha) for name, sha in wanted.items()])


def branch(call: Call) -> Answer:
    """GET /repository/branches/:branch."""
    project, repository = call.repository()
    sha = resolved(repository, f"refs/heads/{call.name('branch')}", "Branch")
    return _branch(call, project, repository, call.name("branch"), sha)


def pushing(call: Call, project: Tree, name: str) -> None:
    """See that the caller may move a branch.

    Raises:
        ApiError: it is protected, or the name is none.
    """
    level = call.forge.accounts.access(call.user, project)
    if not protections.may_push(call.forge.store, project, name, level):
        raise forbidden("You are not allowed to push into this branch")
    try:
        call.forge.repository(project).run("check-ref-format", f"refs/heads/{name}")
    except GitError as error:
        raise ApiError(400, {"message": "Branch name is invalid"}) from error


def create_branch(call: Call) -> Answer:
    """POST /repository/branches."""
    project = call.writes()
    repository, name = call.forge.repository(project), call.needed("branch")
    pushing(call, project, name)
    sha = repository.resolve(call.needed("ref"))
    if not sha:
        raise invalid(f"Invalid reference name: {call.text('ref')}")
    if not changes.move(call.forge, project, f"refs/heads/{name}", ("", sha), call.user):
        raise invalid("Branch already exists")
    return _branch(call, project, repository, name, sha)


def remove_branch(call: Call) -> Answer:
    """DELETE /repository/branches/:branch."""
    project = call.writes()
    name = call.name("branch")
    sha = resolved(call.forge.repository(project), f"refs/heads/{name}", "Branch")
    level = call.forge.accounts.access(call.user, project)
    if name == project["default_branch"]:
        raise invalid("Cannot remove HEAD branch")
    if protections.rule(call.forge.store, project, name) and level < MAINTAINER:
        raise forbidden("Protected branch cannot be deleted")
    changes.move(call.forge, project, f"refs/heads/{name}", (sha, ""), call.user)
    return None


def tags(call: Call) -> Answer:
    """GET /repository/tags."""
    project, repository = call.repository()
    return call.page(
        [
            {
                "name": ref.removeprefix("refs/tags/"),
                "message": "",
                "target": sha,
                "commit": views.commit(call.forge, project, repository.commit(sha)),
                "release": None,
                "protected": False,
                "created_at": None,
            }
            for ref, sha in repository.refs("refs/tags").items()
        ]
    )


def archive(call: Call) -> Answer:
    """GET /repository/archive.:format."""
    project, repository = call.repository()
    name = call.text("sha") or project["default_branch"]
    sha = resolved(repository, name, "File")
    form, kind = ARCHIVES[call.path.rpartition("/archive")[2].lstrip(".") or "tar.gz"]
    prefix = f"{project['path']}-{name.replace('/', '-')}-{sha}"
    content = repository.archive(sha, form, prefix, call.text("path"))
    headers = {"Content-Disposition": f'attachment; filename="{prefix}.{form}"'}
    return Response(content, media_type=kind, headers=headers)
