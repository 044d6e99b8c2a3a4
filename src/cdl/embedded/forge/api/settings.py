"""What maintainers set up: protected branches, hooks, variables, environments, deployments; files for notes."""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlsplit

from starlette.responses import Response

from cdl.embedded.forge import protections, views
from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER
from cdl.embedded.forge.errors import ApiError, conflict, incomplete, invalid, missing
from cdl.embedded.forge.store import Tree, now
from cdl.embedded.forge.web import Answer, Call, Routes

HOOK_FLAGS: tuple[str, ...] = (
    "push",
    "tag_push",
    "merge_requests",
    "note",
    "pipeline",
    "job",
    "deployment",
    "issues",
    "releases",
)
HOOK_FLAGS += ("confidential_issues", "confidential_note", "wiki_page")
HOOK_SECRETS = {"token", "signing_token"}
LEVELS = {0, 30, 40, 60}
DEPLOYED = {"created", "running", "success", "failed", "canceled", "blocked"}
LARGEST_UPLOAD = 10 << 20


def add_to(routes: Routes) -> None:
    """Serve these."""
    here = "/projects/{project}"
    for kind, name, handlers in (
        ("protected_branches", "branch", (protections_of, protect, protection, None, unprotect)),
        ("hooks", "hook", (hooks, add_hook, hook, change_hook, remove_hook)),
        ("variables", "key", (variables, add_variable, variable, change_variable, remove_variable)),
        ("environments", "environment", (environments, add_environment, environment, change_environment, None)),
        ("deployments", "deployment", (deployments, deploy, deployment, deployed, None)),
    ):
        all_of, one_of = f"{here}/{kind}", f"{here}/{kind}/{{{name}}}"
        places = (("GET", all_of), ("POST", all_of), ("GET", one_of), ("PUT", one_of), ("DELETE", one_of))
        for (method, path), handler in zip(places, handlers, strict=True):
            if handler is not None:
                routes.add(method, path, handler)
    routes.add("GET", f"{here}/hooks/{{hook}}/events", deliveries)
    routes.add("POST", f"{here}/hooks/{{hook}}/events/{{delivery}}/resend", resend)
    routes.add("POST", f"{here}/uploads", upload)
    routes.add("GET", f"{here}/uploads/{{secret}}/{{file}}", uploaded)


def protections_of(call: Call) -> Answer:
    """GET /protected_branches."""
    found = call.forge.store.all("protected_branch", call.project(DEVELOPER)["id"])
    return call.page([views.protection(rule) for rule in found])


def _protection(call: Call) -> Tree:
    found = call.forge.store.by("protected_branch", call.project(DEVELOPER)["id"], call.name("branch"))
    if found is None:
        raise missing()
    return found


def protection(call: Call) -> Answer:
    """GET /protected_branches/:name."""
    return views.protection(_protection(call))


def protect(call: Call) -> Answer:
    """POST /protected_branches."""
    project, name = call.writes(MAINTAINER), call.needed("name")
    if call.forge.store.by("protected_branch", project["id"], name):
        raise conflict(f"Protected branch '{name}' already exists")
    push, merge = (call.whole(f"{what}_access_level", MAINTAINER) for what in ("push", "merge"))
    if not {push, merge} <= LEVELS:
        raise incomplete("push_access_level", "does not have a valid value")
    found = protections.protect(call.forge.store, project, name, push, merge)
    found["allow_force_push"] = call.flag("allow_force_push")
    call.forge.store.put("protected_branch", found)
    return views.protection(found)


def unprotect(call: Call) -> Answer:
    """DELETE /protected_branches/:name."""
    call.writes(MAINTAINER)
    call.forge.store.remove("protected_branch", _protection(call)["id"])
    return None


def _hook(found: Tree) -> Tree:
    """Write a hook; what only the receiver may know is never shown again."""
    shown = {key: value for key, value in found.items() if key not in HOOK_SECRETS}
    return shown | {"alert_status": "executable", "disabled_until": None, "url_variables": []}


