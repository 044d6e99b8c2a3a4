"""What `kubectl describe` tells a person: one line for each thing that happened to a resource, and no chatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from cdl.api.conditions import Condition, ConditionType, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TROUBLE = frozenset({Reason.ENGINE_UNAVAILABLE, Reason.INTERNAL_FAULT, Reason.OVER_BUDGET})
"""Reasons of `Reconciling` that are no progress."""
AWAITED = frozenset({Reason.WAITING_FOR_APPROVAL, Reason.WAITING_FOR_LABELS, Reason.DELETING})
"""Reasons of `Reconciling` that somebody waits to hear; the others are chatter."""

SENTENCES = {
    ConditionType.READY: "the resource is what its spec asks for",
    ConditionType.STALLED: "nothing goes on until a person acts",
    ConditionType.RECONCILING: "work is going on",
    ConditionType.DATA_READY: "a dataset version exists and passes its checks",
    ConditionType.LABELS_READY: "people have labelled enough items",
    ConditionType.TRAINED: "the run ended with a checkpoint",
    ConditionType.GATES_PASSED: "the evaluation meets every gate",
    ConditionType.RELEASED: "the release exists",
    ConditionType.APPROVED: "the release is approved",
    ConditionType.VERIFIED: "every member of the release is there and unchanged",
    ConditionType.SERVING: "the release answers predictions",
}
"""What is said of a condition that holds and says nothing itself."""

Kind = Literal["Normal", "Warning"]

_conditions = TypeAdapter(tuple[Condition, ...])


@dataclass(frozen=True, slots=True)
class Note:
    """One event, as a person reads it."""

    type: Kind
    reason: str
    message: str


def events_of(before: Iterable[Condition], after: Iterable[Condition]) -> tuple[Note, ...]:
    """Say what happened between two statuses: trouble first, then stages, then the summary; each once.

    A new message alone is no event: counts and percentages change all the time. But another release is one. A summary
    that has the reason of what is said already says the same in other words.
    """
    old = {condition.type: condition for condition in before}
    notes: dict[str, Note] = {}
    for condition in sorted(after, key=_rank):
        was = old.get(condition.type)
        if was is None or _says(was) != _says(condition):
            note = _note(condition)
            again = condition.type is ConditionType.READY and condition.reason.value in {
                n.reason for n in notes.values()
            }
            if note is not None and not again:
                notes.setdefault(note.message, note)
    return tuple(notes.values())


def conditions_of(document: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Read the conditions of a document's status; none where they are not written as ours are."""
    status = document.get("status")
    try:
        return _conditions.validate_python(status.get("conditions", ()) if isinstance(status, dict) else ())
    except ValidationError:
        return ()


def _says(condition: Condition) -> tuple[str, ...]:
    """Give what of a condition is news when it changes: of a release that is there, which one it is."""
    which = condition.message if condition.type is ConditionType.RELEASED else ""
    return condition.status, condition.reason.value, which


def _rank(condition: Condition) -> int:
    order = (ConditionType.STALLED, ConditionType.RECONCILING)
    if condition.type in order:
        return order.index(condition.type)
    return 3 if condition.type is ConditionType.READY else 2


def _note(condition: Condition) -> Note | None:
    """Say what a changed condition means to a person; None: nothing."""
    kind, answer = _kind(condition), condition.type.value
    if kind is None:
        return None
    silent = SENTENCES[condition.type] if condition.status == "True" else f"{answer} is {condition.status}"
    return Note(kind, condition.reason.value, condition.message or silent)


def _kind(condition: Condition) -> Kind | None:
    holds = condition.status == "True"
    match condition.type:
        case ConditionType.STALLED:
            return "Warning" if holds else None
        case ConditionType.RECONCILING if not holds:
            return None
        case ConditionType.RECONCILING:
            return "Warning" if condition.reason in TROUBLE else "Normal" if condition.reason in AWAITED else None
        case ConditionType.READY:
            return "Normal" if holds else None  # why it is not ready is said by what keeps it from being so
        case _:
            return "Normal" if holds else "Warning" if condition.status == "False" else None
