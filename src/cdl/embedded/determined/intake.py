"""What trials report, taken in so that a report that comes twice changes nothing."""

import re
import time

from cdl.embedded.determined import records
from cdl.embedded.determined.errors import ApiError, Code, invalid
from cdl.embedded.determined.fields import Tree, as_number, items, section, text, whole
from cdl.embedded.determined.ledger import VALIDATION, Ledger
from cdl.embedded.determined.lifecycle import Lifecycle
from cdl.embedded.determined.records import Trial
from cdl.embedded.determined.store import Store, dump
from cdl.embedded.determined.web import seconds

NAME = re.compile(r"[\w-]+")  # it becomes a folder's name
BUILT_IN = ("training", VALIDATION)


class Intake:
    """Metrics and checkpoints on their way into the store."""

    def __init__(self, ledger: Ledger, lifecycle: Lifecycle) -> None:
        """Write through the ledger's store; validations go to the searcher in the same transaction."""
        self.ledger = ledger
        self.lifecycle = lifecycle
        self.store: Store = ledger.store

    def metrics(self, trial_id: int, body: Tree) -> None:
        """Take in one report.

        Raises:
            ApiError: it comes from a run that is over, or changes what was reported before.
        """
        sent = section(body, "metrics")
        kind, steps = text(body, "group"), whole(sent, "stepsCompleted")
        run_id, values = whole(sent, "trialRunId"), section(sent, "metrics", "avgMetrics")
        if not kind or "." in kind:
            raise invalid(f"group must be a name without a dot, found {kind!r}")
        with self.store.transaction():
            trial = self.ledger.trial(trial_id)
            if run_id != trial.run_id:
                raise invalid(
                    f"invalid run id: {run_id} (reported) != {trial.run_id} (expected); "
                    f"trial {trial_id} has been started again"
                )
            batches = items(sent, "metrics", "batchMetrics")
            if self._keep(trial, kind, steps, values, batches, seconds(text(sent, "reportTime"))):
                self.lifecycle.validated(trial, values)

    def checkpoint(self, body: Tree) -> None:
        """Take in a checkpoint; the same uuid again replaces what was said before.

        Raises:
            ApiError: the body lacks a uuid or metadata.steps_completed.
        """
        uuid, task_id = text(body, "uuid"), text(body, "taskId")
        steps = as_number(section(body, "metadata").get("steps_completed"))
        if not NAME.fullmatch(uuid) or steps is None:
            raise invalid(f"a checkpoint needs a uuid and metadata.steps_completed, found uuid {uuid!r}")
        with self.store.transaction():
            trial = self.ledger.trial_of_task(task_id)
            self.store.run("DELETE FROM checkpoints WHERE uuid = ? AND task_id = ?", uuid, task_id)
            self.store.insert(
                "checkpoints",
                uuid=uuid,
                trial_id=trial.id,
                task_id=task_id,
                allocation_id=text(body, "allocationId"),
                state=text(body, "state", default="STATE_COMPLETED").removeprefix("STATE_"),
                resources=dump(section(body, "resources")),
                metadata=dump(section(body, "metadata")),
                steps=int(steps),
                report_time=seconds(text(body, "reportTime")) if body.get("reportTime") else time.time(),
                storage_id=whole(body, "storageId") or None,
            )

    def _keep(self, trial: Trial, kind: str, steps: int, values: Tree, batches: list[object], when: float) -> bool:
        """Store a report; say whether it is a validation the searcher has not seen."""
        row = self.store.row(
            "SELECT * FROM metrics WHERE trial_id = ? AND run_id = ? AND kind = ? AND steps = ?",
            trial.id,
            trial.run_id,
            kind,
            steps,
        )
        if row is not None:
            known = records.report(row)
            _same_where_known(known.metrics, values, kind, steps)
            self.store.run("UPDATE metrics SET metrics = ? WHERE id = ?", dump(known.metrics | values), known.id)
            return False
        self._archive(trial, kind, steps)
        self.store.insert(
            "metrics",
            trial_id=trial.id,
            run_id=trial.run_id,
            kind=kind,
            steps=steps,
            metrics=dump(values),
            batches=dump(batches) if batches else None,
            end_time=when,
        )
        return kind == VALIDATION

    def _archive(self, trial: Trial, kind: str, steps: int) -> None:
        """Set aside what earlier runs reported of steps that are now trained again."""
        self.store.run(
            "UPDATE metrics SET archived = 1 WHERE trial_id = ? AND run_id < ? AND archived = 0"
            " AND (steps > ? OR (steps = ? AND (kind = ? OR (? AND kind NOT IN ('training', 'validation')))))",
            trial.id,
            trial.run_id,
            steps,
            steps,
            kind,
            kind not in BUILT_IN,
        )


def _same_where_known(known: Tree, values: Tree, kind: str, steps: int) -> None:
    for name, value in values.items():
        if name in known and dump(known[name]) != dump(value):
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"{kind} metric {name!r} at step {steps} was reported as {known[name]!r} before, now as {value!r}",
            )
