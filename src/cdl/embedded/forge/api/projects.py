"""Users, projects, members, and what the forge says of itself."""

from __future__ import annotations

import re
import shutil

from starlette.responses import JSONResponse

from cdl.embedded.forge import protections, views
from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER, OWNER
from cdl.embedded.forge.errors import forbidden, incomplete, invalid, missing, unauthorized
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.store import Tree, now
from cdl.embedded.forge.web import Answer, Call, Routes

VERSION = "17.11.0"
PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
FLAGS = {
    "reset_approvals_on_push": False,
    "merge_requests_author_approval": False,
    "merge_requests_disable_committers_approval": False,
    "only_allow_merge_if_pipeline_succeeds": False,
    "only_allow_merge_if_all_discussions_are_resolved": False,
    "remove_source_branch_after_merge": False,
}
TEXTS = ("name", "description", "default_branch", "visibility", "merge_method")


def add_to(routes: Routes) -> None:
    """Serve these."""
    routes.add("GET", "/version", version)
    routes.add("GET", "/metadata", version)
    routes.add("GET", "/user", current_user)
    routes.add("GET", "/users", users)
    routes.add("GET", "/users/{user}", user)
    routes.add("GET", "/projects", projects)
    routes.add("POST", "/projects", create)
    routes.add("GET", "/projects/{project}", get)
    routes.add("PUT", "/projects/{project}", update)
    routes.add("DELETE", "/projects/{project}", remove)
    routes.add("GET", "/projects/{project}/approvals", approvals)
    routes.add("POST", "/projects/{project}/approvals", change_approvals)
    for path in ("/projects/{project}/members/all", "/projects/{project}/members"):
        routes.add("GET", path, members)
        routes.add("GET", f"{path}/{{user}}", member)
    routes.add("POST", "/projects/{project}/members", add_member)


def version(call: Call) -> Answer:
    """GET /version."""
    if not call.user.id:
        raise unauthorized()
    return {"version": VERSION, "revision": "cdl-forge", "enterprise": False}


def current_user(call: Call) -> Answer:
    """GET /user."""
    if not call.user.id:
        raise unauthorized()
    return views.myself(call.forge, call.user)


def users(call: Call) -> Answer:
    """GET /users."""
    wanted = call.text("username")
    found = [known for known in call.forge.accounts.by_id.values() if wanted in {"", known.username}]
    if not call.user.id:
        raise forbidden("Not authorized to access /api/v4/users")
    return call.page([views.person(call.forge, known) for known in found])


def user(call: Call) -> Answer:
    """GET /users/:id."""
    found = call.forge.accounts.by_id.get(call.number("user"))
    if found is None or not call.user.id:
        raise missing("User")
    return views.person(call.forge, found)


def projects(call: Call) -> Answer:
    """GET /projects."""
    found = []
    for known in call.forge.store.all("project"):
        level = call.forge.accounts.access(call.user, known)
        if (level or known["visibility"] == "public") and call.text("search") in known["path_with_namespace"]:
            found.append(views.project(call.forge, known, level))
    return call.page(found[::-1])


def create(call: Call) -> Answer:
    """POST /projects: the namespace is a parameter's, or the caller's own."""
    if call.user.access < DEVELOPER and not call.user.admin:
        raise forbidden()
    if not (call.given.get("name") or call.given.get("path")):
        raise incomplete("name, path", "are missing, at least one parameter must be provided")
    name = call.text("name") or call.text("path")
    path = call.text("path") or re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-").lower()
    namespace = call.text("namespace_path") or call.text("namespace") or call.user.username
    if not all(PATH.fullmatch(part) and not part.endswith((".git", ".atom")) for part in (path, *namespace.split("/"))):
        raise invalid({"path": ["can contain only letters, digits, '_', '-' and '.'."]})
    visibility = call.text("visibility", "private")
    if visibility not in views.LEVELS:
        raise incomplete("visibility", "does not have a valid value")
    whole = f"{namespace}/{path}"
    if call.forge.store.by("project", 0, whole):
        raise invalid({"name": ["has already been taken"], "path": ["has already been taken"]})
    document = {
        "name": name,
        "path": path,
        "path_with_namespace": whole,
        "description": call.text("description"),
        "visibility": visibility,
        "default_branch": call.text("default_branch", "main"),
        "creator_id": call.user.id,
        "created_at": now(),
        "last_activity_at": now(),
        "merge_method": "merge",
        "approvals_before_merge": 0,
    }
    return _created(call, document | {name: call.flag(name, default=default) for name, default in FLAGS.items()})


