"""What of an engine changed, asked for everything at once: a thousand resources cost a few requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.meta import Key


class Pulse(Protocol):
    """An engine that says by itself whom to look at again."""

    def beat(self) -> Mapping[Key, str]:
        """Give, for every resource of ours that the engine holds something of, a text that stands for all of it.

        The text changes whenever a look would see something else, but for how far unfinished work has come: that may
        be noticed late. While nothing changes it stays the same. Changes nothing itself.

        Raises:
            Unavailable: nobody answered, or only in part; what was not heard of is not said to be gone.
        """
