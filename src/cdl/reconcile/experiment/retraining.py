"""When an Experiment is trained again although nobody changed it: at due times, on new data, not too soon.

A run that a due time asks for has that time in its key, so there is one for it however often the operator dies asking.
The runs that are there say which times were kept, so a lost status doubles none. What was due while nobody looked, or
while a run was going on, is one due time, the newest; a run that began since then keeps it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from cdl.api.canonical import short
from cdl.api.duration import length
from cdl.api.schedule import newest_due, next_due

from . import warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.v1alpha1.datapipeline import Dataset
    from cdl.api.v1alpha1.experiment import Experiment, ExperimentStatus

    from .seen import RunSeen, Seen
    from .start import Start

DUE = re.compile(r"-(\d{8}T\d{6})Z$")
WRITTEN = "%Y%m%dT%H%M%S"


class Times(NamedTuple):
    """What the status says of runs to come; both None where none is to be expected."""

    retrained_for: datetime | None = None
    next_retrain_at: datetime | None = None


def wish_part(resource: Experiment) -> str:
    """Begin the key of every run of the same code and configuration."""
    archive = resource.spec.code.archive
    code = archive.sha256 if archive else None
    return short([resource.metadata.uid, code, resource.spec.config, *warm.asked(resource)])


def wish_key(resource: Experiment, version: str) -> str:
    """Stand for a wish on a version of the data, whatever its run begins with."""
    return f"{wish_part(resource)}-{short(version, 8)}"


def train_key(resource: Experiment, data: Dataset) -> str:
    """Same code, configuration, data and weights to begin with: same run, however often the operator dies asking."""
    wish = wish_key(resource, data.version)
    start = warm.kept(resource, wish)
    return wish if start is None else f"{wish}-{start.pin}"


def start_of(resource: Experiment, version: str) -> Start | None:
    """Give the weights that the run of a wish begins with; None: random ones."""
    start = warm.kept(resource, wish_key(resource, version))
    return start if start is not None and start.checkpoint else None


def by_schedule(key: str, due: datetime) -> str:
    """Give the key of the run that repeats another at a due time."""
    return f"{key}-{due.astimezone(UTC).strftime(WRITTEN)}Z"


def due_time(key: str) -> datetime | None:
    """Read from a key for which due time the run began; None: for none."""
    found = DUE.search(key)
    return datetime.strptime(found[1], WRITTEN).replace(tzinfo=UTC) if found else None


def newest(base: str, resource: Experiment, seen: Seen) -> str:
    """Give the key of the newest run of a wish: the one a due time asked for last, if any did."""
    told = resource.status.run
    known = [r.key for r in seen.runs] + ([told.key] if told is not None else [])
    again = [key for key in known if DUE.fullmatch(key.removeprefix(base))]
    return max(again, key=lambda key: due_time(key) or datetime.min.replace(tzinfo=UTC), default=base)


def dataset(resource: Experiment, seen: Seen) -> Dataset | None:
    """Give the data to train on: with `onData: false`, and within `minInterval`, a wish stays with what it has."""
    pinned, run = resource.status.data, resource.status.run
    if pinned is None or run is None or not run.key.startswith(wish_part(resource)):
        return seen.dataset
    if not resource.spec.retrain.on_data:
        return pinned
    if waits_until(resource, seen) is None:
        return seen.dataset
    asked = seen.dataset is not None and any(r.key.startswith(train_key(resource, seen.dataset)) for r in seen.runs)
    return seen.dataset if asked else pinned


def waits_until(resource: Experiment, seen: Seen) -> datetime | None:
    """Say before when nothing is trained again unless somebody changes the wish; None: the interval is over."""
    least = length(resource.spec.retrain.min_interval)
    if not least:
        return None
    begun = max(_beginnings(resource, seen), default=None)
    return begun + least if begun is not None and begun + least > seen.at else None


def due(resource: Experiment, seen: Seen, key: str) -> datetime | None:
    """Give the newest due time that has come and that no run has kept; None: there is none."""
    schedule, since = resource.spec.retrain.schedule, _counted_from(resource, seen)
    if not schedule or since is None:
        return None
    at = newest_due(schedule, since, seen.at)
    return None if at is None or _began_since(seen, key, at) else at


def times(resource: Experiment, seen: Seen, data: Dataset | None, key: str, *, starting: bool) -> Times:
    """Say which due time is kept by now, and when the next run may be asked for; a new schedule counts from now."""
    schedule, held = resource.spec.retrain.schedule, waits_until(resource, seen)
    waiting = held if _newer(resource, seen, data) else None
    if not schedule:
        return Times(None, waiting)
    since = _counted_from(resource, seen) or seen.at.replace(microsecond=0)
    at = newest_due(schedule, since, seen.at)
    if at is not None and (starting or _began_since(seen, key, at)):
        since = at
    coming = next_due(schedule, since)
    return Times(since, waiting or (max(coming, held) if held is not None else coming))


def in_words(resource: Experiment, seen: Seen, status: ExperimentStatus) -> str:
    """Say when an Experiment that is settled will be trained again; empty: when something changes."""
    retrain = resource.spec.retrain
    if status.next_retrain_at is None:
        return ""
    when = f"{status.next_retrain_at:%Y-%m-%d %H:%M:%S} UTC"
    if _newer(resource, seen, status.data):
        return f"new data waits until {when} (retrain.minInterval {retrain.min_interval})"
    return f"trained again at {when} (retrain.schedule {retrain.schedule})"


def _newer(resource: Experiment, seen: Seen, data: Dataset | None) -> bool:
    """Tell whether there is other data than is trained on, which would be trained on at another time."""
    known = resource.spec.retrain.on_data and seen.dataset is not None and data is not None
    return known and seen.dataset != data


def _counted_from(resource: Experiment, seen: Seen) -> datetime | None:
    kept = [resource.status.retrained_for, *(due_time(r.key) for r in _own(resource, seen))]
    return max((at for at in kept if at is not None), default=None)


def _beginnings(resource: Experiment, seen: Seen) -> Iterator[datetime]:
    told = resource.status.run
    if told is not None and told.started_at is not None and told.key.startswith(wish_part(resource)):
        yield told.started_at
    for run in _own(resource, seen):
        if run.started_at is not None:
            yield run.started_at
        elif not run.phase.over:
            yield seen.at


def _began_since(seen: Seen, key: str, at: datetime) -> bool:
    run = next((r for r in seen.runs if r.key == key), None)
    return run is not None and run.started_at is not None and run.started_at >= at


def _own(resource: Experiment, seen: Seen) -> Iterator[RunSeen]:
    """Runs that trained what is wished for now, on whatever data."""
    begins = f"{wish_part(resource)}-"
    return (run for run in seen.runs if run.key.startswith(begins))
