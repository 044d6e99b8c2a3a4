"""The last lines of the master's own log, for who asks over the wire."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

KEPT = 2000
POLL = 0.2
LOGGERS = ("cdl.embedded.determined", "uvicorn.error")


@dataclass(frozen=True)
class Entry:
    """One line."""

    number: int
    when: float
    level: str
    message: str


class Journal(logging.Handler):
    """Keeps the newest lines of this process in memory."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        super().__init__(logging.INFO)
        self.count = 0
        self.kept: deque[Entry] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.count += 1
        self.kept.append(Entry(self.count, record.created, record.levelname, record.getMessage()))

    def open(self) -> None:
        """Listen to the loggers of this process."""
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self)
        logging.getLogger(LOGGERS[0]).setLevel(logging.INFO)

    def shut(self) -> None:
        """Listen no more."""
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)

    async def follow(self, after: int, ended: Callable[[], bool]) -> AsyncIterator[Entry]:
        """Yield lines as they come."""
        while not ended():
            for entry in list(self.kept):
                if entry.number > after:
                    after = entry.number
                    yield entry
            await asyncio.sleep(POLL)
