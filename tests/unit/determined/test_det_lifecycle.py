"""The exit rules of trials, the states of experiments, and reports of repeated runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdl.embedded.determined.accounts import Accounts
from cdl.embedded.determined.config import Site, expand
from cdl.embedded.determined.errors import ApiError
from cdl.embedded.determined.fields import Tree
from cdl.embedded.determined.intake import Intake
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.lifecycle import Lifecycle
from cdl.embedded.determined.retention import superfluous
from cdl.embedded.determined.states import STOPPING_CANCELED, STOPPING_KILLED, escalate
from cdl.embedded.determined.store import Store

SITE = Site({"type": "directory", "container_path": "/nowhere"}, 7, "named")


class World:
    """A master without processes: allocations begin and end when a test says so."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        Accounts(self.store)
        self.ledger = Ledger(self.store)
        self.life = Lifecycle(self.ledger)
        self.intake = Intake(self.ledger, self.life)

    def create(self, searcher: Tree | None = None, **config: object) -> int:
        written = {"entrypoint": "x", "searcher": {"name": "single", "metric": "loss", **(searcher or {})}}
        return self.life.create(expand(written | config, SITE), "", "", 2, parent=None, paused=False)

    def begin(self, trial_id: int) -> str:
        trial = self.ledger.trial(trial_id)
        run_id = trial.run_id + 1
        name = f"{trial.task_id}.{run_id}"
        self.store.update("trials", trial_id, run_id=run_id)
        values = {"task_id": trial.task_id, "trial_id": trial_id, "run_id": run_id, "slot_ids": "[0]"}
        self.store.insert("allocations", id=name, state="RUNNING", token=name, start_time=1.0, **values)
        return name

    def end(self, name: str, code: int | None, **flags: int) -> None:
        if flags:
            self.store.update("allocations", name, **flags)
        self.life.ended(self.ledger.allocation(name), code)
        self.life.settle()

    def seen(self, experiment_id: int) -> tuple[str, list[str]]:
        trials = self.ledger.trials(experiment_id)
        return self.ledger.experiment(experiment_id).state, [trial.state for trial in trials]

    def report(self, trial_id: int, step: int, loss: float, kind: str = "validation", run: int = 1) -> None:
        inner = {"trialRunId": run, "stepsCompleted": step, "metrics": {"avgMetrics": {"loss": loss}}}
        self.intake.metrics(trial_id, {"group": kind, "metrics": inner})

    def save(self, trial_id: int, step: int) -> None:
        task = self.ledger.trial(trial_id).task_id
        body = {"uuid": f"c{trial_id}-{step}", "taskId": task, "metadata": {"steps_completed": step}}
        self.intake.checkpoint(body | {"state": "STATE_COMPLETED"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "w.db")
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("code", "flags", "trial", "restarts"),
    [
        (0, {}, "COMPLETED", 0),
        (0, {"acked": 1}, "ACTIVE", 0),
        (1, {}, "ACTIVE", 1),
        (137, {"killed": 1}, "ACTIVE", 0),
        (None, {}, "ACTIVE", 0),
    ],
)
def test_how_a_run_may_end(world: World, code: int | None, flags: dict, trial: str, restarts: int) -> None:
    number = world.create()
    world.end(world.begin(1), code, **flags)
    assert world.seen(number) == (trial, [trial])
    assert world.ledger.trial(1).restarts == restarts


def test_more_failures_than_restarts_are_an_error(world: World) -> None:
    number = world.create(max_restarts=1)
    world.end(world.begin(1), 1)
    assert world.seen(number) == ("ACTIVE", ["ACTIVE"])
    world.end(world.begin(1), 1)
    assert world.seen(number) == ("ERROR", ["ERROR"])
    assert world.life.notes[-1][2] == "trial 1 failed with exit code 1 and is given up"


def test_an_end_is_counted_once(world: World) -> None:
    number = world.create({"name": "random", "max_trials": 3, "max_concurrent_trials": 1})
    world.end(world.begin(1), 0)
    world.life.settle()
    world.life.settle()
    assert world.seen(number) == ("ACTIVE", ["COMPLETED", "ACTIVE"])


