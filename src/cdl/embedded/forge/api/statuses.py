"""Commit statuses, pipelines and jobs."""

from __future__ import annotations

from starlette.responses import Response

from cdl.embedded.forge import events, views
from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER, REPORTER
from cdl.embedded.forge.api.repository import resolved
from cdl.embedded.forge.errors import ApiError, forbidden, incomplete, invalid, missing
from cdl.embedded.forge.forge import Forge
from cdl.embedded.forge.store import Tree, now
from cdl.embedded.forge.web import Answer, Call, Routes

EVENTS = {"pending": "enqueue", "running": "run", "success": "success", "failed": "drop", "canceled": "cancel"}
EVENTS |= {"skipped": "skip"}
"""By what a status comes to a state, as the refusal names it."""
FINAL = {"success", "failed", "canceled", "skipped"}


def add_to(routes: Routes) -> None:
    """Serve these."""
    here = "/projects/{project}"
    routes.add("POST", f"{here}/statuses/{{sha}}", create)
    routes.add("GET", f"{here}/repository/commits/{{sha}}/statuses", statuses)
    routes.add("POST", f"{here}/pipeline", create_pipeline)
    routes.add("POST", f"{here}/trigger/pipeline", create_pipeline)
    routes.add("GET", f"{here}/pipelines", pipelines)
    routes.add("GET", f"{here}/pipelines/{{pipeline}}", pipeline)
    routes.add("POST", f"{here}/pipelines/{{pipeline}}/cancel", cancel)
    routes.add("GET", f"{here}/pipelines/{{pipeline}}/jobs", pipeline_jobs)
    routes.add("GET", f"{here}/jobs", jobs)
    routes.add("GET", f"{here}/jobs/{{job}}", job)
    routes.add("GET", f"{here}/jobs/{{job}}/trace", trace)
    routes.add("POST", f"{here}/pipelines/{{pipeline}}/jobs", set_job)


def create(call: Call) -> Answer:
    """POST /statuses/:sha: a status of that name that has not ended goes on, any other is begun anew."""
    project = call.writes()
    repository = call.forge.repository(project)
    sha = resolved(repository, call.name("sha"))
    state = call.needed("state")
    if state not in EVENTS:
        raise incomplete("state", "does not have a valid value")
    name, ref = call.text("name") or call.text("context") or "default", call.text("ref")
    if not ref:
        said = repository.text("for-each-ref", f"--contains={sha}", "--format=%(refname)", "refs/heads").splitlines()
        if not said:
            raise missing("References for commit")
        ref = said[0].removeprefix("refs/heads/")
    external = _external(call, project, sha, ref)
    known = call.forge.store.all("status", project["id"], sha)
    mine = [s for s in known if (s["name"], s["ref"], s["pipeline_id"]) == (name, ref, external["id"])]
    alive = [s for s in mine if s["status"] not in FINAL]
    found = alive[-1] if alive else _new(call, project, external, name)
    _check(found["status"], state)
    found |= {key: call.text(key) or None for key in ("target_url", "description") if key in call.given}
    found["coverage"] = float(call.text("coverage")) if call.text("coverage") else found["coverage"]
    found["status"] = state
    found["started_at"] = found["started_at"] or (now() if state == "running" else None)
    found["finished_at"] = now() if state in FINAL else None
    call.forge.store.put("status", found)
    _pipeline_follows(call.forge, external)
    return views.status(call.forge, found)


def _new(call: Call, project: Tree, external: Tree, name: str) -> Tree:
    target = call.text("target_url")
    if target and not target.startswith(("http://", "https://")):
        raise invalid({"target_url": ["is blocked: Only allowed schemes are http, https"]})
    document = {
        "project_id": project["id"],
        "pipeline_id": external["id"],
        "sha": external["sha"],
        "ref": external["ref"],
        "status": "created",
        "name": name,
        "target_url": None,
        "description": None,
        "created_at": now(),
        "started_at": None,
        "finished_at": None,
        "allow_failure": False,
        "coverage": None,
        "user_id": call.user.id,
    }
    return call.forge.store.add("status", document)


