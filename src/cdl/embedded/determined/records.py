"""Rows as values."""

import json
import sqlite3
from dataclasses import dataclass

from cdl.embedded.determined.fields import Tree, section, text, truth, whole
from cdl.embedded.determined.states import ACTIVE, PAUSED, TERMINAL, TERMINATED
from cdl.embedded.determined.store import load


@dataclass(frozen=True)
class Experiment:
    """One search, with its complete config."""

    id: int
    state: str
    config: Tree
    original: str
    search: Tree
    model_def: str
    user_id: int
    start_time: float
    end_time: float | None
    archived: bool
    notes: str
    parent_id: int | None
    progress: float
    tidied: bool
    project_id: int = 1

    @property
    def live(self) -> bool:
        """Whether something may still happen by itself."""
        return self.state not in TERMINAL

    @property
    def metric(self) -> str:
        """The validation metric the search ranks by."""
        return text(self.config, "searcher", "metric")

    @property
    def smaller_is_better(self) -> bool:
        """Which direction is better."""
        return truth(self.config, "searcher", "smaller_is_better", default=True)

    @property
    def slots(self) -> int:
        """Slots a trial takes."""
        return whole(self.config, "resources", "slots_per_trial", default=1)

    @property
    def priority(self) -> int:
        """Its place in the queue: the smaller the sooner."""
        return whole(self.config, "resources", "priority", default=42)

    @property
    def storage(self) -> Tree:
        """Where checkpoints go."""
        return section(self.config, "checkpoint_storage")


@dataclass(frozen=True)
class Trial:
    """One point of a search; its task id is also what its allocations belong to."""

    id: int
    experiment_id: int
    request_id: str
    task_id: str
    seed: int
    hparams: Tree
    state: str
    restarts: int
    run_id: int
    start_time: float
    end_time: float | None
    queued_at: float
    runner_state: str
    progress: float
    invalid_hp: bool
    metadata: Tree
    warm_start: str | None

    @property
    def live(self) -> bool:
        """Whether it has not reached an end."""
        return self.state not in TERMINAL

    @property
    def waiting(self) -> bool:
        """Whether it wants to run when its experiment does."""
        return self.state in (ACTIVE, PAUSED)


@dataclass(frozen=True)
class Allocation:
    """One run of a trial: slots, processes, signals."""

    id: str
    task_id: str
    trial_id: int
    run_id: int
    state: str
    token: str
    slot_ids: list[int]
    ready: bool
    acked: bool
    nudged: bool
    preempted_at: float | None
    killed: bool
    pid: int | None
    start_time: float
    launched_at: float | None
    end_time: float | None
    exit_code: int | None
    exit_reason: str | None

    @property
    def live(self) -> bool:
        """Whether processes may exist."""
        return self.state != TERMINATED


@dataclass(frozen=True)
class Report:
    """The metrics of one trial, run, kind and step."""

    id: int
    trial_id: int
    run_id: int
    kind: str
    steps: int
    metrics: Tree
    batches: list[object] | None
    end_time: float
    archived: bool


@dataclass(frozen=True)
class Checkpoint:
    """What a trial said it saved."""

    uuid: str
    trial_id: int | None
    task_id: str
    allocation_id: str | None
    state: str
    resources: dict[str, str]
    metadata: Tree
    steps: int
    report_time: float
    storage_id: int | None


@dataclass(frozen=True)
class Workspace:
    """What holds projects."""

    id: int
    name: str
    user_id: int
    archived: bool
    immutable: bool
    storage: Tree


@dataclass(frozen=True)
class Project:
    """What holds experiments."""

    id: int
    workspace_id: int
    name: str
    key: str
    description: str
    user_id: int
    archived: bool
    immutable: bool
    notes: list[object]


def workspace(row: sqlite3.Row) -> Workspace:
    """Read a workspace."""
    held = dict(row) | {"storage": load(row["storage"])}
    return Workspace(**held | {flag: bool(row[flag]) for flag in ("archived", "immutable")})


def project(row: sqlite3.Row) -> Project:
    """Read a project."""
    held = dict(row) | {"notes": json.loads(row["notes"])}
    return Project(**held | {flag: bool(row[flag]) for flag in ("archived", "immutable")})


def experiment(row: sqlite3.Row) -> Experiment:
    """Read an experiment."""
    held = dict(row)
    held |= {"config": load(row["config"]), "search": load(row["search"])}
    return Experiment(**held | {flag: bool(row[flag]) for flag in ("archived", "tidied")})


def trial(row: sqlite3.Row) -> Trial:
    """Read a trial."""
    held = dict(row)
    held |= {"hparams": load(row["hparams"]), "metadata": load(row["metadata"])}
    return Trial(**held | {"invalid_hp": bool(row["invalid_hp"])})


def allocation(row: sqlite3.Row) -> Allocation:
    """Read an allocation."""
    held = dict(row)
    held |= {flag: bool(row[flag]) for flag in ("ready", "acked", "nudged", "killed")}
    return Allocation(**held | {"slot_ids": json.loads(row["slot_ids"])})


def report(row: sqlite3.Row) -> Report:
    """Read a metrics report."""
    held = dict(row)
    held |= {"metrics": load(row["metrics"]), "archived": bool(row["archived"])}
    return Report(**held | {"batches": json.loads(row["batches"]) if row["batches"] else None})


def checkpoint(row: sqlite3.Row) -> Checkpoint:
    """Read a checkpoint."""
    held = dict(row)
    sizes = {path: str(size) for path, size in load(row["resources"]).items()}
    return Checkpoint(**held | {"metadata": load(row["metadata"]), "resources": sizes})
