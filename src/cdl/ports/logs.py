"""What the programs of a resource printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key


class LogReader(Protocol):
    """Reads, at one engine, what was printed on behalf of a resource."""

    def lines(self, owner: Key) -> Iterator[str]:
        """Give the lines of the newest work, oldest first, each with the program it came from; changes nothing.

        An owner the engine does not know has no lines.
        """
