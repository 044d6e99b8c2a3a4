"""What a plan is made of; as JSON it is what programs read."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from cdl.api.meta import Frozen
from cdl.api.v1alpha1.datapipeline import Side


class Verdict(StrEnum):
    """What becomes of a stage."""

    RUN = "run"
    """It is computed: for the first time, again, or it is being computed now."""
    REUSE = "reuse"
    """What it made stands as it is."""
    ROLLOUT = "rollout"
    """What works is replaced by other servers or workers; nothing is computed again."""
    WAIT = "wait"
    """It goes on once somebody has acted; the reasons say who and how."""
    UNKNOWN = "unknown"
    """What is known here does not suffice to say; the reasons tell what is missing."""


BUSY = frozenset({Verdict.RUN, Verdict.ROLLOUT, Verdict.UNKNOWN})
"""Verdicts after which something may happen without anybody's doing."""


class Change(StrEnum):
    """What applying does to a resource."""

    CREATED = "created"
    """There is none of that name yet."""
    CONFIGURED = "configured"
    """Its spec changes."""
    UNCHANGED = "unchanged"
    """Its spec stays as it is."""
    AFFECTED = "affected"
    """It is stored, not among those that are applied, and downstream of one of them."""


class Estimate(Frozen):
    """What a stage may take, from what it took before."""

    seconds: float | None = Field(None, description="How long it takes; absent: there is no history.")
    slot_hours: float | None = Field(None, description="Slots times hours it uses; absent: none, or no history.")
    basis: str = Field("no history", description="What the figures are taken from, in words.")
    missing: tuple[str, ...] = Field((), description="Stages that run and have no history, so are not in the figures.")


NOTHING = Estimate(basis="")
"""Of a stage that does not run."""
NO_HISTORY = Estimate()


class Stage(Frozen):
    """One part of a resource's work, with a key of its own."""

    name: str = Field(description="ingest, a step's name, train, evaluate, gate, release, approve or rollout.")
    side: Side | None = Field(None, description="Half of the dataset, where a stage has one.")
    verdict: Verdict = Field(description="What becomes of it.")
    reasons: tuple[str, ...] = Field((), description="Why, most telling first.")
    sure: bool = Field(True, description="False: it rests on an assumption, as that new files differ from the old.")
    key: str = Field("", description="What the stage is known by afterwards; empty: it depends on what runs before.")
    estimate: Estimate = Field(NOTHING, description="What it may take; empty where it does not run.")

    @property
    def label(self) -> str:
        """What people call the stage."""
        return f"{self.name} ({self.side})" if self.side else self.name


class ResourcePlan(Frozen):
    """What becomes of one resource."""

    kind: str = Field(description="DataPipeline, Experiment or ModelDeployment.")
    namespace: str = Field(description="Where it is.")
    name: str = Field(description="What it is called.")
    change: Change = Field(description="What applying does to it.")
    stages: tuple[Stage, ...] = Field((), description="Its stages, in the order in which they work; sides in turn.")
    estimate: Estimate = Field(NOTHING, description="Of all stages that run, one after the other, sides at once.")
    warnings: tuple[str, ...] = Field((), description="What a person should look at before applying.")
    over_budget: bool = Field(False, description="The estimate is more than spec.budget allows.")
    asked: bool = Field(True, description="False: its engine was not asked, this is told from statuses.")
    notes: tuple[str, ...] = Field((), description="What could not be asked, and what stands in for it.")

    @property
    def busy(self) -> bool:
        """Something of it will or may run."""
        return any(stage.verdict in BUSY for stage in self.stages)


class Plan(Frozen):
    """What applying leads to."""

    schema_: Literal["cdl.dev/plan/v1"] = Field("cdl.dev/plan/v1", alias="schema", description="Which words these are.")
    runs: bool = Field(description="Something will or may run; exit code 2 with --detailed-exitcode.")
    over_budget: bool = Field(description="Some resource's estimate is more than its budget.")
    estimate: Estimate = Field(description="Of all of it: kinds one after the other, resources of a kind at once.")
    resources: tuple[ResourcePlan, ...] = Field(description="Kinds in the order in which they work.")
