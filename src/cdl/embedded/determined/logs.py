"""Trial logs: files that trials write themselves, read line by line."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

POLL = 0.2
RANK = re.compile(r"^\[rank=(\d+)\] ")
LEVEL = re.compile(r"^(?:\[rank=\d+\] )?(TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")


@dataclass(frozen=True)
class Line:
    """One line; ``seen`` is when its file was last known to grow."""

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


class TrialLog:
    """All runs of one trial, in order."""

    def __init__(self, folder: Path) -> None:
        """Read the files ``<run>.log`` of a folder."""
        self.folder = folder
        self._offsets: dict[Path, int] = {}
        self._count = 0

    def fresh(self, *, final: bool = True) -> Iterator[Line]:
        """Yield what was written since the last call; a line without its end waits unless final."""
        for path in self._files():
            start = self._offsets.get(path, 0)
            with path.open("rb") as file:
                file.seek(start)
                block = file.read()
            if not final:
                block = block[: block.rfind(b"\n") + 1]
            self._offsets[path] = start + len(block)
            seen = path.stat().st_mtime
            for text in block.decode(errors="replace").splitlines():
                self._count += 1
                yield Line(self._count, int(path.stem), text, seen)

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
