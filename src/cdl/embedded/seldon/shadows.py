"""Copies of requests for a shadow predictor: sent and forgotten, never in a caller's way."""

from __future__ import annotations

import asyncio
from collections import Counter

from cdl.embedded.seldon.endpoint import Endpoint

AT_ONCE = 32  # copies under way; more are dropped and counted


class Shadows:
    """Sends copies and counts how they went."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, predictor: str, endpoint: Endpoint, request: bytes, seconds: float) -> None:
        """Send a copy in the background, unless too many are under way."""
        if len(self._tasks) >= AT_ONCE:
            self.counts["dropped"] += 1
            return
        task = asyncio.get_running_loop().create_task(self._send(endpoint, request, seconds), name=predictor)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, endpoint: Endpoint, request: bytes, seconds: float) -> None:
        endpoint.enter()
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
                try:
                    writer.write(request)
                    line = (await reader.readline()).split()
                    while await reader.read(1 << 16):
                        pass
                finally:
                    writer.close()
            self.counts["answered" if len(line) > 1 and line[1] == b"200" else "refused"] += 1
        except (OSError, TimeoutError, ValueError):
            self.counts["failed"] += 1
        finally:
            endpoint.leave()