def _check(before: str, after: str) -> None:
    """Refuse what GitLab's state machine does not know.

    Raises:
        ApiError: the status cannot go there.
    """
    allowed = {
        "created": EVENTS.keys(),
        "pending": EVENTS.keys() - {"pending"},
        "running": FINAL - {"skipped"},
    }
    if after not in allowed[before]:
        event = EVENTS[after]
        said = (
            f'Cannot transition status via :{event} from :{before} (Reason(s): Status cannot transition via "{event}")'
        )
        raise invalid(said)


def _external(call: Call, project: Tree, sha: str, ref: str) -> Tree:
    """Give the pipeline a status belongs to: the one named, the newest of commit and ref, or a new one."""
    store = call.forge.store
    known = store.all("pipeline", project["id"], sha)
    if call.text("pipeline_id"):
        named = [p for p in known if str(p["id"]) == call.text("pipeline_id")]
        if not named:
            raise missing("Pipeline")
        return named[0]
    fitting = [p for p in known if p["ref"] == ref]
    return fitting[-1] if fitting else begin(call, project, (sha, ref), "external")


def begin(call: Call, project: Tree, where: tuple[str, str], source: str) -> Tree:
    """Keep a new pipeline of a commit and a ref."""
    document = {
        "project_id": project["id"],
        "iid": call.forge.store.count(f"pipeline of {project['id']}"),
        "sha": where[0],
        "ref": where[1],
        "status": "pending" if source != "external" else "created",
        "source": source,
        "user_id": call.user.id,
        "created_at": now(),
        "updated_at": now(),
        "variables": [v for v in call.given.get("variables") or [] if isinstance(v, dict)],
    }
    return call.forge.store.add("pipeline", document)


def _pipeline_follows(forge: Forge, seen: Tree) -> None:
    """Let a pipeline say what its jobs and statuses say together, and tell hooks when that is news."""
    statuses = [s for s in forge.store.all("status", seen["project_id"], seen["sha"]) if s["pipeline_id"] == seen["id"]]
    parts = [*latest(statuses), *forge.store.all("job", seen["project_id"], seen["id"])]
    together = _together({part["status"] for part in parts})
    if together == seen["status"]:
        return
    seen |= {"status": together, "updated_at": now()}
    forge.store.put("pipeline", seen)
    forge.outbox.tell(seen["project_id"], "pipeline_events", "Pipeline Hook", events.pipeline(forge, seen))


def _together(states: set[str]) -> str:
    if not states - {"skipped"}:
        return "skipped" if states else "pending"
    if "running" in states or (states & FINAL and states - FINAL):
        return "running"
    if states - FINAL:
        return "pending"
    return next((word for word in ("failed", "canceled") if word in states), "success")


def latest(found: list[Tree]) -> list[Tree]:
    """Give the newest status of each name."""
    return list({(s["name"], s["ref"]): s for s in found}.values())


def statuses(call: Call) -> Answer:
    """GET /repository/commits/:sha/statuses."""
    project, repository = call.repository(REPORTER)
    sha = resolved(repository, call.name("sha"))
    found = call.forge.store.all("status", project["id"], sha)
    found = found if call.flag("all") else latest(found)
    for key, field in (("ref", "ref"), ("name", "name"), ("pipeline_id", "pipeline_id")):
        found = [s for s in found if call.text(key) in {"", str(s[field])}]
    return call.page([views.status(call.forge, s) for s in found])


def create_pipeline(call: Call) -> Answer:
    """POST /pipeline: it is pending until somebody says what became of it; this forge has no runner."""
    project = call.writes(DEVELOPER)
    sha = call.forge.repository(project).resolve(call.needed("ref"))
    if not sha:
        raise invalid({"base": ["Reference not found"]})
    source = "trigger" if call.path.endswith("/trigger/pipeline") else "api"
    made = begin(call, project, (sha, call.text("ref")), source)
    call.forge.outbox.tell(project["id"], "pipeline_events", "Pipeline Hook", events.pipeline(call.forge, made))
    return views.pipeline_in_full(call.forge, project, made)


def pipelines(call: Call) -> Answer:
    """GET /pipelines."""
    project = call.project()
    found = call.forge.store.all("pipeline", project["id"], call.text("sha") or None)
    for key in ("ref", "status", "source"):
        found = [p for p in found if call.text(key) in {"", p[key]}]
    return call.page([views.pipeline(call.forge, project, p) for p in reversed(found)])