def _found_hook(call: Call) -> tuple[Tree, Tree]:
    project = call.project(MAINTAINER)
    found = call.forge.store.get("hook", call.number("hook"))
    if found is None or found["project_id"] != project["id"]:
        raise missing()
    return project, found


def _hook_fields(call: Call) -> Tree:
    fields: Tree = {
        f"{flag}_events": call.flag(f"{flag}_events") for flag in HOOK_FLAGS if f"{flag}_events" in call.given
    }
    fields |= {
        name: call.text(name) for name in (*HOOK_SECRETS, "url", "push_events_branch_filter") if name in call.given
    }
    url = urlsplit(str(fields.get("url", "http://x")))
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ApiError(422, {"error": "Invalid url given"})
    return fields


def hooks(call: Call) -> Answer:
    """GET /hooks."""
    return call.page([_hook(found) for found in call.forge.store.all("hook", call.project(MAINTAINER)["id"])])


def hook(call: Call) -> Answer:
    """GET /hooks/:id."""
    return _hook(_found_hook(call)[1])


def add_hook(call: Call) -> Answer:
    """POST /hooks."""
    project = call.writes(MAINTAINER)
    call.needed("url")
    flags = {f"{flag}_events": flag == "push" for flag in HOOK_FLAGS}
    document = {"project_id": project["id"], "created_at": now(), "enable_ssl_verification": True, "token": ""}
    document |= {"push_events_branch_filter": "", "signing_token": "", "repository_update_events": False}
    return _hook(call.forge.store.add("hook", document | flags | _hook_fields(call)))


def change_hook(call: Call) -> Answer:
    """PUT /hooks/:id."""
    call.writes(MAINTAINER)
    found = _found_hook(call)[1] | _hook_fields(call)
    call.forge.store.put("hook", found)
    return _hook(found)


def remove_hook(call: Call) -> Answer:
    """DELETE /hooks/:id."""
    call.writes(MAINTAINER)
    call.forge.store.remove("hook", _found_hook(call)[1]["id"])
    return None


def deliveries(call: Call) -> Answer:
    """GET /hooks/:id/events: what was sent, newest first, and what came of it."""
    project, found = _found_hook(call)
    sent = [d for d in call.forge.store.all("delivery", project["id"]) if d["hook_id"] == found["id"]]
    return call.page(
        [
            {
                "id": d["id"],
                "url": found["url"],
                "trigger": d["event"].removesuffix(" Hook").lower().replace(" ", "_") + "_hooks",
                "request_headers": {
                    "X-Gitlab-Event": d["event"],
                    "X-Gitlab-Webhook-UUID": d["uuid"],
                    "X-Gitlab-Event-UUID": d["event_uuid"],
                    "Idempotency-Key": d["uuid"],
                },
                "request_data": d["body"],
                "response_status": str(d["response_status"] or "internal error" if d["attempts"] else "pending"),
                "internal_error_message": d["error"] or None,
                "state": d["state"],
                "attempts": d["attempts"],
                "created_at": d["created_at"],
                "delivered_at": d["delivered_at"],
            }
            for d in reversed(sent)
        ]
    )


def resend(call: Call) -> Answer:
    """POST /hooks/:id/events/:event/resend."""
    call.writes(MAINTAINER)
    _, found = _found_hook(call)
    sent = call.forge.store.get("delivery", call.number("delivery"))
    if sent is None or sent["hook_id"] != found["id"]:
        raise missing()
    call.forge.outbox.send(found, sent["event"], sent["body"], sent["event_uuid"])
    return {"response_status": 202}


def _variable(call: Call) -> Tree:
    found = call.forge.store.by("variable", call.project(MAINTAINER)["id"], call.name("key"))
    if found is None:
        raise missing("Variable")
    return found


def _shown_variable(found: Tree) -> Tree:
    return {key: value for key, value in found.items() if key not in {"id", "project_id"}}


