"""A pulse: waiters look again whenever anything was written."""

import asyncio


class Pulse:
    """Count the writes; let a waiter sleep until the count has moved past what it saw."""

    def __init__(self) -> None:
        self.turn = 0
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Wake everybody."""
        self.turn += 1
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def after(self, turn: int) -> None:
        """Wait until something was written after `turn`."""
        while self.turn <= turn:
            await self._event.wait()
