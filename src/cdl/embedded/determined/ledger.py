"""Questions to the store, answered as records."""

import math
import sqlite3

from cdl.embedded.determined import records
from cdl.embedded.determined.errors import missing
from cdl.embedded.determined.fields import as_number
from cdl.embedded.determined.records import (
    Allocation,
    Checkpoint,
    Experiment,
    Project,
    Report,
    Trial,
    Workspace,
)
from cdl.embedded.determined.store import Store

VALIDATION = "validation"


class Ledger:
    """Read access by meaning; writing stays with whoever knows the rules."""

    def __init__(self, store: Store) -> None:
        """Ask this store."""
        self.store = store

    def experiment(self, experiment_id: int) -> Experiment:
        """Return one experiment.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM experiments WHERE id = ?", experiment_id)
        return records.experiment(_found(row, f"experiment '{experiment_id}' not found"))

    def experiments(self) -> list[Experiment]:
        """Return all experiments in order of creation."""
        found = self.store.rows("SELECT * FROM experiments ORDER BY id")
        return [records.experiment(row) for row in found]

    def live_experiments(self) -> list[Experiment]:
        """Return those that have not ended."""
        found = self.store.rows(
            "SELECT * FROM experiments WHERE state NOT IN ('COMPLETED', 'CANCELED', 'ERROR') ORDER BY id"
        )
        return [records.experiment(row) for row in found]

    def untidied_experiments(self) -> list[Experiment]:
        """Return the ended ones whose checkpoints have not been sorted out."""
        found = self.store.rows(
            "SELECT * FROM experiments WHERE tidied = 0 AND state IN ('COMPLETED', 'CANCELED', 'ERROR') ORDER BY id"
        )
        return [records.experiment(row) for row in found]

    def trial(self, trial_id: int) -> Trial:
        """Return one trial.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM trials WHERE id = ?", trial_id)
        return records.trial(_found(row, f"trial '{trial_id}' not found"))

    def trials(self, experiment_id: int) -> list[Trial]:
        """Return the trials of an experiment in order of creation."""
        found = self.store.rows("SELECT * FROM trials WHERE experiment_id = ? ORDER BY id", experiment_id)
        return [records.trial(row) for row in found]

    def trial_of_task(self, task_id: str) -> Trial:
        """Return the trial a task belongs to.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM trials WHERE task_id = ?", task_id)
        return records.trial(_found(row, f"task '{task_id}' not found"))

    def trial_of_request(self, experiment_id: int, request_id: str) -> Trial:
        """Return the trial a searcher asked for."""
        row = self.store.row(
            "SELECT * FROM trials WHERE experiment_id = ? AND request_id = ?",
            experiment_id,
            request_id,
        )
        return records.trial(_found(row, f"trial with request id '{request_id}' not found"))

    def allocation(self, allocation_id: str) -> Allocation:
        """Return one allocation.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM allocations WHERE id = ?", allocation_id)
        return records.allocation(_found(row, f"allocation '{allocation_id}' not found"))

    def allocations(self, trial_id: int) -> list[Allocation]:
        """Return a trial's allocations in order of their runs."""
        found = self.store.rows("SELECT * FROM allocations WHERE trial_id = ? ORDER BY run_id", trial_id)
        return [records.allocation(row) for row in found]

    def live_allocations(self) -> list[Allocation]:
        """Return every allocation that may have processes."""
        found = self.store.rows("SELECT * FROM allocations WHERE state != 'TERMINATED' ORDER BY start_time")
        return [records.allocation(row) for row in found]

    def reports(self, trial_id: int, kind: str | None = None) -> list[Report]:
        """Return a trial's metrics that still count, by kind and step."""
        found = self.store.rows(
            "SELECT * FROM metrics WHERE trial_id = ? AND archived = 0"
            " AND (? IS NULL OR kind = ?) ORDER BY kind, steps, id",
            trial_id,
            kind,
            kind,
        )
        return [records.report(row) for row in found]

    def best_validation(self, experiment: Experiment, trial_id: int) -> Report | None:
        """Return the validation with the best searcher metric; NaN never wins."""
        scored = [
            (score, found)
            for found in self.reports(trial_id, VALIDATION)
            if (score := self.score(experiment, found)) is not None
        ]
        if not scored:
            return None
        pick = min if experiment.smaller_is_better else max
        return pick(scored, key=lambda pair: pair[0])[1]

    def latest_validation(self, trial_id: int) -> Report | None:
        """Return the validation of the most steps."""
        found = self.reports(trial_id, VALIDATION)
        return found[-1] if found else None

    def score(self, experiment: Experiment, found: Report) -> float | None:
        """Return the searcher metric of a validation, None when absent or not finite."""
        value = as_number(found.metrics.get(experiment.metric))
        return value if value is not None and math.isfinite(value) else None

    def checkpoint(self, uuid: str) -> Checkpoint:
        """Return one checkpoint.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM checkpoints WHERE uuid = ?", uuid)
        return records.checkpoint(_found(row, f"checkpoint '{uuid}' not found"))

    def checkpoints(self, trial_id: int) -> list[Checkpoint]:
        """Return a trial's checkpoints, oldest first."""
        found = self.store.rows("SELECT * FROM checkpoints WHERE trial_id = ? ORDER BY steps, report_time", trial_id)
        return [records.checkpoint(row) for row in found]

    def latest_checkpoint(self, trial_id: int) -> Checkpoint | None:
        """Return the completed checkpoint of the most steps: where a restart begins."""
        done = [found for found in self.checkpoints(trial_id) if found.state == "COMPLETED"]
        return done[-1] if done else None

    def validation_of(self, found: Checkpoint) -> Report | None:
        """Return the validation of the same trial at the checkpoint's step."""
        if found.trial_id is None:
            return None
        at_step = [r for r in self.reports(found.trial_id, VALIDATION) if r.steps == found.steps]
        return at_step[-1] if at_step else None

    def training_of(self, found: Checkpoint) -> Report | None:
        """Return the training report of the same trial at the checkpoint's step."""
        if found.trial_id is None:
            return None
        at_step = [r for r in self.reports(found.trial_id, "training") if r.steps == found.steps]
        return at_step[-1] if at_step else None

    def workspace(self, workspace_id: int) -> Workspace:
        """Return one workspace.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM workspaces WHERE id = ?", workspace_id)
        return records.workspace(_found(row, f"workspace ({workspace_id}) not found"))

    def workspaces(self) -> list[Workspace]:
        """Return all workspaces."""
        return [records.workspace(row) for row in self.store.rows("SELECT * FROM workspaces ORDER BY id")]

    def project(self, project_id: int) -> Project:
        """Return one project.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM projects WHERE id = ?", project_id)
        return records.project(_found(row, f"project ({project_id}) not found"))

    def projects(self, workspace_id: int | None = None) -> list[Project]:
        """Return the projects of a workspace, or all of them."""
        found = self.store.rows(
            "SELECT * FROM projects WHERE ? IS NULL OR workspace_id = ? ORDER BY id", workspace_id, workspace_id
        )
        return [records.project(row) for row in found]

    def username(self, user_id: int) -> str:
        """Return the name of a user."""
        row = self.store.row("SELECT username FROM users WHERE id = ?", user_id)
        return str(row["username"]) if row else "determined"


def _found(row: sqlite3.Row | None, otherwise: str) -> sqlite3.Row:
    if row is None:
        raise missing(otherwise)
    return row
