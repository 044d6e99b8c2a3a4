"""Pipelines of the data engine that people wrote themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.reconcile.datapipeline import RawSeen, RawWish


class RawPipelines(Protocol):
    """Raw Pachyderm pipelines; owner is the DataPipeline's key."""

    def look(self, owner: Key) -> tuple[RawSeen, ...]:
        """Report every raw pipeline of the owner, each before those it reads. Changes nothing."""

    def ensure(self, owner: Key, wish: RawWish) -> None:
        """Make a pipeline be as it was written; what it needs of the engine's own words is put in beside.

        A second call with an equal wish changes nothing and runs nothing. Another transform processes everything
        again, unless the spec says `reprocess: false`; anything else only what is new.

        Raises:
            Rejected: the engine refuses it, or a pipeline of that name is not the owner's.
        """

    def remove(self, owner: Key, name: str) -> None:
        """Remove a raw pipeline of the owner, and its output. Removing what is not there is a success.

        Raises:
            Rejected: it is not the owner's, or another one reads its output.
        """

    def forget(self, owner: Key) -> None:
        """Remove every raw pipeline of the owner. Removing what is not there is a success."""
