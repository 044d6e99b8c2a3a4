"""A process that takes requests: where it listens, and who is talking to it."""

from __future__ import annotations

import asyncio
from typing import Protocol

IDLE_SECONDS = 3.0  # less than any common server's keep-alive, so that it is never the server that hangs up first


class Connection(Protocol):
    """A connection that can be used again."""

    idle_since: float

    @property
    def usable(self) -> bool:
        """Whether it is still open."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class Endpoint:
    """One listening process. It counts its callers, so that it can be drained before it is stopped."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.in_flight = 0
        self._idle: list[Connection] = []
        self._quiet = asyncio.Event()
        self._quiet.set()

    def enter(self) -> None:
        """Count a caller in."""
        self.in_flight += 1
        self._quiet.clear()

    def leave(self) -> None:
        """Count a caller out."""
        self.in_flight -= 1
        if not self.in_flight:
            self._quiet.set()

    async def drained(self, seconds: float) -> bool:
        """Wait until nobody is talking to it; false when somebody still is."""
        try:
            await asyncio.wait_for(self._quiet.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def take(self) -> Connection | None:
        """Give a connection that was kept open."""
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Take a connection back for the next caller."""
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def close(self) -> None:
        """Hang up every connection that is kept."""
        while self._idle:
            self._idle.pop().close()
