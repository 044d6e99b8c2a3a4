"""Merge requests: made, listed, changed, merged; what they change."""

from __future__ import annotations

from cdl.embedded.forge import changes, reviews, views
from cdl.embedded.forge.accounts import DEVELOPER
from cdl.embedded.forge.api.repository import resolved
from cdl.embedded.forge.errors import ApiError, conflict, forbidden, incomplete, missing, unauthorized
from cdl.embedded.forge.git import Repository
from cdl.embedded.forge.store import Tree, now
from cdl.embedded.forge.web import Answer, Call, Routes


def add_to(routes: Routes) -> None:
    """Serve these."""
    here = "/projects/{project}/merge_requests"
    routes.add("GET", here, listed)
    routes.add("POST", here, create)
    one = f"{here}/{{iid}}"
    routes.add("GET", one, get)
    routes.add("PUT", one, update)
    routes.add("PUT", f"{one}/merge", merge)
    routes.add("GET", f"{one}/commits", commits)
    routes.add("GET", f"{one}/changes", all_changes)
    routes.add("GET", f"{one}/diffs", diffs)
    routes.add("GET", f"{one}/versions", versions)
    routes.add("GET", f"{one}/versions/{{version}}", version)
    routes.add("GET", f"{one}/pipelines", pipelines)
    routes.add("GET", f"{one}/participants", participants)
    routes.add("GET", "/projects/{project}/repository/commits/{sha}/merge_requests", of_commit)


def found(call: Call) -> tuple[Tree, Tree]:
    """Give the project and the merge request of the path."""
    project = call.project()
    return project, reviews.find(call.forge, project, call.number("iid"))


def listed(call: Call) -> Answer:
    """GET /merge_requests."""
    project = call.project()
    kept = call.forge.store.all("merge_request", project["id"])
    state = call.text("state", "all")
    kept = [r for r in kept if state in {"all", r["state"]}]
    for key in ("source_branch", "target_branch"):
        kept = [r for r in kept if call.text(key) in {"", r[key]}]
    if wanted := call.words("iids[]") or call.words("iids"):
        kept = [r for r in kept if str(r["iid"]) in wanted]
    if labels := set(call.words("labels")):
        kept = [r for r in kept if labels <= set(r["labels"])]
    if author := call.text("author_username"):
        kept = [r for r in kept if call.forge.user(r["author_id"]).username == author]
    kept = [r for r in kept if call.text("search").lower() in f"{r['title']} {r['description']}".lower()]
    order = "updated_at" if call.text("order_by") == "updated_at" else "created_at"
    kept.sort(key=lambda r: (r[order], r["id"]), reverse=call.text("sort", "desc") != "asc")
    return call.page([reviews.written(call.forge, r) for r in kept])


def create(call: Call) -> Answer:
    """POST /merge_requests."""
    project = call.writes(DEVELOPER)
    repository = call.forge.repository(project)
    title, source, target = (call.needed(name) for name in ("title", "source_branch", "target_branch"))
    if call.whole("target_project_id", project["id"]) != project["id"]:
        raise missing("Project")
    head, base = (repository.resolve(f"refs/heads/{name}") for name in (source, target))
    if not head:
        raise conflict([f'Source branch "{source}" does not exist'])
    if source == target:
        raise conflict(["You can't use same project/branch for source and target"])
    same = [
        r
        for r in call.forge.store.all("merge_request", project["id"])
        if (r["source_branch"], r["target_branch"], r["state"]) == (source, target, "opened")
    ]
    if same:
        raise conflict([f"Another open merge request already exists for this source branch: !{same[0]['iid']}"])
    document = {
        "project_id": project["id"],
        "iid": call.forge.store.count(f"merge request of {project['id']}"),
        "title": title,
        "description": call.text("description"),
        "source_branch": source,
        "target_branch": target,
        "state": "opened",
        "author_id": call.user.id,
        "sha": head,
        "created_at": now(),
        "updated_at": now(),
        "labels": call.words("labels"),
        "assignee_ids": _people(call, "assignee_ids") or _people(call, "assignee_id"),
        "reviewer_ids": _people(call, "reviewer_ids"),
        "squash": call.flag("squash"),
        "remove_source_branch": call.flag(
            "remove_source_branch", default=project.get("remove_source_branch_after_merge", False)
        ),
    }
    document |= dict.fromkeys(("merged_by", "merged_at", "closed_by", "closed_at"))
    document |= dict.fromkeys(("merge_commit_sha", "squash_commit_sha"))
    changes.point_at(repository, document, base)
    review = call.forge.store.add("merge_request", document)
    reviews.add_version(call.forge, review)
    changes.tell(call.forge, review, call.user, "open")
    return reviews.written(call.forge, review, call.user, full=True)


