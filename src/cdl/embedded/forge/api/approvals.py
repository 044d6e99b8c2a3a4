"""Who agrees to a merge request, and by which rules of the project."""

from __future__ import annotations

from cdl.embedded.forge import changes, reviews, views
from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER, User
from cdl.embedded.forge.api.mergerequests import found
from cdl.embedded.forge.errors import conflict, invalid, missing, unauthorized
from cdl.embedded.forge.store import Tree, now
from cdl.embedded.forge.web import Answer, Call, Routes

WORDS = {"approve": "approved this merge request", "unapprove": "unapproved this merge request"}


def add_to(routes: Routes) -> None:
    """Serve these."""
    one = "/projects/{project}/merge_requests/{iid}"
    routes.add("GET", f"{one}/approvals", approvals)
    routes.add("GET", f"{one}/approval_state", approval_state)
    routes.add("POST", f"{one}/approve", approve)
    routes.add("POST", f"{one}/unapprove", unapprove)
    rules_of = "/projects/{project}/approval_rules"
    routes.add("GET", rules_of, rules)
    routes.add("POST", rules_of, add_rule)
    routes.add("GET", f"{rules_of}/{{rule}}", rule)
    routes.add("DELETE", f"{rules_of}/{{rule}}", remove_rule)


def _may_approve(call: Call, project: Tree, review: Tree, user: User) -> bool:
    """Say whether somebody's approval counts: developers and above, not the author, not twice."""
    if call.forge.accounts.access(user, project) < DEVELOPER or user.job or review["state"] == "merged":
        return False
    if user.id == review["author_id"] and not project["merge_requests_author_approval"]:
        return False
    if project["merge_requests_disable_committers_approval"]:
        repository = call.forge.repository(project)
        mails = {seen.committer[1] for seen in repository.log(review["sha"], stop=review["base_sha"])}
        return user.email not in mails
    return True


def _given(call: Call, review: Tree) -> list[Tree]:
    return [
        {"user": views.person(call.forge, call.forge.user(a["user_id"])), "approved_at": a["created_at"]}
        for a in reviews.approvals(call.forge, review)
    ]


def approvals(call: Call) -> Answer:
    """GET /approvals."""
    project, review = found(call)
    given, wanted = _given(call, review), reviews.required(call.forge, review)
    mine = any(a["user"]["id"] == call.user.id for a in given)
    standing = reviews.standing(call.forge, review)
    return {
        "id": review["id"],
        "iid": review["iid"],
        "project_id": project["id"],
        "title": review["title"],
        "description": review["description"],
        "state": review["state"],
        "created_at": review["created_at"],
        "updated_at": review["updated_at"],
        "merge_status": "cannot_be_merged" if standing == "conflict" else "can_be_merged",
        "approved": len(given) >= max(wanted, 1),
        "approvals_required": wanted,
        "approvals_left": max(wanted - len(given), 0),
        "require_password_to_approve": False,
        "approved_by": given,
        "suggested_approvers": [],
        "approvers": [],
        "approver_groups": [],
        "user_has_approved": mine,
        "user_can_approve": not mine and _may_approve(call, project, review, call.user),
        "approval_rules_left": [],
        "has_approval_rules": bool(call.forge.store.all("approval_rule", project["id"])),
        "merge_request_approvers_available": False,
        "multiple_approval_rules_available": False,
    }


def approval_state(call: Call) -> Answer:
    """GET /approval_state: who agreed, by each rule; where the project has none, by the one of all members."""
    project, review = found(call)
    given = _given(call, review)
    people = call.forge.accounts.by_id.values()
    may = [user for user in people if _may_approve(call, project, review, user)]
    kept = call.forge.store.all("approval_rule", project["id"])
    shown = [_judged(call, one, (may, given)) for one in kept]
    if not shown:
        wanted = reviews.required(call.forge, review)
        anybody = {"id": review["id"], "name": "All Members", "rule_type": "any_approver", "user_ids": None}
        shown = [_judged(call, anybody | {"approvals_required": wanted}, (may, given))]
    return {"approval_rules_overwritten": False, "rules": shown}


