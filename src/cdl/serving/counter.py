"""The place where user code runs: a few threads, a short queue, a time limit.

The event loop never runs user code, so health checks answer however slow the model is. A call goes through one queue,
its answer back through one wake-up of the loop: what an executor does beside that costs more than a small model.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from cdl.serving.faults import Fault

Answer = TypeVar("Answer")


class Counter:
    """Takes calls as long as there is room, and answers within the time, by an error if need be."""

    def __init__(self, threads: int, room: int, timeout_seconds: float) -> None:
        """Start the threads; `room` calls may wait beside those that run."""
        self._waiting: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._most = threads + room
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._inside = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"predict_{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def inside(self) -> int:
        """How many calls run or wait, those included that run on after their caller has given up."""
        return self._inside

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Run a call and wait for it, as long as there is room and time."""
        with self._lock:
            if self._inside >= self._most:
                raise Fault(503, f"{self._inside} requests are waiting already; try again", {"retry-after": "1"})
            self._inside += 1
        loop = asyncio.get_running_loop()
        asked = _Call(call, loop)
        self._waiting.put(asked)
        clock = loop.call_later(self._timeout, self._expire, asked)
        try:
            answer: Answer = await asked.answer
        finally:
            clock.cancel()
            self._begin(asked, leaving=True)  # a call that nobody waits for any more is not begun
        return answer

    def close(self) -> None:
        """End the threads once they have nothing to do; what runs cannot be stopped."""
        for _ in self._threads:
            self._waiting.put(None)

    def _expire(self, asked: _Call) -> None:
        asked.settle(None, Fault(504, f"the model gave no answer within {self._timeout:g} seconds"))

    def _begin(self, asked: _Call, *, leaving: bool = False) -> bool:
        """Take a call, once: to run it, or because its caller left."""
        with self._lock:
            if asked.begun:
                return False
            asked.begun = True
            self._inside -= leaving
            return True

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            if not self._begin(asked):
                continue
            answer: object = None
            error: Exception | None = None
            try:
                answer = asked.call()
            except Exception as raised:  # noqa: BLE001 - whatever user code raises belongs to its caller
                error = raised
            except BaseException as raised:  # noqa: BLE001 - nor may it end the server
                error = Fault(500, f"the model's code tried to end the server with {type(raised).__name__}")
            with self._lock:
                self._inside -= 1
            with suppress(RuntimeError):  # the loop has ended, and its callers with it
                asked.loop.call_soon_threadsafe(asked.settle, answer, error)


class _Call:
    """A call on its way, and where its caller waits."""

    __slots__ = ("answer", "begun", "call", "loop")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.loop = loop
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.begun = False

    def settle(self, answer: object, error: Exception | None) -> None:
        """Answer, unless that happened already."""
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(answer)
        else:
            self.answer.set_exception(error)
