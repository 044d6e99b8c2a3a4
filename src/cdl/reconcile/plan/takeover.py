"""Which steps will not run because an equal one has made of equal files what is asked for (decision 16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdl.api.v1alpha1.datapipeline import DataPipeline, Side
    from cdl.reconcile import datapipeline as pure

    from .stage import Stage


@dataclass(frozen=True, slots=True)
class LikeSeen:
    """The DataPipeline whose work may be taken over, and what its engine says of it."""

    resource: DataPipeline
    seen: pure.Seen

    def has_files(self, side: Side, ingest: Stage) -> bool:
        """Its side holds the files that the ingest will have written: the same sources, split the same way."""
        head = next((s for s in self.seen.sides if s.side is side), None)
        return bool(ingest.key) and head is not None and head.ingest == ingest.key

    def made(self, side: Side, wish: pure.StepWish) -> bool:
        """Its equal step has made something of what it reads now, and made it itself."""
        now = self._step(side, wish.step.name)
        if now is None or not now.done or now.failure or now.taken or now.wish != wish.digest:
            return False
        if not wish.reads:
            return now.input == self._head(side)
        before = self._step(side, wish.reads)
        return before is not None and now.input == before.head

    @property
    def said(self) -> tuple[str, ...]:
        """Why a step does not run."""
        meta = self.resource.metadata
        return (f"taken over from {meta.namespace}: {meta.name} has made it there, by an equal step of equal files",)

    def _head(self, side: Side) -> str | None:
        return next((s.head for s in self.seen.sides if s.side is side), None)

    def _step(self, side: Side, name: str) -> pure.StepSeen | None:
        return next((s for s in self.seen.steps if (s.step, s.side) == (name, side)), None)