def _judged(call: Call, kept: Tree, people: tuple[list[User], list[Tree]]) -> Tree:
    """Write a rule with the approvals that it counts."""
    may, given = people
    named = kept["user_ids"]
    counted = [a["user"] for a in given if named is None or a["user"]["id"] in named]
    eligible = [views.person(call.forge, user) for user in may if named is None or user.id in named]
    return _rule(call, kept) | {
        "eligible_approvers": eligible,
        "section": None,
        "source_rule": None,
        "overridden": False,
        "code_owner": False,
        "approved_by": counted,
        "approved": len(counted) >= kept["approvals_required"],
    }


def _rule(call: Call, kept: Tree) -> Tree:
    people = [views.person(call.forge, call.forge.user(number)) for number in kept["user_ids"] or ()]
    return {
        "id": kept["id"],
        "name": kept["name"],
        "rule_type": kept["rule_type"],
        "report_type": None,
        "eligible_approvers": people,
        "approvals_required": kept["approvals_required"],
        "users": people,
        "groups": [],
        "contains_hidden_groups": False,
        "protected_branches": [],
        "applies_to_all_protected_branches": False,
    }


def rules(call: Call) -> Answer:
    """GET /projects/:id/approval_rules."""
    project = call.project(DEVELOPER)
    return call.page([_rule(call, kept) for kept in call.forge.store.all("approval_rule", project["id"])])


def add_rule(call: Call) -> Answer:
    """POST /projects/:id/approval_rules: a name, and whose approval counts by it."""
    project = call.writes(MAINTAINER)
    name = call.needed("name")
    if any(kept["name"] == name for kept in call.forge.store.all("approval_rule", project["id"])):
        raise invalid({"name": ["has already been taken"]})
    named = set(call.words("usernames"))
    people = call.forge.accounts.by_id.values()
    wanted = [u.id for u in people if str(u.id) in call.words("user_ids") or u.username in named]
    document = {"project_id": project["id"], "name": name, "rule_type": "regular", "user_ids": wanted}
    kept = call.forge.store.add("approval_rule", document | {"approvals_required": call.whole("approvals_required", 0)})
    return _rule(call, kept)


def _found_rule(call: Call, access: int) -> Tree:
    project = call.project(access)
    kept = call.forge.store.get("approval_rule", call.number("rule"))
    if kept is None or kept["project_id"] != project["id"]:
        raise missing()
    return kept


def rule(call: Call) -> Answer:
    """GET /projects/:id/approval_rules/:rule."""
    return _rule(call, _found_rule(call, DEVELOPER))


def remove_rule(call: Call) -> Answer:
    """DELETE /projects/:id/approval_rules/:rule."""
    call.writes(MAINTAINER)
    call.forge.store.remove("approval_rule", _found_rule(call, MAINTAINER)["id"])
    return None


def approve(call: Call) -> Answer:
    """POST /approve."""
    project, review = found(call)
    if call.text("sha") and call.text("sha") != review["sha"]:
        raise conflict(f"SHA does not match HEAD of source branch: {review['sha']}")
    mine = any(a["user_id"] == call.user.id for a in reviews.approvals(call.forge, review))
    if mine or not _may_approve(call, project, review, call.user):
        raise unauthorized()
    document = {"project_id": project["id"], "merge_request_id": review["id"], "user_id": call.user.id}
    call.forge.store.add("approval", document | {"sha": review["sha"], "created_at": now()})
    _said(call, review, "approve")
    return approvals(call)


def unapprove(call: Call) -> Answer:
    """POST /unapprove."""
    _, review = found(call)
    mine = [a for a in reviews.approvals(call.forge, review) if a["user_id"] == call.user.id]
    if not mine:
        raise missing()
    call.forge.store.remove("approval", mine[0]["id"])
    _said(call, review, "unapprove")
    return approvals(call)


def _said(call: Call, review: Tree, what: str) -> None:
    reviews.add_note(call.forge, review, call.user, WORDS[what], system=True)
    review["updated_at"] = now()
    call.forge.store.put("merge_request", review)
    enough = len(reviews.approvals(call.forge, review)) >= max(reviews.required(call.forge, review), 1)
    # `approved` and `unapproved` are said when all that is required is there, or no longer; the others of one person.
    whole = enough if what == "approve" else not enough
    action = {"approve": ("approval", "approved"), "unapprove": ("unapproval", "unapproved")}[what][whole]
    changes.tell(call.forge, review, call.user, action)
