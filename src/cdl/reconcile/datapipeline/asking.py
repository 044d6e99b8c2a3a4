"""Labels that people give: what is asked for, and whether there are enough of them for a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import ConditionType, Reason
from cdl.api.duration import length
from cdl.api.v1alpha1.datapipeline import LabellingStatus, LabelStudio, Side
from cdl.reconcile.decision import SOON, Appointment
from cdl.reconcile.summary import busy, fact, stalled

from .answers import Poll, counted, note, places, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1.datapipeline import DataPipeline

    from .seen import LabellingSeen, ManifestSeen, Seen

POLL = timedelta(seconds=5)
"""How often people are listened to who are waited for."""
LISTEN = Appointment(seconds=15)
"""How often people are listened to who may think better of it."""
REASONS = 5
"""How many reasons a status shows."""


@dataclass(frozen=True, slots=True)
class EnsureProject:
    """Have there be a project that asks what is wished."""

    title: str
    config: str
    asks: str
    """Stands for both."""


@dataclass(frozen=True, slots=True)
class AddTasks:
    """Have there be a task for each item of these commits."""

    project: str
    sides: tuple[ManifestSeen, ...]
    key: str
    """Stands for them."""


@dataclass(frozen=True, slots=True)
class KeepAnswers:
    """Commit all answers as one, called by the key."""

    key: str
    table: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Arrange:
    """Commit the labelled files of a side, each in a folder called as its label, as one called by the key."""

    side: Side
    key: str
    repo: str
    commit: str
    """Whose files they are."""
    places: Mapping[str, str] = field(repr=False)
    """From where to where."""
    note: bytes = field(repr=False)
    """What is written down beside them."""


AskingAction = EnsureProject | AddTasks | KeepAnswers | Arrange


@dataclass(frozen=True, slots=True)
class Asked:
    """What to do about labels that people give."""

    doing: Condition | None = None
    """What keeps the dataset waiting; None: nothing."""
    actions: tuple[AskingAction, ...] = ()
    wait: timedelta | None = None
    trouble: Condition | None = None
    manifests: tuple[ManifestSeen, ...] = ()
    """What a dataset is made of, once nothing keeps it waiting."""


def is_asking(resource: DataPipeline) -> bool:
    """Labels come from people."""
    return resource.spec.labels.label_studio is not None


def asks(resource: DataPipeline, wanted: LabelStudio) -> EnsureProject:
    """Say what the project should be."""
    title, config = wanted.title or resource.metadata.name, wanted.interface
    return EnsureProject(title, config, short([title, config]))


def tasks_key(wanted: LabelStudio, sides: tuple[ManifestSeen, ...]) -> str:
    """Stand for what tasks are made from; the files' own digests, not the commits: equal files are equal tasks."""
    return short([[m.side, m.digest] for m in sides] + [list(wanted.mask)])


def asked_sides(wanted: LabelStudio, seen: Seen) -> tuple[ManifestSeen, ...]:
    """Give the sides that people label, as the steps left them."""
    return tuple(m for m in seen.manifests if m.side in wanted.sides)


def ask(resource: DataPipeline, seen: Seen) -> Asked:
    """Bring people's labels one step closer to a dataset."""
    wanted, found = resource.spec.labels.label_studio, seen.labelling
    if wanted is None or found is None:
        return Asked(manifests=seen.manifests)
    if found.absent:
        unasked = fact(ConditionType.LABELS_READY, holds=False, reason=Reason.ENGINE_UNAVAILABLE, message=found.absent)
        return Asked(unasked, trouble=stalled(Reason.ENGINE_UNAVAILABLE, found.absent))
    sides, project = asked_sides(wanted, seen), asks(resource, wanted)
    key = tasks_key(wanted, sides)
    if not found.project and found.borrowed:
        return Asked(_waiting("the DataPipeline it is a copy of has no project in Label Studio yet"), wait=POLL)
    if not found.project:
        return Asked(_working("having a project in Label Studio"), (project,), SOON)
    if found.tasks_for != key and not found.borrowed:
        return Asked(_working("bringing items to Label Studio"), (AddTasks(found.project, sides, key),), SOON)
    return _commit(wanted, seen, found, sides)


def _commit(wanted: LabelStudio, seen: Seen, found: LabellingSeen, sides: tuple[ManifestSeen, ...]) -> Asked:
    poll = polled(wanted, found)
    missing = _missing(wanted, found, poll) or _folderless(wanted, seen)
    if missing:
        return Asked(_waiting(missing), wait=POLL)
    if _unsettled(wanted, seen, poll) and poll.key != found.kept.key:
        made = _arranged(seen, found, sides)
        doing = "people are labelling; what they say is committed once they pause"
        return Asked(manifests=made) if made else Asked(_waiting(doing), wait=POLL)
    if poll.key != found.kept.key:
        doing = f"committing {len(poll.answers)} labels"
        return Asked(_working(doing), (KeepAnswers(poll.key, table(poll)),), SOON)
    wishes = tuple(_arrangement(side, found, poll) for side in sides)
    there = {(a.manifest.side, a.key) for a in found.kept.arranged}
    stale = tuple(wish for wish in wishes if (wish.side, wish.key) not in there)
    if stale:
        return Asked(_working("bringing labels and files together"), stale, SOON)
    return Asked(manifests=_arranged(seen, found, sides))