def variables(call: Call) -> Answer:
    """GET /variables."""
    project = call.project(MAINTAINER)
    return call.page([_shown_variable(found) for found in call.forge.store.all("variable", project["id"])])


def variable(call: Call) -> Answer:
    """GET /variables/:key."""
    return _shown_variable(_variable(call))


def add_variable(call: Call) -> Answer:
    """POST /variables."""
    project, key = call.writes(MAINTAINER), call.needed("key")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,255}", key):
        raise invalid({"key": ["can contain only letters, digits and '_'."]})
    if call.forge.store.by("variable", project["id"], key):
        raise invalid({"key": [f"({key}) has already been taken"]})
    document = {"project_id": project["id"], "key": key, "variable_type": call.text("variable_type", "env_var")}
    document |= {"value": call.text("value"), "environment_scope": call.text("environment_scope", "*")}
    flags = {name: call.flag(name) for name in ("protected", "masked", "raw")}
    return _shown_variable(call.forge.store.add("variable", document | flags | {"hidden": False, "description": None}))


def change_variable(call: Call) -> Answer:
    """PUT /variables/:key."""
    call.writes(MAINTAINER)
    found = _variable(call)
    found |= {name: call.text(name) for name in ("value", "environment_scope") if name in call.given}
    found |= {name: call.flag(name) for name in ("protected", "masked", "raw") if name in call.given}
    call.forge.store.put("variable", found)
    return _shown_variable(found)


def remove_variable(call: Call) -> Answer:
    """DELETE /variables/:key."""
    call.writes(MAINTAINER)
    call.forge.store.remove("variable", _variable(call)["id"])
    return None


def environments(call: Call) -> Answer:
    """GET /environments."""
    project = call.project()
    found = call.forge.store.all("environment", project["id"], call.text("name") or None)
    return call.page([_environment(call, project, one) for one in found])


def _environment(call: Call, project: Tree, found: Tree) -> Tree:
    mine = [d for d in call.forge.store.all("deployment", project["id"]) if d["environment_id"] == found["id"]]
    shown = {key: value for key, value in found.items() if key != "project_id"}
    return shown | {"last_deployment": _deployment(call, mine[-1]) if mine else None}


def _found_environment(call: Call) -> tuple[Tree, Tree]:
    project = call.project()
    found = call.forge.store.get("environment", call.number("environment"))
    if found is None or found["project_id"] != project["id"]:
        raise missing("Environment")
    return project, found


def environment(call: Call) -> Answer:
    """GET /environments/:id."""
    return _environment(call, *_found_environment(call))


def _made_environment(call: Call, project: Tree, name: str) -> Tree:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24]
    tier = call.text("tier") or ("production" if name.startswith("prod") else "other")
    document = {"project_id": project["id"], "name": name, "slug": slug, "tier": tier, "state": "available"}
    document |= {"external_url": call.text("external_url") or None, "created_at": now(), "updated_at": now()}
    return call.forge.store.add("environment", document)


def add_environment(call: Call) -> Answer:
    """POST /environments."""
    project, name = call.writes(DEVELOPER), call.needed("name")
    if call.forge.store.by("environment", project["id"], name):
        raise invalid({"name": ["has already been taken"]})
    return _environment(call, project, _made_environment(call, project, name))


def change_environment(call: Call) -> Answer:
    """PUT /environments/:id."""
    call.writes(DEVELOPER)
    project, found = _found_environment(call)
    found |= {name: call.text(name) for name in ("external_url", "tier") if name in call.given} | {"updated_at": now()}
    call.forge.store.put("environment", found)
    return _environment(call, project, found)


def _deployment(call: Call, found: Tree) -> Tree:
    hidden = {"project_id", "environment_id", "user_id"}
    where = call.forge.store.get("environment", found["environment_id"]) or {}
    return {key: value for key, value in found.items() if key not in hidden} | {
        "user": views.person(call.forge, call.forge.user(found["user_id"])),
        "environment": {key: where.get(key) for key in ("id", "name", "slug", "external_url")},
        "deployable": None,
    }


