"""What people say about merge requests: notes and threads."""

from __future__ import annotations

import secrets

from cdl.embedded.forge import events, reviews, views
from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER, REPORTER
from cdl.embedded.forge.api.mergerequests import found
from cdl.embedded.forge.errors import forbidden, incomplete, invalid, missing
from cdl.embedded.forge.store import Tree, now
from cdl.embedded.forge.web import Answer, Call, Routes

LONGEST = 1_000_000


def add_to(routes: Routes) -> None:
    """Serve these."""
    one = "/projects/{project}/merge_requests/{iid}"
    routes.add("GET", f"{one}/notes", notes)
    routes.add("POST", f"{one}/notes", create)
    routes.add("GET", f"{one}/notes/{{note}}", get)
    routes.add("PUT", f"{one}/notes/{{note}}", update)
    routes.add("DELETE", f"{one}/notes/{{note}}", remove)
    routes.add("GET", f"{one}/discussions", discussions)
    routes.add("POST", f"{one}/discussions", open_thread)
    routes.add("GET", f"{one}/discussions/{{thread}}", discussion)
    routes.add("PUT", f"{one}/discussions/{{thread}}", resolve)
    routes.add("POST", f"{one}/discussions/{{thread}}/notes", answer)


def _speaks(call: Call) -> tuple[Tree, Tree]:
    """Give project and merge request to somebody who may say something."""
    call.writes(REPORTER)
    return found(call)


def notes(call: Call) -> Answer:
    """GET /notes, newest first unless asked otherwise."""
    kept = reviews.notes(call.forge, found(call)[1])
    order = "updated_at" if call.text("order_by") == "updated_at" else "created_at"
    kept.sort(key=lambda note: (note[order], note["id"]), reverse=call.text("sort", "desc") != "asc")
    return call.page([views.note(call.forge, note) for note in kept])


def _note(call: Call) -> tuple[Tree, Tree]:
    _, review = found(call)
    note = call.forge.store.get("note", call.number("note"))
    if note is None or note["noteable_id"] != review["id"]:
        raise missing()
    return review, note


def get(call: Call) -> Answer:
    """GET /notes/:id."""
    return views.note(call.forge, _note(call)[1])


def _body(call: Call) -> str:
    body = call.needed("body")
    if not body.strip():
        raise invalid({"note": ["can't be blank"]})
    if len(body) > LONGEST:
        raise invalid({"note": [f"is too long (maximum is {LONGEST} characters)"]})
    return body


def _tell(call: Call, review: Tree, note: Tree, action: str) -> None:
    body = events.note(call.forge, review, note, call.user, action)
    call.forge.outbox.tell(review["project_id"], "note_events", "Note Hook", body)


def create(call: Call) -> Answer:
    """POST /notes."""
    _, review = _speaks(call)
    note = reviews.add_note(call.forge, review, call.user, _body(call))
    _tell(call, review, note, "create")
    return views.note(call.forge, note)


def _own(call: Call, note: Tree, access: int) -> None:
    level = call.forge.accounts.access(call.user, call.project())
    if call.user.job or note["system"] or (note["author_id"] != call.user.id and level < access):
        raise forbidden()


def update(call: Call) -> Answer:
    """PUT /notes/:id: one's own, or as a maintainer."""
    review, note = _note(call)
    _own(call, note, MAINTAINER)
    note |= {"body": _body(call), "updated_at": now()}
    call.forge.store.put("note", note)
    _tell(call, review, note, "update")
    return views.note(call.forge, note)


def remove(call: Call) -> Answer:
    """DELETE /notes/:id."""
    _, note = _note(call)
    _own(call, note, MAINTAINER)
    call.forge.store.remove("note", note["id"])
    return None


def _threads(call: Call) -> dict[str, list[Tree]]:
    kept: dict[str, list[Tree]] = {}
    for note in reviews.notes(call.forge, found(call)[1]):
        kept.setdefault(note["discussion_id"] or f"{note['id']:040x}", []).append(note)
    return kept


def _thread(call: Call, name: str, kept: list[Tree]) -> Tree:
    alone = not kept[0]["discussion_id"]
    return {"id": name, "individual_note": alone, "notes": [views.note(call.forge, note) for note in kept]}


def discussions(call: Call) -> Answer:
    """GET /discussions."""
    return call.page([_thread(call, name, kept) for name, kept in _threads(call).items()])


def _found_thread(call: Call) -> tuple[str, list[Tree]]:
    name = call.name("thread")
    kept = _threads(call).get(name)
    if kept is None:
        raise missing("Discussion")
    return name, kept


def discussion(call: Call) -> Answer:
    """GET /discussions/:id."""
    return _thread(call, *_found_thread(call))


def open_thread(call: Call) -> Answer:
    """POST /discussions."""
    _, review = _speaks(call)
    thread = secrets.token_hex(20)
    note = reviews.add_note(call.forge, review, call.user, _body(call), thread=thread)
    _tell(call, review, note, "create")
    return _thread(call, thread, [note])


def answer(call: Call) -> Answer:
    """POST /discussions/:id/notes."""
    _, review = _speaks(call)
    name, kept = _found_thread(call)
    note = reviews.add_note(call.forge, review, call.user, _body(call), thread=kept[0]["discussion_id"])
    if not kept[0]["discussion_id"]:
        raise invalid(f"The discussion {name} is a note by itself")
    _tell(call, review, note, "create")
    return views.note(call.forge, note)


def resolve(call: Call) -> Answer:
    """PUT /discussions/:id."""
    project, review = _speaks(call)
    level = call.forge.accounts.access(call.user, project)
    if level < DEVELOPER and review["author_id"] != call.user.id:
        raise forbidden()
    if call.given.get("resolved") is None:
        raise incomplete("resolved")
    name, kept = _found_thread(call)
    if not kept[0]["resolvable"]:
        raise invalid("The discussion cannot be resolved")
    done = call.flag("resolved")
    for note in kept:
        note |= {
            "resolved": done,
            "resolved_by": call.user.id if done else None,
            "resolved_at": now() if done else None,
        }
        call.forge.store.put("note", note)
    return _thread(call, name, kept)
