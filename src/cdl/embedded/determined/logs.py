"""Trial logs: files that trials write themselves, read line by line.

A trial writes plain lines; whoever watches it notes beside the file when it grew, so that
lines have a time that survives both.
"""

import asyncio
import contextlib
import re
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

POLL = 0.2
RANK = re.compile(r"^\[rank=(\d+)\] ")
LEVEL = re.compile(r"^(?:\[rank=\d+\] )?(TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")


@dataclass(frozen=True)
class Line:
    """One line; ``seen`` is when its file was seen to hold it."""

    number: int
    run_id: int
    text: str
    seen: float

    @property
    def level(self) -> str:
        """The level the harness wrote, INFO when it wrote none."""
        found = LEVEL.match(self.text)
        return found.group(1) if found else "INFO"

    @property
    def rank(self) -> int | None:
        """The rank that a launch layer wrote before the line."""
        found = RANK.match(self.text)
        return int(found.group(1)) if found else None


class Growth:
    """Notes, beside a log, of when it reached which size."""

    def __init__(self, log: Path) -> None:
        """Watch this log; it need not exist yet."""
        self.log = log
        self.notes = log.with_suffix(".times")
        self._size = 0

    def note(self) -> None:
        """Write down the size and the time if the log has grown."""
        with contextlib.suppress(OSError):  # no log yet, or a full disk: times are a nicety
            size = self.log.stat().st_size
            if size > self._size:
                self._size = size
                with self.notes.open("a") as out:
                    out.write(f"{size} {time.time():.3f}\n")

    def read(self) -> "Times":
        """Return what has been noted so far."""
        with contextlib.suppress(OSError, ValueError):
            pairs = [line.split() for line in self.notes.read_text().splitlines()]
            return Times([int(pair[0]) for pair in pairs], [float(pair[1]) for pair in pairs])
        return Times([], [])


@dataclass(frozen=True)
class Times:
    """Sizes of a log, rising, and when each was reached."""

    sizes: list[int]
    when: list[float]

    @property
    def noted(self) -> int:
        """How much of the log has a time."""
        return self.sizes[-1] if self.sizes else 0

    def at(self, offset: int) -> float | None:
        """Return when the log held this offset, None when nobody has noted it yet."""
        place = bisect_right(self.sizes, offset)
        return self.when[place] if place < len(self.sizes) else None


class TrialLog:
    """All runs of one trial, in order."""

    def __init__(self, folder: Path) -> None:
        """Read the files ``<run>.log`` of a folder."""
        self.folder = folder
        self._offsets: dict[Path, int] = {}
        self._count = 0

    def fresh(self, *, final: bool = True) -> Iterator[Line]:
        """Yield what was written since the last call.

        Unless final, what has no time yet waits, and so does a line without its end: a line
        is shown once, and the same way to everybody.
        """
        for path in self._files():
            start, times = self._offsets.get(path, 0), Growth(path).read()
            with path.open("rb") as file:
                file.seek(start)
                block = file.read() if final else file.read(max(times.noted - start, 0))
            if not final:
                block = block[: block.rfind(b"\n") + 1]
            self._offsets[path] = start + len(block)
            fallback = path.stat().st_mtime
            for raw in block.split(b"\n")[: None if block and not block.endswith(b"\n") else -1]:
                self._count += 1
                text = raw.rstrip(b"\r").decode(errors="replace")
                yield Line(self._count, int(path.stem), text, times.at(start) or fallback)
                start += len(raw) + 1

    async def follow(self, ended: Callable[[], bool]) -> AsyncIterator[Line]:
        """Yield lines as they come until ended and drained."""
        while True:
            last = ended()
            for line in self.fresh(final=last):
                yield line
            if last:
                return
            await asyncio.sleep(POLL)

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(self.folder.glob("*.log"), key=lambda path: int(path.stem))
