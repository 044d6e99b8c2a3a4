"""The datums whose programs run right now: who asks may see them, and have one begun again."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.wire import Msg


class RestartedError(Exception):
    """Somebody had the datum begun again."""


@dataclass(eq=False)
class Running:
    """One datum at work: its job, what it reads, and the program."""

    pipeline: int
    job: str
    worker: str
    data: Callable[[], list[Msg]]
    since: int = field(default_factory=now)
    program: asyncio.Future[int] | None = None
    restarted: bool = False


class AtWork:
    """Keeps the running datums, oldest first."""

    def __init__(self) -> None:
        self._running: list[Running] = []

    def every(self) -> list[Running]:
        """List what runs."""
        return list(self._running)

    async def run(self, about: Running, program: Awaitable[int]) -> int:
        """Let a program run where others can see it.

        Raises:
            RestartedError: somebody had the datum begun again; its program is dead.
        """
        about.program = asyncio.ensure_future(program)
        self._running.append(about)
        try:
            return await about.program
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if about.restarted and task is not None and not task.cancelling():
                raise RestartedError from None
            raise  # the job itself was ended, or its time is over
        finally:
            self._running.remove(about)

    def restart(self, chosen: Iterable[Running]) -> bool:
        """Kill the programs of some datums, so that these begin again; tells whether there was one."""
        found = [about for about in chosen if about.program is not None and not about.program.done()]
        for about in found:
            about.restarted = True
            if about.program is not None:
                about.program.cancel()
        return bool(found)


def is_about(data: list[Msg], wanted: str) -> bool:
    """Tell whether a datum reads a file that is named by its path, or by its hash in hex or base64."""
    return any(wanted in {info.file.path, info.hash.hex(), base64.b64encode(info.hash).decode()} for info in data)
