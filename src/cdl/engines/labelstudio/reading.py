"""What Label Studio shows, in our words; what can be no label is passed over, each with a reason. Pure.

Nothing that a server or a person may have written makes this fail: other tasks of other annotations are read on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cdl.api.interfaces import QUESTION, SEVERAL, fault_of
from cdl.ports.labelling import Annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OURS = "cdl"
"""Under which a task's meta keeps which item it is."""
SHA256 = re.compile(r"[0-9a-f]{64}")
SHOWN = 80
"""Characters of something unusable that its reason shows."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a project's interface asks."""

    name: str = ""
    about: str = ""
    """The tag that shows the item."""
    choices: frozenset[str] = frozenset()
    """Empty: each task brings its own."""


@dataclass(slots=True)
class Said:
    """What people said."""

    annotations: list[Annotation] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    """Why something is no annotation, one sentence each."""


class _UnusableError(Exception):
    """One annotation, or one task, is passed over; the message ends the sentence."""


def key_of(task: object) -> tuple[str, str] | None:
    """Give item and digest of a task of ours; None: it is somebody else's."""
    meta = task.get("meta") if isinstance(task, dict) else None
    ours = meta.get(OURS) if isinstance(meta, dict) else None
    if not isinstance(ours, dict):
        return None
    item, sha256 = ours.get("item"), ours.get("sha256")
    if not isinstance(item, str) or not item or not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        return None
    return item, sha256


def number(found: object) -> int | None:
    """Give the number that something is called by; None: it is none."""
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def question(project: object) -> Question:
    """Find what a project asks: the question of our name, else the only one that gives choices."""
    parsed = project.get("parsed_label_config") if isinstance(project, dict) else None
    asked = {
        str(name): tag
        for name, tag in (parsed.items() if isinstance(parsed, dict) else ())
        if isinstance(tag, dict) and tag.get("type") == "Choices"
    }
    name = QUESTION if QUESTION in asked else next(iter(asked), "")
    if not name or (name != QUESTION and len(asked) > 1):
        return Question()
    about, choices = asked[name].get("to_name"), asked[name].get("labels")
    return Question(
        name,
        str(about[0]) if isinstance(about, list) and about else "",
        frozenset(str(one) for one in choices) if isinstance(choices, list) else frozenset(),
    )


def people(users: object) -> dict[int, str]:
    """Give everybody's mail address."""
    listed = users if isinstance(users, list) else []
    found = ((number(one.get("id")), one.get("email")) for one in listed if isinstance(one, dict))
    return {known: mail for known, mail in found if known and isinstance(mail, str) and mail}


def said(tasks: Iterable[object], asked: Question, known: Mapping[int, str]) -> Said:
    """Read every task's annotations, each once."""
    found, seen = Said(), set[int]()
    for task in tasks:
        try:
            name, key, listed = _task(task)
        except _UnusableError as error:
            found.unusable.append(str(error))
            continue
        for one in listed:
            place = f"annotation {_shown(one.get('id') if isinstance(one, dict) else one)} of task {name} ({key[0]})"
            try:
                read = _annotation(one, name, key, asked, known)
                if int(read.id) in seen:
                    raise _UnusableError("is listed twice")
            except _UnusableError as error:
                found.unusable.append(f"{place} {error}")
            else:
                seen.add(int(read.id))
                found.annotations.append(read)
    found.annotations.sort(key=lambda one: (one.item, one.at, one.id))
    return found


def _task(task: object) -> tuple[int, tuple[str, str], list[Any]]:
    name = number(task.get("id")) if isinstance(task, dict) else None
    if not isinstance(task, dict) or name is None:
        raise _UnusableError(f"what is listed as {_shown(task)} is no task")
    listed = task.get("annotations")
    if not isinstance(listed, list):
        raise _UnusableError(f"task {name} has {_shown(listed)} instead of annotations")
    key = key_of(task)
    if key is None:
        raise _UnusableError(f"task {name} is none of ours: its meta names no item")
    return name, key, listed


def _annotation(one: object, task: int, key: tuple[str, str], asked: Question, known: Mapping[int, str]) -> Annotation:
    if not isinstance(one, dict):
        raise _UnusableError("is no annotation")
    name = number(one.get("id"))
    if name is None:
        raise _UnusableError("has no number")
    if number(one.get("task", task)) != task:
        raise _UnusableError(f"is about task {_shown(one.get('task'))}")
    if one.get("completed_by") is None and ("model_version" in one or "score" in one):
        raise _UnusableError("is what a model predicts")
    if one.get("was_cancelled") is not False:
        raise _UnusableError("was skipped")
    label = SEVERAL.join(_labels(one.get("result"), asked))
    return Annotation(*key, label, _annotator(one.get("completed_by"), known), _moment(one), str(task), str(name))


def _labels(result: object, asked: Question) -> list[str]:
    """Give the choices that were made, in order of the alphabet."""
    if not isinstance(result, list):
        raise _UnusableError(f"has {_shown(result)} as its result")
    answers = [one for one in result if isinstance(one, dict) and one.get("type") == "choices"]
    names = {str(one.get("from_name")) for one in answers}
    name = asked.name or (QUESTION if QUESTION in names else "")
    if not name and len(names) > 1:
        raise _UnusableError(f"answers {', '.join(sorted(names))}; call the question that counts {QUESTION}")
    found: set[str] = set()
    for one in answers:
        if not name or one.get("from_name") == name:
            value = one.get("value")
            chosen = value.get("choices") if isinstance(value, dict) else None
            if not isinstance(chosen, list):
                raise _UnusableError(f"has {_shown(chosen)} as its choices")
            found.update(_label(choice, asked.choices) for choice in chosen)
    if not found:
        raise _UnusableError("makes no choice")
    return sorted(found)


def _label(choice: object, allowed: frozenset[str]) -> str:
    if not isinstance(choice, str):
        raise _UnusableError(f"chooses {_shown(choice)}, which is no text")
    if fault := fault_of(choice):
        raise _UnusableError(f"chooses {_shown(choice)}, {fault}")
    if allowed and choice not in allowed:
        raise _UnusableError(f"chooses {_shown(choice)}, which is not among the project's choices")
    return choice


def _annotator(by: object, known: Mapping[int, str]) -> str:
    """Name a person; one that was removed since keeps the number."""
    if isinstance(by, dict):
        mail = by.get("email")
        if isinstance(mail, str) and mail:
            return mail
        by = by.get("id")
    who = number(by)
    if who is None:
        raise _UnusableError("is by nobody")
    return known.get(who, f"user {who}")


def _moment(one: Mapping[str, Any]) -> datetime:
    written = one.get("updated_at") or one.get("created_at")
    try:
        at = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _UnusableError(f"has {_shown(written)} as its moment")
    return at


def _shown(found: object) -> str:
    """Show something of whatever size in a sentence."""
    try:
        text = ascii(found)
    except (RecursionError, ValueError):
        text = type(found).__name__
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
