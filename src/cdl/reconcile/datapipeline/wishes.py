"""What is asked for, and the digests it is known by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cdl.api.canonical import digest, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.v1alpha1.datapipeline import Check, DataPipelineSpec, Step

    from .seen import SourceSeen


@dataclass(frozen=True)
class StepWish:
    """A step as its pipeline should be; the same on both sides, so its digest is worked out once for both."""

    step: Step
    code: str
    checks: tuple[Check, ...] = ()
    reads: str = ""
    """Name of the step before it; empty: the side's input repository."""

    @cached_property
    def digest(self) -> str:
        """Stands for everything that can change the step's output or how it runs."""
        return short([self.step.model_dump(mode="json"), self.code, self._rules, self.reads])

    @property
    def program(self) -> str:
        """Stands for what can change the output alone: not for how many workers make it, nor how large they are."""
        return short([self.step.model_dump(mode="json", exclude={"resources", "parallelism"}), self.code, self._rules])

    @property
    def _rules(self) -> list[dict[str, object]]:
        return [c.spoken for c in self.checks]


def ingest_key(spec: DataPipelineSpec, sources: tuple[SourceSeen, ...]) -> str:
    """Same bytes, same way of taking them apart, same split: same key."""
    digests = {s.name: s.digest for s in sources}
    wish = [[s.name, digests.get(s.name), s.unpack, s.strip, s.side] for s in spec.sources]
    return short([wish, spec.split.model_dump(mode="json", exclude_none=True) if spec.split else None])


def files_digest(files: Mapping[str, str]) -> str:
    """Stands for the files of one side, path to digest: same names, same contents."""
    return digest([[path, content] for path, content in sorted(files.items())])


def wishes(spec: DataPipelineSpec, programs: Mapping[str, str]) -> tuple[StepWish, ...]:
    """The steps as they should be; item checks travel with the step that applies them."""
    items = tuple(c for c in spec.checks if c.rows is None and c.rejected is None)
    before = ("", *(step.name for step in spec.steps))
    return tuple(
        StepWish(step, programs[step.uses] if step.uses else "", items if step.uses == "checks" else (), reads)
        for step, reads in zip(spec.steps, before, strict=False)
    )


def transform_digest(spec: DataPipelineSpec, programs: Mapping[str, str]) -> str:
    """The one digest of what both sides went through."""
    return digest([w.program for w in wishes(spec, programs)])
