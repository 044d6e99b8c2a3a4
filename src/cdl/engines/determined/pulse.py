"""What changed at one master, for every Experiment at once.

A beat asks for the runs that are not over and for how many runs there are; those that ended are asked for again only
when the number says that somebody added, archived or removed one.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from determined.common.api import bindings

from cdl.api.canonical import short

from .config import MANAGED, key_of, owner_of
from .translate import GONE, PHASE_OF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from determined.common import api

    from cdl.api.meta import Key

    from .reading import Reader

    Runs = dict[int, tuple[Key, str]]

ALL = -1
LIVE = tuple(
    bindings.experimentv1State[name]
    for name in ("ACTIVE", "PAUSED", "STOPPING_COMPLETED", "STOPPING_CANCELED", "STOPPING_ERROR", "STOPPING_KILLED")
)
"""The states that a master keeps; what an active run is doing it adds to its answers, and takes for no filter."""


class Pulse:
    """Remembers runs that ended; one thread at a time."""

    def __init__(self, reader: Reader) -> None:
        """Ask nothing yet; the reader knows whose last words are still missing."""
        self._reader = reader
        self._ended: Runs | None = None
        self._live: frozenset[int] = frozenset()
        self._others = 0
        """Runs with our label and without an owner of ours."""
        self._beats = count()

    def beat(self, session: api.Session) -> dict[Key, str]:
        """Give a text for every Experiment that the master holds runs of."""
        now = _runs(_asked(session, states=LIVE).experiments)
        ended = self._ended_since(session, now)
        if ended is None:
            everything = _asked(session).experiments
            runs = _runs(everything)
            now = {run.id: runs[run.id] for run in everything if run.id in runs and not PHASE_OF[run.state].over}
            ended = {number: run for number, run in runs.items() if number not in now}
            self._others = len(everything) - len(runs)
        self._ended, self._live = ended, frozenset(now)
        beat = next(self._beats)
        found: dict[Key, list[list[str | int]]] = {}
        for number, (owner, text) in sorted({**ended, **now}.items()):
            awaited = beat if self._reader.awaits_words(number) else -1
            found.setdefault(owner, []).append([number, text, awaited])
        return {owner: short(lines, 16) for owner, lines in found.items()}

    def _ended_since(self, session: api.Session, now: Runs) -> Runs | None:
        """Give the runs that are over; None when only asking for all of them can tell."""
        if self._ended is None or now.keys() & self._ended.keys():
            return None
        left = sorted(self._live - now.keys())
        just = _runs(_asked(session, only=left).experiments) if left else {}
        ended = {**self._ended, **just}
        total = _asked(session, limit=1).pagination.total
        return ended if len(ended) + len(now) + self._others == total else None


def _asked(
    session: api.Session,
    *,
    states: Sequence[bindings.experimentv1State] | None = None,
    only: Sequence[int] | None = None,
    limit: int = ALL,
) -> bindings.v1GetExperimentsResponse:
    return bindings.get_GetExperiments(
        session,
        labels=[MANAGED],
        archived=False,
        states=states,
        experimentIdFilter_incl=only,
        limit=limit,
        showTrialData=True,
        sortBy=bindings.v1GetExperimentsRequestSortBy.ID,
        orderBy=bindings.v1OrderBy.ASC,
    )


def _runs(found: Iterable[bindings.v1Experiment]) -> Runs:
    """Read whose each run is, and what stands for it."""
    runs = {}
    for run in found:
        owner = owner_of(run.labels)
        if owner is not None and run.state not in GONE:
            known = (run.state.value, run.endTime, run.progress, run.numTrials, run.checkpointCount)
            best = (run.checkpointSize, run.bestTrialSearcherMetric)
            runs[run.id] = (owner, f"{key_of(run.labels)} {known} {best}")
    return runs