def _created(call: Call, document: Tree) -> Tree:
    project = call.forge.store.add("project", document)
    repository = call.forge.repository(project)
    if repository.folder.exists():  # left by a server that died before it had said that the project is there
        shutil.rmtree(repository.folder)
    repository.create(project["default_branch"])
    hooks(call.forge, project)
    protections.protect(call.forge.store, project, project["default_branch"])
    if call.flag("initialize_with_readme"):
        who = (call.user.name, call.user.email)
        git = repository
        blob = git.run("hash-object", "-w", "--stdin", given=f"# {project['name']}\n".encode()).decode().strip()
        with git.index("") as env:
            git.run("update-index", "--add", "--cacheinfo", f"100644,{blob},README.md", env=env)
            commit = git.record(git.text("write-tree", env=env), (), "Initial commit", who)
        git.move(f"refs/heads/{project['default_branch']}", commit, "0" * 40)
        call.forge.store.told(project["id"], f"refs/heads/{project['default_branch']}", commit)
    return views.project(call.forge, project, OWNER)


def hooks(forge: Forge, project: Tree) -> None:
    """Put the rules of protected branches where git asks them; anew at each start, for Python may have moved."""
    forge.repository(project).folder.joinpath("hooks").mkdir(exist_ok=True)
    script = forge.repository(project).folder / "hooks" / "pre-receive"
    script.write_text(forge.hook)
    script.chmod(0o755)


def get(call: Call) -> Answer:
    """GET /projects/:id."""
    found = call.project()
    return views.project(call.forge, found, call.forge.accounts.access(call.user, found))


def update(call: Call) -> Answer:
    """PUT /projects/:id."""
    found = call.writes(MAINTAINER)
    found |= {name: call.text(name) for name in TEXTS if name in call.given}
    if found["visibility"] not in views.LEVELS:
        raise incomplete("visibility", "does not have a valid value")
    found |= {name: call.flag(name) for name in FLAGS if name in call.given}
    found["approvals_before_merge"] = call.whole("approvals_before_merge", found["approvals_before_merge"])
    if "default_branch" in call.given:
        call.forge.repository(found).run("symbolic-ref", "HEAD", f"refs/heads/{found['default_branch']}")
    call.forge.store.put("project", found)
    return views.project(call.forge, found, call.forge.accounts.access(call.user, found))


def remove(call: Call) -> Answer:
    """DELETE /projects/:id: the project goes, its repository is kept under its number until the folder is cleared."""
    found = call.writes(OWNER)
    call.forge.store.remove("project", found["id"])
    return JSONResponse({"message": "202 Accepted"}, status_code=202)


def approvals(call: Call) -> Answer:
    """GET /projects/:id/approvals."""
    found = call.project()
    names = ("approvals_before_merge", *[name for name in FLAGS if "approval" in name])
    rest = {"disable_overriding_approvers_per_merge_request": False, "require_password_to_approve": False}
    return {name: found[name] for name in names} | rest | {"selective_code_owner_removals": False}


def change_approvals(call: Call) -> Answer:
    """POST /projects/:id/approvals."""
    update(call)
    return approvals(call)


def members(call: Call) -> Answer:
    """GET /projects/:id/members/all."""
    found = call.project()
    people = [(known, call.forge.accounts.access(known, found)) for known in call.forge.accounts.by_id.values()]
    return call.page([views.member(call.forge, known, level) for known, level in people if level])


def member(call: Call) -> Answer:
    """GET /projects/:id/members/all/:user."""
    found, known = call.project(), call.forge.accounts.by_id.get(call.number("user"))
    level = call.forge.accounts.access(known, found) if known else 0
    if known is None or not level:
        raise missing()
    return views.member(call.forge, known, level)


def add_member(call: Call) -> Answer:
    """POST /projects/:id/members."""
    found = call.writes(MAINTAINER)
    known = call.forge.accounts.by_id.get(call.whole("user_id", 0))
    if known is None:
        raise missing("User")
    level = call.whole("access_level", 0)
    if level not in {10, 20, 30, 40, 50}:
        raise incomplete("access_level", "does not have a valid value")
    before = call.forge.store.by("member", found["id"], known.id)
    document = {"project_id": found["id"], "user_id": known.id, "access_level": level}
    if before:
        call.forge.store.put("member", before | document)
    else:
        call.forge.store.add("member", document)
    return views.member(call.forge, known, level)
