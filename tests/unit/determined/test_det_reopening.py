"""An ended experiment goes on: which of its trials run again, and with what."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdl.embedded.determined.config import expand
from cdl.embedded.determined.fields import Tree
from cdl.embedded.determined.store import Store
from tests.unit.determined.test_det_lifecycle import SITE, World

GRID: Tree = {"name": "grid", "max_concurrent_trials": 0}
TWO: Tree = {"x": {"type": "categorical", "vals": [1, 2]}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "w.db")
    yield made
    made.store.close()


def test_a_single_trial_goes_on_with_the_new_config(world: World) -> None:
    number = world.create(max_restarts=0, hyperparameters={"epochs": 2})
    world.end(world.begin(1), 1)
    assert world.seen(number) == ("ERROR", ["ERROR"])
    config = world.ledger.experiment(number).config
    changed = expand(config | {"hyperparameters": {"epochs": 5}}, SITE)
    world.life.reopen(number, changed, again=True)
    assert world.seen(number) == ("ACTIVE", ["ACTIVE"])
    assert world.ledger.trial(1).hparams == {"epochs": 5}
    assert world.ledger.experiment(number).end_time is None
    world.end(world.begin(1), 0)
    assert world.seen(number) == ("COMPLETED", ["COMPLETED"])


def test_a_completed_single_trial_goes_on_too(world: World) -> None:
    number = world.create()
    world.end(world.begin(1), 0)
    world.life.reopen(number, world.ledger.experiment(number).config, again=True)
    world.life.settle()
    assert world.seen(number) == ("ACTIVE", ["ACTIVE"])


def test_of_a_search_only_what_did_not_complete_runs_again(world: World) -> None:
    number = world.create(GRID, hyperparameters=TWO, max_restarts=0)
    first, second = world.begin(1), world.begin(2)
    world.end(first, 0)
    world.end(second, 1)
    assert world.seen(number) == ("COMPLETED", ["COMPLETED", "ERROR"])
    world.life.reopen(number, world.ledger.experiment(number).config, again=False)
    world.life.settle()
    assert world.seen(number) == ("ACTIVE", ["COMPLETED", "ACTIVE"])
    assert world.ledger.trial(2).restarts == 0
    world.end(world.begin(2), 0)
    assert world.seen(number) == ("COMPLETED", ["COMPLETED", "COMPLETED"])


def test_a_search_that_was_cut_off_asks_for_the_trials_it_never_had(world: World) -> None:
    number = world.create({"name": "random", "max_trials": 3, "max_concurrent_trials": 1})
    world.life.stop(number, "STOPPING_KILLED")
    world.life.settle()
    assert world.seen(number) == ("CANCELED", ["CANCELED"])
    world.life.reopen(number, world.ledger.experiment(number).config, again=False)
    for trial in (1, 2, 3):
        assert world.seen(number)[0] == "ACTIVE"
        world.end(world.begin(trial), 0)
    assert world.seen(number) == ("COMPLETED", ["COMPLETED"] * 3)


def test_a_folder_of_an_earlier_version_is_opened(tmp_path: Path) -> None:
    Store(tmp_path / "old.db").close()
    old = sqlite3.connect(tmp_path / "old.db")
    old.execute("ALTER TABLE experiments DROP COLUMN project_id")
    old.execute("ALTER TABLE users DROP COLUMN display_name")
    old.commit()
    old.close()
    world = World(tmp_path / "old.db")
    number = world.create()
    assert world.ledger.experiment(number).project_id == 1
    world.store.close()