def _people(call: Call, name: str) -> list[int]:
    known = {str(number) for number in call.forge.accounts.by_id}
    return [int(word) for word in call.words(name) if word in known]


def get(call: Call) -> Answer:
    """GET /merge_requests/:iid."""
    return reviews.written(call.forge, found(call)[1], call.user, full=True)


def update(call: Call) -> Answer:
    """PUT /merge_requests/:iid."""
    project, review = found(call)
    level = call.forge.accounts.access(call.user, project)
    if call.user.job or (level < DEVELOPER and review["author_id"] != call.user.id):
        raise forbidden()
    before = dict(review)
    review |= {name: call.text(name) for name in ("title", "description", "target_branch") if name in call.given}
    review |= {name: call.flag(name) for name in ("squash", "remove_source_branch") if name in call.given}
    review |= {"labels": call.words("labels")} if "labels" in call.given else {}
    gone, more = (call.words(f"{word}_labels") for word in ("remove", "add"))
    review["labels"] = list(dict.fromkeys([x for x in review["labels"] if x not in gone] + more))
    review |= {name: _people(call, name) for name in ("assignee_ids", "reviewer_ids") if name in call.given}
    action = _state(call, review)
    if review["target_branch"] != before["target_branch"]:
        repository = call.forge.repository(project)
        changes.point_at(repository, review, resolved(repository, f"refs/heads/{review['target_branch']}", "Branch"))
        reviews.add_version(call.forge, review)
    moved = {k: {"previous": before[k], "current": review[k]} for k in review if before.get(k) != review[k]}
    if moved:
        review["updated_at"] = now()
        call.forge.store.put("merge_request", review)
        changes.tell(call.forge, review, call.user, action, moved)
    return reviews.written(call.forge, review, call.user, full=True)


def _state(call: Call, review: Tree) -> str:
    """Close or reopen; the name of what happened."""
    event = call.text("state_event")
    if event == "close" and review["state"] == "opened":
        review |= {"state": "closed", "closed_by": call.user.id, "closed_at": now()}
        reviews.add_note(call.forge, review, call.user, "closed", system=True)
        return "close"
    if event == "reopen" and review["state"] == "closed":
        review |= {"state": "opened", "closed_by": None, "closed_at": None}
        reviews.add_note(call.forge, review, call.user, "reopened", system=True)
        return "reopen"
    if event not in {"", "close", "reopen"}:
        raise incomplete("state_event", "does not have a valid value")
    return "update"


def merge(call: Call) -> Answer:
    """PUT /merge_requests/:iid/merge."""
    project, review = found(call)
    if call.user.job or not reviews.may_merge(call.forge, review, call.user):
        raise unauthorized()
    if reviews.standing(call.forge, review) not in {"mergeable", "conflict", "commits_status"}:
        raise ApiError(405, {"message": "405 Method Not Allowed"})
    if call.text("sha") and call.text("sha") != review["sha"]:
        raise conflict(f"SHA does not match HEAD of source branch: {review['sha']}")
    repository = call.forge.repository(project)
    target = repository.resolve(f"refs/heads/{review['target_branch']}")
    made = repository.merged_tree(target, review["sha"])
    if not made:
        raise ApiError(422, {"message": "Branch cannot be merged"})
    commit, squash = _merge_commit(call, project, review, (target, made))
    ref = f"refs/heads/{review['target_branch']}"
    # Said before the branch is seen to have moved, so that it is this user's merge and no accident of a push.
    changes.merged(call.forge, review, call.user, commit, squash)
    if not changes.move(call.forge, project, ref, (target, commit), call.user):
        raise ApiError(409, {"message": "Target branch was updated in the meantime. Please refresh and try again."})
    if call.flag("should_remove_source_branch", default=review["remove_source_branch"]):
        source = f"refs/heads/{review['source_branch']}"
        changes.move(call.forge, project, source, (review["sha"], ""), call.user)
    return reviews.written(call.forge, review, call.user, full=True)


