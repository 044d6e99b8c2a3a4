"""Tell how far a download is: a bar on a terminal, a line now and then in a trial's log."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

WIDTH = 30
LINE_SECONDS = 10.0
"""How often a log hears of it."""
BAR_SECONDS = 0.1
MEBI = 1 << 20


class Progress:
    """Counts bytes of one download."""

    def __init__(
        self, what: str, total: int, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Say what is fetched and how many bytes it has in all."""
        self._what, self._total = what, total
        self._out = out if out is not None else sys.stderr
        self._clock = clock
        self._done = 0
        self._begun = clock()
        self._said = self._begun
        self._bar = self._out.isatty()

    def add(self, count: int) -> None:
        """So many bytes more have arrived."""
        self._done += count
        now = self._clock()
        if now - self._said >= (BAR_SECONDS if self._bar else LINE_SECONDS):
            self._said = now
            self._say(f"\r{self._drawn()}" if self._bar else f"{self._drawn()}\n")

    def end(self, files: int) -> None:
        """All is there."""
        took = max(self._clock() - self._begun, 1e-9)
        told = f"fetched {self._what}: {files} files, {self._done / MEBI:.1f} MiB in {took:.1f} s"
        self._say(f"\r{told:<{WIDTH + 60}}\n" if self._bar else f"{told}\n")

    def _drawn(self) -> str:
        share = min(self._done / self._total, 1.0) if self._total else 1.0
        sizes = f"{self._done / MEBI:.0f} of {self._total / MEBI:.0f} MiB"
        if not self._bar:
            return f"fetching {self._what}: {share:.0%}, {sizes}"
        full = round(share * WIDTH)
        return f"fetching {self._what} [{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%} {sizes}"

    def _say(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
