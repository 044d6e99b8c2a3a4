"""What the trials of an Experiment's newest runs printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from determined.common.api import logs

from .config import owner_label
from .master import Master
from .reading import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from determined.common import api
    from determined.experimental import Determined

    from cdl.api.meta import Key


class DeterminedLogs:
    """Reads the logs that one master keeps."""

    def __init__(self, url: str, *, user: str = "determined", password: str = "") -> None:
        """Talk to the master at the URL; nothing is asked yet."""
        self._master = Master(url, user, password)

    def lines(self, owner: Key) -> Iterator[str]:
        """Give the lines of every trial of every run, the oldest run first; changes nothing.

        An owner without runs has no lines.
        """

        def ask(_: Determined, session: api.Session) -> list[str]:
            reader = Reader()
            return [
                f"run {run.id} trial {trial.id} {(line.log or line.message).rstrip()}"
                for run in reader.runs(session, [owner_label(owner)])
                for trial in reader.trials(session, run.id)
                for line in logs.trial_logs(session, trial.id)
            ]

        yield from self._master.ask(f"reading the logs of Experiment {owner.name}", ask)