def test_a_cancel_waits_for_processes_and_a_paused_one_has_none(world: World) -> None:
    number = world.create({"name": "random", "max_trials": 2})
    name = world.begin(1)
    world.life.pause(number, paused=True)
    world.life.stop(number, STOPPING_CANCELED)
    world.life.settle()
    assert world.seen(number) == ("STOPPING_CANCELED", ["STOPPING_CANCELED", "CANCELED"])
    world.end(name, 0, acked=1)
    assert world.seen(number) == ("CANCELED", ["CANCELED", "CANCELED"])


def test_a_crash_while_stopping_is_an_error_of_the_trial_only(world: World) -> None:
    number = world.create()
    name = world.begin(1)
    world.life.stop(number, STOPPING_CANCELED)
    world.life.settle()
    world.end(name, 1)
    assert world.seen(number) == ("CANCELED", ["ERROR"])


def test_a_trial_killed_alone_is_canceled(world: World) -> None:
    number = world.create({"name": "random", "max_trials": 2})
    name = world.begin(1)
    world.life.stop_trial(1)
    world.life.settle()
    world.end(name, 137, killed=1)
    world.end(world.begin(2), 0)
    assert world.seen(number) == ("COMPLETED", ["CANCELED", "COMPLETED"])


def test_stops_only_get_harder(world: World) -> None:
    assert escalate(STOPPING_KILLED, STOPPING_CANCELED) == STOPPING_KILLED
    assert escalate(STOPPING_CANCELED, STOPPING_KILLED) == STOPPING_KILLED
    assert escalate("COMPLETED", STOPPING_KILLED) == "COMPLETED"


def test_activating_what_has_ended_is_refused(world: World) -> None:
    number = world.create()
    world.end(world.begin(1), 0)
    with pytest.raises(ApiError, match="cannot activate experiment 1 in state COMPLETED"):
        world.life.pause(number, paused=False)


def steps(world: World, kind: str) -> list[tuple[int, int]]:
    return [(report.run_id, report.steps) for report in world.ledger.reports(1, kind)]


def test_a_later_run_sets_aside_what_it_repeats(world: World) -> None:
    world.create()
    world.begin(1)
    for step in (1, 2, 3):
        world.report(1, step, 1.0 / step, kind="training")
        world.report(1, step, 1.0 / step)
    world.begin(1)
    world.report(1, 2, 0.9, run=2)
    assert steps(world, "validation") == [(1, 1), (2, 2)]
    assert steps(world, "training") == [(1, 1), (1, 2)]
    world.report(1, 2, 0.9, kind="training", run=2)
    assert steps(world, "training") == [(1, 1), (2, 2)]
    with pytest.raises(ApiError, match=r"invalid run id: 1 \(reported\) != 2 \(expected\)"):
        world.report(1, 3, 0.1)


def test_a_report_reaches_the_searcher_once(world: World) -> None:
    halving = {"name": "async_halving", "num_rungs": 2, "max_trials": 9, "max_time": 4, "time_metric": "loss"}
    number = world.create(halving | {"max_concurrent_trials": 2})
    for trial in (1, 2):
        world.begin(trial)
    world.report(1, 1, 1.0)
    for _ in range(3):
        world.report(2, 1, 2.0)
    assert world.seen(number)[1] == ["ACTIVE", "STOPPING_COMPLETED", "ACTIVE"]


def test_the_latest_checkpoint_and_what_may_go(world: World) -> None:
    number = world.create()
    world.begin(1)
    for step, loss in enumerate((0.5, 0.2, 0.4, 0.3), start=1):
        world.report(1, step, loss)
        world.save(1, step)
    latest = world.ledger.latest_checkpoint(1)
    assert latest is not None
    assert latest.uuid == "c1-4"
    found = world.ledger.experiment(number)
    assert [c.uuid for c in superfluous(world.ledger, found)] == ["c1-1", "c1-3"]
    values = dict.fromkeys(("name", "comment", "notes", "labels", "metadata"), "")
    world.store.insert(
        "model_versions", model_id=1, version=1, checkpoint="c1-1", user_id=1, created=0.0, updated=0.0, **values
    )
    assert [c.uuid for c in superfluous(world.ledger, found)] == ["c1-3"]


def test_a_checkpoint_cannot_name_a_folder_elsewhere(world: World) -> None:
    world.create()
    body = {"uuid": "../../etc", "taskId": world.ledger.trial(1).task_id, "metadata": {"steps_completed": 1}}
    with pytest.raises(ApiError, match="needs a uuid"):
        world.intake.checkpoint(body)