def _missing(wanted: LabelStudio, found: LabellingSeen, poll: Poll) -> str:
    """Say what is missing before there can be a dataset; nothing when nothing is."""
    needed = _needed(wanted, found)
    if len(poll.answers) < needed:
        asked = "labels.labelStudio.minLabels asks for" if wanted.min_labels else "there are"
        more = f", {poll.undecided} undecided" if poll.undecided else ""
        return f"{len(poll.answers)} of {needed} labelled, as many as {asked}{more}"
    called = {(answer.item, answer.sha256) for answer in poll.answers}
    without = [s for s in wanted.sides if not any(i.side is s and (i.path, i.sha256) in called for i in found.items)]
    return f"no item of the {without[0]} side is labelled" if without else ""


def _folderless(wanted: LabelStudio, seen: Seen) -> str:
    """Say which side has no labels, and nobody to give it any; nothing when there is none."""
    bare = [m.side for m in seen.manifests if m.side not in wanted.sides and not m.label_rows]
    why = "no file lies in a folder, and labels.labelStudio.sides does not name it"
    return f"the {bare[0]} side has no labels: {why}" if bare else ""


def _needed(wanted: LabelStudio, found: LabellingSeen) -> int:
    return wanted.min_labels or len({(item.path, item.sha256) for item in found.items}) or 1


def _unsettled(wanted: LabelStudio, seen: Seen, poll: Poll) -> bool:
    """Somebody has said something just now; a clock that is ahead of ours says nothing about that."""
    return poll.newest is not None and poll.newest <= seen.at < poll.newest + length(wanted.settle)


def _arrangement(side: ManifestSeen, found: LabellingSeen, poll: Poll) -> Arrange:
    there = places(found.items, side.side, poll.answers)
    key = f"{_root(side)}-{short(there)}"
    return Arrange(side.side, key, side.repo, side.commit, there, note(found.items, side.side, poll.answers))


def _root(side: ManifestSeen) -> str:
    """Stand for the files before they are labelled."""
    return short([side.repo, side.commit])


def _arranged(seen: Seen, found: LabellingSeen, sides: tuple[ManifestSeen, ...]) -> tuple[ManifestSeen, ...]:
    """Put the labelled sides in the place of those that were labelled; nothing unless all are of the files of now."""
    there = {a.manifest.side: a for a in found.kept.arranged}
    if not all(s.side in there and there[s.side].key.startswith(f"{_root(s)}-") for s in sides):
        return ()
    mine = {s.side for s in sides}
    return tuple(there[m.side].manifest if m.side in mine else m for m in seen.manifests)


def polled(wanted: LabelStudio, found: LabellingSeen) -> Poll:
    """Count what people said."""
    return counted(found.items, found.opinions, wanted.votes)


def labels_ready(resource: DataPipeline, seen: Seen) -> Condition | None:
    """Say whether enough is labelled; None: labels do not come from people, or that was not looked at."""
    wanted, found = resource.spec.labels.label_studio, seen.labelling
    if wanted is None:
        return None
    if found is None or not found.project:
        return resource.status.condition(ConditionType.LABELS_READY)
    poll = polled(wanted, found)
    missing = _missing(wanted, found, poll)
    if missing:
        return fact(ConditionType.LABELS_READY, holds=False, reason=Reason.WAITING_FOR_LABELS, message=missing)
    said = f"{len(poll.answers)} of {len({(i.path, i.sha256) for i in found.items})} items are labelled"
    return fact(ConditionType.LABELS_READY, holds=True, reason=Reason.ENOUGH_LABELS, message=said)


def labelling_told(resource: DataPipeline, seen: Seen) -> LabellingStatus | None:
    """Say what people have said; what was not looked at stays as it was."""
    wanted, found = resource.spec.labels.label_studio, seen.labelling
    if wanted is None:
        return None
    if found is None or found.absent:
        return resource.status.labelling
    poll = polled(wanted, found)
    return LabellingStatus(
        project=found.project,
        asks=asks(resource, wanted).asks if found.project else "",
        tasks_for=found.tasks_for,
        items=len({(item.path, item.sha256) for item in found.items}),
        labelled=len(poll.answers),
        needed=_needed(wanted, found),
        undecided=poll.undecided,
        annotators=poll.annotators,
        agreement=poll.agreement,
        passed_over=len(found.unusable),
        reasons=found.unusable[:REASONS],
        repo=found.kept.repo,
        commit=found.kept.commit,
    )


def _working(message: str) -> Condition:
    return busy(Reason.TRANSFORMING, message)


def _waiting(message: str) -> Condition:
    return busy(Reason.WAITING_FOR_LABELS, message)


def listening(wait: timedelta | None) -> timedelta:
    """Say when people are listened to again."""
    return LISTEN if wait is None else min(wait, LISTEN)
