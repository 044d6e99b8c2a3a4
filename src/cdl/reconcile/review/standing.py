"""How each resource of a commit stands, as a commit status; the conditions are read as kstatus reads them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.reconcile.gitops import State

if TYPE_CHECKING:
    from .facts import Part, View

LONGEST = 255
"""Characters that GitLab keeps of a status' description."""
WAITS = frozenset(
    {
        Reason.WAITING_FOR_DATA,
        Reason.WAITING_FOR_LABELS,
        Reason.WAITING_FOR_WEIGHTS,
        Reason.WAITING_FOR_APPROVAL,
        Reason.WAITING_FOR_RELEASE,
    }
)
"""Reasons after which nobody works: something has to come from elsewhere."""
LOGGED = {"DataPipeline": "datapipeline", "Experiment": "experiment", "ModelDeployment": "modeldeployment"}
"""What `cdl logs` calls the kinds."""
AT_WORK = "at work: the note says how far"
IDLE = "waits: the note says for what"
"""GitLab takes no other words for what goes on as it was, so these stay true for as long as it does."""
NOT_THERE = "it is not there yet"
NOT_LOOKED = "nobody has looked at it yet"


class Standing(StrEnum):
    """How something stands; GitLab's words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Told:
    """What a commit is told to say of itself, under a name."""

    name: str
    state: Standing
    description: str = ""


BY_STATE = {State.APPLIED: Standing.SUCCESS, State.REFUSED: Standing.FAILED}
"""Everything else is waited for."""


def statuses(view: View) -> tuple[Told, ...]:
    """Say how a commit and each of its resources stand; of resources that are another commit's nothing is said."""
    state = BY_STATE.get(view.state, Standing.PENDING)
    sync = Told(f"cdl/sync/{view.namespace}", state, IDLE if state is Standing.PENDING else _short(view.sentence))
    return (sync, *(status(part) for part in view.parts if view.looked))


def status(part: Part) -> Told:
    """Say how one resource stands."""
    key, (state, sentence) = part.key, standing(part)
    name = f"cdl/{key.namespace}/{key.kind}/{key.name}"
    if state is Standing.FAILED:
        log = f"; see {log_of(part)}" if log_of(part) else ""
        return Told(name, state, _short(sentence, log))
    if state is Standing.SUCCESS:
        return Told(name, state, _short(sentence))
    return Told(name, state, AT_WORK if state is Standing.RUNNING else IDLE)


def standing(part: Part) -> tuple[Standing, str]:
    """Say how one resource stands, and why."""
    if not part.there:
        return Standing.PENDING, NOT_THERE
    if part.deleting:
        return Standing.RUNNING, "it is being deleted"
    if part.fault and not part.current:
        return Standing.FAILED, part.fault
    if not part.current:
        return Standing.PENDING, NOT_LOOKED
    stalled, busy = _held(part, ConditionType.STALLED), _held(part, ConditionType.RECONCILING)
    if stalled is not None:
        return Standing.FAILED, stalled.message or stalled.reason
    if busy is not None:
        return Standing.PENDING if busy.reason in WAITS else Standing.RUNNING, busy.message or busy.reason
    ready = _held(part, ConditionType.READY)
    if ready is None:
        return Standing.PENDING, NOT_LOOKED
    suspended = ready.reason is Reason.SUSPENDED
    return Standing.PENDING if suspended else Standing.SUCCESS, ready.message or _done(part) or ready.reason


def waits_for_approval(part: Part) -> Condition | None:
    """Give the condition that says for whose approval a resource waits."""
    busy = _held(part, ConditionType.RECONCILING) if part.current and not part.deleting else None
    return busy if busy is not None and busy.reason is Reason.WAITING_FOR_APPROVAL else None


def log_of(part: Part) -> str:
    """Name the command that shows the log of a resource; empty: it has none."""
    kind = LOGGED.get(part.key.kind)
    return f"cdl logs {kind} {part.key.name} -n {part.key.namespace}" if kind and part.there else ""


def _held(part: Part, kind: ConditionType) -> Condition | None:
    found = part.status.condition(kind)
    return found if found is not None and found.status == "True" else None


def _done(part: Part) -> str:
    newest = part.status.history[-1:]
    return newest[0].what if newest else ""


def _short(sentence: str, tail: str = "") -> str:
    """One line within the limit; what is said last stays whole."""
    line, room = " ".join(sentence.split()), LONGEST - len(tail)
    return (line if len(line) <= room else f"{line[: room - 1]}…") + tail
