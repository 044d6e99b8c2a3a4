"""A Label Studio, in the words of cdl.

A project says in its description whose it is, a task in its meta which item. Whatever is made is looked for first, and
looked at again: a lost answer, or two of us at once, end with one of each.
"""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from cdl.ports.errors import Conflict, Rejected, Unavailable

from . import reading
from .wire import SECONDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cdl.api.meta import Key
    from cdl.ports.labelling import Annotation, Task

SHORTEST, LONGEST = 3, 50
"""Characters of a project's title, as Label Studio has it."""
BATCH = 500
BATCH_CHARACTERS = 8 << 20
"""Of one import: Label Studio holds it in memory several times over."""
PAGE = 1000
TRIES = 3
MODEL = "cdl"
"""Who Label Studio says that proposals are by."""
IN_ORDER = {"ordering": ["tasks:id"]}
ANNOTATED = IN_ORDER | {
    "filters": {
        "conjunction": "or",
        "items": [
            {"filter": f"filter:tasks:{count}_annotations", "operator": "greater", "type": "Number", "value": 0}
            for count in ("total", "cancelled")
        ],
    }
}
NAMES = "id,meta"
WITH_ANNOTATIONS = "id,meta,annotations,task,result,type,completed_by,was_cancelled,updated_at"


class LabelStudio:
    """A LabellingEngine."""

    def __init__(self, url: str, token: str, *, seconds: float = SECONDS) -> None:
        """Remember whom to ask; nobody is asked yet. The token is a person's, of the old kind or the new one."""
        self._server = Server(url, token, seconds)

    # --- projects ---

    def ensure_project(self, owner: Key, title: str, config: str) -> str:
        """Have there be exactly one project of the owner, with this title and interface."""
        doing, wanted = f"labelling project of {owner}", {"title": _fitting(title), "label_config": config}
        mine = self._owned(owner)
        if not mine:
            told = wanted | {"description": _mark(owner), "enable_empty_annotation": False}
            made = _number(doing, self._server.post(doing, "projects/", told))
            # Another of us may have done the same in this moment; both keep the first.
            mine = self._owned(owner)
            if mine and made != mine[0]["id"]:
                self._server.delete(doing, f"projects/{made}/")
        if not mine:
            raise Unavailable(f"{doing}: Label Studio does not list what it has just made")
        kept = mine[0]
        changed = {name: value for name, value in wanted.items() if kept.get(name) != value}
        if "label_config" in changed:
            # Changing it asks nothing; this does.
            self._server.post(doing, f"projects/{kept['id']}/validate/", {"label_config": config})
        if changed:
            self._server.patch(doing, f"projects/{kept['id']}/", changed)
        return str(kept["id"])

    def forget(self, owner: Key) -> None:
        """Remove the owner's project with all that is in it."""
        for project in self._owned(owner):
            self._server.delete(f"labelling project of {owner}", f"projects/{project['id']}/")

    def _owned(self, owner: Key) -> list[dict[str, Any]]:
        """Give the projects that say they are the owner's, the oldest first: more than one only for moments."""
        doing, mark = f"labelling project of {owner}", _mark(owner)
        found: dict[int, dict[str, Any]] = {}
        page, fields = 1, "id,title,description,label_config"
        while (answer := self._server.there(doing, "projects/", page=page, page_size=100, include=fields)) is not None:
            fresh = [one for one in _list(doing, answer, "results") if reading.number(one.get("id")) not in found]
            found |= {one["id"]: one for one in fresh if reading.number(one.get("id"))}
            page += 1
            if not fresh or not answer.get("next"):
                break
        mine = [one for one in found.values() if mark in str(one.get("description", "")).splitlines()]
        return sorted(mine, key=lambda one: int(one["id"]))

    # --- tasks ---

    def add_tasks(self, project: str, tasks: Iterable[Task]) -> int:
        """Have there be a task for each of these, and say how many were new."""
        doing, wanted = f"tasks of labelling project {project}", {(one.item, one.sha256): one for one in tasks}
        for item, sha256 in wanted:
            if not reading.SHA256.fullmatch(sha256) or not item or _cleaned(item) != item:
                raise Rejected(f"{doing}: found item {item!r} of content {sha256!r}, allowed: a text and a sha256")
        there = self._keyed(doing, project)
        missing = [task for key, task in wanted.items() if key not in there]
        if not missing:
            self._undouble(doing, there)
            return 0
        asked = reading.question(self._server.get(doing, f"projects/{_id(project)}/"))
        for batch in _batches(_written(task, asked) for task in missing):
            self._server.post(doing, f"projects/{_id(project)}/import", batch)
        there = self._keyed(doing, project)
        self._undouble(doing, there)
        if lost := [task.item for task in missing if (task.item, task.sha256) not in there]:
            raise Unavailable(f"{doing}: Label Studio took {lost[0]!r} and does not list it")
        return len(missing)

    def _keyed(self, doing: str, project: str) -> dict[tuple[str, str], list[int]]:
        """Give the tasks of each item, the oldest first; those that are none of ours are left alone."""
        found: dict[tuple[str, str], list[int]] = {}
        for task in self._listed(doing, project, IN_ORDER, NAMES, "task_only"):
            key, name = reading.key_of(task), reading.number(task.get("id"))
            if key is not None and name is not None:
                found.setdefault(key, []).append(name)
        return {key: sorted(names) for key, names in found.items()}

    def _undouble(self, doing: str, there: Mapping[tuple[str, str], list[int]]) -> None:
        """Remove what two of us made at once, unless somebody has worked on it."""
        for names in there.values():
            for name in reversed(names[1:]):
                task = self._server.there(doing, f"tasks/{name}/")
                if isinstance(task, dict) and task.get("annotations") == [] and task.get("drafts") == []:
                    self._server.delete(doing, f"tasks/{name}/")

    def _listed(
        self, doing: str, project: str, query: Mapping[str, Any], fields: str, how: str
    ) -> list[dict[str, Any]]:
        """Give a project's tasks; read again when they change meanwhile, for then a page may have slipped."""
        asked: dict[str, str | int] = {
            "project": _id(project),
            "query": json.dumps(query),
            "include": fields,
            "fields": how,
        }
        for _ in range(TRIES):
            found, totals = self._walked(doing, asked)
            if totals == {len(found)}:
                return found
        raise Unavailable(f"{doing}: they change while they are listed")

    def _walked(self, doing: str, asked: Mapping[str, str | int]) -> tuple[list[dict[str, Any]], set[int]]:
        """Give the tasks of all pages, and how many every page said there are."""
        found: dict[str, dict[str, Any]] = {}
        answer = self._server.get(doing, "tasks/", page=1, page_size=PAGE, **asked)
        totals: set[int] = set()
        for page in count(2):
            totals.add(_total(doing, answer))
            before = len(found)
            found |= {ascii(one.get("id")): one for one in _list(doing, answer, "tasks")}
            if len(found) == before or len(found) >= max(totals):
                break
            answer = self._server.there(doing, "tasks/", page=page, page_size=PAGE, **asked)
            if answer is None:  # what was on this page is gone
                break
        return list(found.values()), totals

    # --- annotations ---

    def annotations(self, project: str) -> tuple[Annotation, ...]:
        """Give everything that people said."""
        return tuple(self._said(project).annotations)

    def unusable(self, project: str) -> tuple[str, ...]:
        """Say of all that people said and that is no annotation why, one sentence each."""
        return tuple(self._said(project).unusable)

    def _said(self, project: str) -> reading.Said:
        doing = f"annotations of labelling project {project}"
        asked = reading.question(self._server.get(doing, f"projects/{_id(project)}/"))
        tasks = self._listed(doing, project, ANNOTATED, WITH_ANNOTATIONS, "all")
        known = reading.people(self._server.get(doing, "users/")) if tasks else {}
        return reading.said(tasks, asked, known)


