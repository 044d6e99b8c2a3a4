"""What the trials of an Experiment's newest runs printed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from determined.common.api import logs

from cdl.ports.errors import Rejected

from .config import owner_label
from .master import Master
from .reading import Reader
from .translate import PHASE_OF, TRIAL_PHASE_OF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from determined.common import api
    from determined.experimental import Determined

    from cdl.api.meta import Key

    Printed = dict[tuple[int, int], tuple[bool, list[str]]]
    """Run and trial to whether it is over, and its lines."""

POLL_SECONDS = 0.5
PATIENCE = 2
"""Who follows rests so many times as long as a look took: long logs are read again and again."""
QUIET_LOOKS = 6
"""After a run has ended comes its evaluation: who follows waits so long for it."""


class DeterminedLogs:
    """Reads the logs that one master keeps."""

    def __init__(self, url: str, *, user: str = "determined", password: str = "") -> None:
        """Talk to the master at the URL; nothing is asked yet."""
        self._master = Master(url, user, password)

    def lines(self, owner: Key, trial: int | None = None) -> Iterator[str]:
        """Give the lines of every trial of every run, or of one trial, the oldest run first; changes nothing.

        An owner without runs has no lines.

        Raises:
            Rejected: there is no such trial.
        """
        _, printed = self._printed(owner, trial, frozenset())
        for (run, number), (_, lines) in printed.items():
            yield from (_line(run, number, text) for text in lines)

    def follow(self, owner: Key, trial: int | None = None) -> Iterator[str]:
        """Give the lines there are, then each one that comes, until nothing runs any more.

        Raises:
            Rejected: there is no such trial.
        """
        told: dict[tuple[int, int], list[str]] = {}
        waiting: dict[tuple[int, int], str] = {}
        ended: set[tuple[int, int]] = set()
        done: set[tuple[int, int]] = set()
        quiet = 0
        while quiet < QUIET_LOOKS:
            begun = time.monotonic()
            running, printed = self._printed(owner, trial, frozenset(done))
            for place, (over, lines) in printed.items():
                before = told.setdefault(place, [])
                fresh = lines[len(before) :]
                # the last line may be half a line as yet: it is told once it is the same at a second look
                if fresh and not over and waiting.get(place) != fresh[-1]:
                    waiting[place] = fresh.pop()
                yield from (_line(*place, text) for text in fresh)
                before += fresh
                if place in ended:  # what was on its way at the end has had a look's time to arrive
                    done.add(place)
                if over:
                    ended.add(place)
            quiet = 0 if running else quiet + 1
            if trial is not None and done:
                return
            time.sleep(max(POLL_SECONDS, PATIENCE * (time.monotonic() - begun)))

    def _printed(self, owner: Key, trial: int | None, known: frozenset[tuple[int, int]]) -> tuple[bool, Printed]:
        """Say whether anything runs, and give the logs of the trials that are not known."""

        def ask(_: Determined, session: api.Session) -> tuple[bool, Printed]:
            reader = Reader()
            runs = reader.runs(session, [owner_label(owner)])
            trials = [(run.id, found) for run in runs for found in reader.trials(session, run.id)]
            if trial is not None and all(found.id != trial for _, found in trials):
                there = ", ".join(str(found.id) for _, found in trials) or "none"
                message = f"trial {trial}: Experiment {owner.name} has none of that number, there are: {there}"
                raise Rejected(message)
            printed = {
                (run, found.id): (
                    TRIAL_PHASE_OF[found.state].over,
                    [(line.log or line.message).rstrip() for line in logs.trial_logs(session, found.id)],
                )
                for run, found in trials
                if trial in {None, found.id} and (run, found.id) not in known
            }
            return not all(PHASE_OF[run.state].over for run in runs), printed

        return self._master.ask(f"reading the logs of Experiment {owner.name}", ask)


def _line(run: int, trial: int, text: str) -> str:
    return f"run {run} trial {trial} {text}"