def _merge_commit(call: Call, project: Tree, review: Tree, onto: tuple[str, str]) -> tuple[str, str]:
    """Make what the target will point at, and the squashed commit if there is one."""
    repository = call.forge.repository(project)
    target, made = onto
    who = (call.user.name, call.user.email)
    head, squash = review["sha"], ""
    author = call.forge.user(review["author_id"])
    if call.flag("squash", default=review["squash"]):
        said = call.text("squash_commit_message") or review["title"]
        tree = repository.text("rev-parse", f"{head}^{{tree}}")
        head = squash = repository.record(tree, [review["base_sha"]], said, (author.name, author.email), who)
    if project["merge_method"] == "ff":
        if not repository.leads_to(target, head):
            raise ApiError(405, {"message": "405 Method Not Allowed"})
        return head, squash
    said = call.text("merge_commit_message") or (
        f"Merge branch '{review['source_branch']}' into '{review['target_branch']}'\n\n{review['title']}\n\n"
        f"See merge request {project['path_with_namespace']}!{review['iid']}\n"
    )
    return repository.record(made, [target, head], said, who), squash


def _range(call: Call) -> tuple[Tree, Tree, Repository]:
    project, review = found(call)
    return project, review, call.forge.repository(project)


def commits(call: Call) -> Answer:
    """GET /merge_requests/:iid/commits."""
    project, review, repository = _range(call)
    seen = repository.log(review["sha"], stop=review["base_sha"])
    return call.page([views.commit(call.forge, project, one) for one in seen])


def _diff(call: Call) -> list[Tree]:
    _, review, repository = _range(call)
    return [views.diff(change) for change in repository.diff(review["base_sha"], review["sha"])]


def all_changes(call: Call) -> Answer:
    """GET /merge_requests/:iid/changes."""
    shown = reviews.written(call.forge, found(call)[1], call.user, full=True)
    return shown | {"changes": _diff(call), "overflow": False}


def diffs(call: Call) -> Answer:
    """GET /merge_requests/:iid/diffs."""
    return call.page(_diff(call))


def _version(seen: Tree) -> Tree:
    return {key: value for key, value in seen.items() if key != "project_id"}


def versions(call: Call) -> Answer:
    """GET /merge_requests/:iid/versions, newest first."""
    project, review = found(call)
    kept = call.forge.store.all("version", project["id"], review["id"])
    return call.page([_version(seen) for seen in reversed(kept)])


def version(call: Call) -> Answer:
    """GET /merge_requests/:iid/versions/:id."""
    project, review = found(call)
    seen = call.forge.store.get("version", call.number("version"))
    if seen is None or seen["merge_request_id"] != review["id"]:
        raise missing()
    repository = call.forge.repository(project)
    stop, head = seen["base_commit_sha"], seen["head_commit_sha"]
    listed_commits = [views.commit(call.forge, project, one) for one in repository.log(head, stop=stop)]
    return _version(seen) | {
        "commits": listed_commits,
        "diffs": [views.diff(change) for change in repository.diff(stop, head)],
    }


def pipelines(call: Call) -> Answer:
    """GET /merge_requests/:iid/pipelines."""
    project, review = found(call)
    shas = {v["head_commit_sha"] for v in call.forge.store.all("version", project["id"], review["id"])}
    kept = [p for p in call.forge.store.all("pipeline", project["id"]) if p["sha"] in shas]
    return call.page([views.pipeline(call.forge, project, seen) for seen in reversed(kept)])


def participants(call: Call) -> Answer:
    """GET /merge_requests/:iid/participants."""
    _, review = found(call)
    people = [review["author_id"], *(note["author_id"] for note in reviews.notes(call.forge, review))]
    return call.page([views.person(call.forge, call.forge.user(number)) for number in dict.fromkeys(people)])


def of_commit(call: Call) -> Answer:
    """GET /repository/commits/:sha/merge_requests: those that hold the commit."""
    project, repository = call.repository()
    sha = resolved(repository, call.name("sha"))
    kept = [
        r
        for r in call.forge.store.all("merge_request", project["id"])
        if sha in {r["sha"], r["merge_commit_sha"], r["squash_commit_sha"]}
        or (repository.leads_to(sha, r["sha"]) and not repository.leads_to(sha, r["base_sha"]))
    ]
    if call.text("state"):
        kept = [r for r in kept if r["state"] == call.text("state")]
    return call.page([reviews.written(call.forge, r) for r in reversed(kept)])