def _mark(owner: Key) -> str:
    return f"cdl: {owner}"


def _fitting(title: str) -> str:
    """Give a title as Label Studio takes it."""
    plain = " ".join(_cleaned(title).split())
    return plain[:LONGEST].strip() if len(plain) >= SHORTEST else f"{plain} (cdl)".strip()


def _id(project: str) -> int:
    """Read what we called a project."""
    if not (project.isascii() and project.isdecimal()):
        raise Conflict(f"labelling project {project!r}: Label Studio calls its projects by numbers")
    return int(project)


def _cleaned(text: str) -> str:
    """Give a text as every database of Label Studio takes it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _written(task: Task, asked: reading.Question) -> dict[str, Any]:
    """Write a task as it is imported."""
    written: dict[str, Any] = {
        "data": {name: _cleaned(value) for name, value in task.fields.items()},
        "meta": {reading.OURS: {"item": task.item, "sha256": task.sha256}},
    }
    if task.predicted and asked.name and task.predicted in asked.choices:
        chosen = {"from_name": asked.name, "to_name": asked.about, "type": "choices"}
        result = [chosen | {"value": {"choices": [task.predicted]}}]
        written["predictions"] = [{"model_version": MODEL, "result": result}]
    return written


def _batches(written: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Part tasks so that no import is large, in number or in size."""
    rest = iter(written)
    batch: list[dict[str, Any]] = []
    size = 0
    for one in rest:
        length = sum(map(len, one["data"].values()))
        if batch and (len(batch) == BATCH or size + length > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch


def _list(doing: str, answer: object, name: str) -> list[dict[str, Any]]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unavailable(f"{doing}: what answers does not speak as Label Studio does: there is no list of {name}")
    return found


def _total(doing: str, answer: object) -> int:
    total = answer.get("total") if isinstance(answer, dict) else None
    if not isinstance(total, int) or isinstance(total, bool):
        raise Unavailable(f"{doing}: what answers does not speak as Label Studio does: there is no total")
    return total


def _number(doing: str, answer: object) -> int:
    name = reading.number(answer.get("id")) if isinstance(answer, dict) else None
    if name is None:
        raise Unavailable(f"{doing}: what answers does not speak as Label Studio does: there is no id")
    return name