def deployments(call: Call) -> Answer:
    """GET /deployments."""
    project = call.project()
    names = {e["id"]: e["name"] for e in call.forge.store.all("environment", project["id"])}
    found = call.forge.store.all("deployment", project["id"])
    found = [d for d in found if call.text("environment") in {"", names[d["environment_id"]]}]
    found = [d for d in found if call.text("status") in {"", d["status"]}]
    found = found if call.text("sort", "asc") == "asc" else found[::-1]
    return call.page([_deployment(call, one) for one in found])


def _found_deployment(call: Call) -> Tree:
    project = call.project()
    found = call.forge.store.get("deployment", call.number("deployment"))
    if found is None or found["project_id"] != project["id"]:
        raise missing("Deployment")
    return found


def deployment(call: Call) -> Answer:
    """GET /deployments/:id."""
    return _deployment(call, _found_deployment(call))


def deploy(call: Call) -> Answer:
    """POST /deployments."""
    project = call.writes(DEVELOPER)
    name, sha, ref = (call.needed(word) for word in ("environment", "sha", "ref"))
    status = call.needed("status")
    if status not in DEPLOYED:
        raise incomplete("status", "does not have a valid value")
    if not call.forge.repository(project).resolve(sha):
        raise invalid({"ref": ["The branch or tag does not exist"]})
    where = call.forge.store.by("environment", project["id"], name) or _made_environment(call, project, name)
    document = {
        "project_id": project["id"],
        "iid": call.forge.store.count(f"deployment of {project['id']}"),
        "environment_id": where["id"],
        "ref": ref,
        "sha": sha,
        "tag": call.flag("tag"),
        "status": status,
        "user_id": call.user.id,
        "created_at": now(),
        "updated_at": now(),
    }
    return _deployment(call, call.forge.store.add("deployment", document))


def deployed(call: Call) -> Answer:
    """PUT /deployments/:id."""
    call.writes(DEVELOPER)
    found = _found_deployment(call)
    status = call.needed("status")
    if status not in DEPLOYED:
        raise incomplete("status", "does not have a valid value")
    if status == found["status"]:
        raise invalid({"status": [f"Cannot transition status via :{status} from :{status}"]})
    found |= {"status": status, "updated_at": now()}
    call.forge.store.put("deployment", found)
    return _deployment(call, found)


def upload(call: Call) -> Answer:
    """POST /uploads: a file for a note, found by a secret in its address."""
    project = call.writes(DEVELOPER)
    given = call.given.get("file")
    if not isinstance(given, tuple):
        raise incomplete("file")
    name, content = re.sub(r"[^A-Za-z0-9_.-]", "_", str(given[0])).lstrip(".") or "file", given[1]
    if len(content) > LARGEST_UPLOAD:
        raise ApiError(413, {"message": "413 Request Entity Too Large"})
    secret = secrets.token_hex(16)
    folder = call.forge.data / "uploads" / str(project["id"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / secret).write_bytes(content)
    found = call.forge.store.add("upload", {"project_id": project["id"], "secret": secret, "name": name})
    path = f"/uploads/{secret}/{name}"
    image = name.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"))
    return {
        "id": found["id"],
        "alt": name.rpartition(".")[0] or name,
        "url": path,
        "full_path": f"/-/project/{project['id']}{path}",
        "markdown": f"{'!' if image else ''}[{name.rpartition('.')[0] or name}]({path})",
    }


def uploaded(call: Call) -> Answer:
    """GET /uploads/:secret/:name."""
    project = call.project()
    found = call.forge.store.by("upload", project["id"], call.name("secret"))
    if found is None:
        raise missing()
    return Response(
        (call.forge.data / "uploads" / str(project["id"]) / found["secret"]).read_bytes(),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{found["name"]}"'},
    )