def _found(call: Call, kind: str) -> tuple[Tree, Tree]:
    project = call.project()
    found = call.forge.store.get(kind, call.number(kind))
    if found is None or found["project_id"] != project["id"]:
        raise missing()
    return project, found


def pipeline(call: Call) -> Answer:
    """GET /pipelines/:id."""
    return views.pipeline_in_full(call.forge, *_found(call, "pipeline"))


def cancel(call: Call) -> Answer:
    """POST /pipelines/:id/cancel."""
    call.writes()
    project, found = _found(call, "pipeline")
    for one in call.forge.store.all("job", project["id"], found["id"]):
        if one["status"] not in FINAL:
            call.forge.store.put("job", one | {"status": "canceled", "finished_at": now()})
    found |= {"status": "canceled", "updated_at": now()}
    call.forge.store.put("pipeline", found)
    return views.pipeline_in_full(call.forge, project, found)


def _job(call: Call, project: Tree, seen: Tree) -> Tree:
    owner = call.forge.store.get("pipeline", seen["pipeline_id"]) or {}
    shown = {key: value for key, value in seen.items() if key not in {"token", "trace", "user_id", "project_id"}}
    return shown | {
        "pipeline": views.pipeline(call.forge, project, owner),
        "commit": views.commit(call.forge, project, call.forge.repository(project).commit(owner["sha"])),
        "user": views.person(call.forge, call.forge.user(seen["user_id"])),
        "web_url": f"{views.web_url(call.forge, project)}/-/jobs/{seen['id']}",
        "artifacts": [],
        "runner": None,
        "tag": False,
    }


def pipeline_jobs(call: Call) -> Answer:
    """GET /pipelines/:id/jobs."""
    project, found = _found(call, "pipeline")
    return call.page([_job(call, project, one) for one in call.forge.store.all("job", project["id"], found["id"])])


def jobs(call: Call) -> Answer:
    """GET /jobs."""
    project = call.project()
    return call.page([_job(call, project, one) for one in reversed(call.forge.store.all("job", project["id"]))])


def job(call: Call) -> Answer:
    """GET /jobs/:id."""
    return _job(call, *_found(call, "job"))


def trace(call: Call) -> Answer:
    """GET /jobs/:id/trace."""
    return Response(_found(call, "job")[1]["trace"], media_type="text/plain")


def set_job(call: Call) -> Answer:
    """POST /pipelines/:id/jobs: this forge's own, in the place of a runner: what became of a job.

    Who begins one is told its token, once.

    Raises:
        ApiError: no role to speak for a runner, or a state that is none.
    """
    call.writes(MAINTAINER)
    project, found = _found(call, "pipeline")
    name, state = call.needed("name"), call.needed("state")
    if state not in EVENTS:
        raise incomplete("state", "does not have a valid value")
    known = {one["name"]: one for one in call.forge.store.all("job", project["id"], found["id"])}
    made = known.get(name) or _new_job(call, project, found, name)
    if made["status"] in FINAL:
        raise forbidden("Job is not running")
    made |= {"status": state, "trace": made["trace"] + call.text("trace"), "started_at": made["started_at"] or now()}
    made["failure_reason"] = "script_failure" if state == "failed" else None
    made["finished_at"] = now() if state in FINAL else None
    call.forge.store.put("job", made)
    _pipeline_follows(call.forge, found)
    token = {"token": call.forge.accounts.job_token(made)} if state == "running" and name not in known else {}
    return _job(call, project, made) | token


def _new_job(call: Call, project: Tree, owner: Tree, name: str) -> Tree:
    if owner["status"] in FINAL:
        raise ApiError(400, {"message": "Pipeline is not running"})
    document = {"project_id": project["id"], "pipeline_id": owner["id"], "name": name, "status": "created"}
    document |= {"stage": call.text("stage", "test"), "ref": owner["ref"], "user_id": owner["user_id"]}
    times = {"created_at": now(), "started_at": None, "finished_at": None, "duration": None, "queued_duration": None}
    rest = {"allow_failure": False, "coverage": None, "failure_reason": None, "token": "", "trace": ""}
    return call.forge.store.add("job", document | times | rest)
