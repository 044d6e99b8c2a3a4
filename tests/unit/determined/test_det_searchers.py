"""The searchers decide as Determined 0.38 does: its contract's worked examples and numbers."""

import json
import uuid

import pytest

from cdl.embedded.determined.fields import Tree
from cdl.embedded.determined.search.halving import rung_units
from cdl.embedded.determined.search.method import Create, Exit, Stop, UnusableMetricError
from cdl.embedded.determined.search.searcher import Searcher
from cdl.embedded.determined.search.tournament import bracket_lanes, bracket_rungs, bracket_trials

HPARAMS: Tree = {"lr": {"type": "double", "minval": 0.0, "maxval": 1.0}}


def config(**searcher: object) -> Tree:
    full = {"metric": "loss", "smaller_is_better": True, "divisor": 4, **searcher}
    return {"searcher": full, "hyperparameters": HPARAMS, "reproducibility": {"experiment_seed": 7}}


class Told:
    """A search with its trials numbered in order of creation."""

    def __init__(self, full: Tree) -> None:
        self.config = full
        self.searcher = Searcher(full)
        self.ids: list[str] = []
        self.take(self.searcher.begin())

    def take(self, actions: list[Create | Stop]) -> list[str]:
        said = []
        for action in actions:
            if isinstance(action, Create):
                self.ids.append(action.request_id)
                said.append(f"Create T{len(self.ids)}")
            else:
                said.append(f"Stop T{self.ids.index(action.request_id) + 1}")
        return said

    def report(self, trial: int, time: int, loss: object) -> list[str]:
        self.reborn()
        metrics = {"loss": loss, "epochs": time}
        return self.take(self.searcher.validated(self.ids[trial - 1], metrics))

    def exit(self, trial: int, why: Exit) -> list[str]:
        self.reborn()
        return self.take(self.searcher.exited(self.ids[trial - 1], why))

    def reborn(self) -> None:
        """Every step goes through a stored snapshot, as after a crash of the master."""
        self.searcher = Searcher(self.config, json.loads(json.dumps(self.searcher.snapshot())))


def halving(**changes: object) -> Told:
    wish = {"num_rungs": 3, "max_time": 9, "max_trials": 9, "max_concurrent_trials": 3}
    common = {"name": "async_halving", "time_metric": "epochs", "divisor": 3}
    return Told(config(**(common | wish | changes)))


def test_example_b_of_the_contract() -> None:
    told = halving()
    assert len(told.ids) == 3
    assert told.report(1, 1, 0.90) == []
    assert told.report(2, 1, 0.80) == []
    assert told.report(3, 1, 1.0) == ["Stop T3", "Create T4"]
    assert told.report(4, 1, 0.70) == []
    assert told.report(1, 3, 0.60) == []
    assert told.report(2, 3, 0.65) == ["Stop T2", "Create T5"]
    assert told.report(4, 3, 0.50) == []
    assert told.report(5, 1, 0.75) == ["Stop T5", "Create T6"]
    assert told.report(1, 9, 0.55) == ["Stop T1", "Create T7"]


def test_a_stopped_trial_is_not_judged_again() -> None:
    told = halving()
    told.report(1, 1, 0.1)
    assert told.report(2, 1, 0.9) == ["Stop T2", "Create T4"]
    assert told.report(2, 3, 0.05) == []
    assert told.exit(2, Exit.ERRORED) == []


def test_one_validation_may_clear_several_rungs() -> None:
    told = halving()
    assert told.report(1, 9, 0.5) == ["Stop T1", "Create T4"]
    assert told.report(2, 3, 0.6) == ["Stop T2", "Create T5"]


def test_nan_ranks_worst_and_never_stops_a_better_one() -> None:
    told = halving()
    assert told.report(1, 1, "NaN") == []
    assert told.report(2, 1, 0.9) == []
    assert told.report(3, 1, float("nan")) == ["Stop T3", "Create T4"]


def test_larger_is_better() -> None:
    told = halving(smaller_is_better=False)
    told.report(1, 1, 0.9)
    assert told.report(2, 1, 0.1) == ["Stop T2", "Create T4"]


def test_a_failed_trial_ranks_worst_and_is_replaced() -> None:
    told = halving()
    assert told.exit(1, Exit.ERRORED) == ["Create T4"]
    assert told.exit(2, Exit.CANCELED) == ["Create T5"]
    assert told.report(3, 1, 5.0) == []


def test_an_invalid_trial_is_forgotten_and_does_not_count() -> None:
    told = halving(max_trials=3)
    told.report(1, 1, 0.1)
    assert told.exit(1, Exit.INVALID_HP) == ["Create T4"]
    assert told.report(2, 1, 0.9) == []


def test_a_trial_that_ends_by_itself_is_not_replaced() -> None:
    assert halving().exit(1, Exit.COMPLETED) == []


def test_no_more_than_max_trials() -> None:
    told = halving(max_trials=3)
    told.report(1, 1, 0.1)
    assert told.report(2, 1, 0.9) == ["Stop T2"]


@pytest.mark.parametrize("metrics", [{"epochs": 1}, {"loss": 1.0}, {"loss": "high", "epochs": 1}])
def test_a_validation_without_the_metrics_ends_the_search(metrics: Tree) -> None:
    told = halving()
    with pytest.raises(UnusableMetricError, match="is not a number in the reported validation metrics"):
        told.searcher.validated(told.ids[0], metrics)


@pytest.mark.parametrize(
    ("max_trials", "divisor", "rungs", "expected"),
    [
        (20, 3, [3, 2, 1], [12, 5, 3]),
        (50, 3, [4, 3], [35, 15]),
        (100, 4, [4, 3, 2], [70, 22, 8]),
    ],
)
def test_bracket_trials(max_trials: int, divisor: int, rungs: list[int], expected: list[int]) -> None:
    assert bracket_trials(max_trials, divisor, rungs) == expected


def test_brackets_of_the_go_tests() -> None:
    rungs = bracket_rungs("standard", 5, 4, 100, 10)
    trials = bracket_trials(10, 4, rungs)
    assert list(zip(rungs, trials, bracket_lanes(2, 4, trials), strict=True)) == [(2, 7, 1), (1, 3, 1)]
    rungs = bracket_rungs("conservative", 5, 3, 1000, 10)
    trials = bracket_trials(10, 3, rungs)
    lanes = bracket_lanes(5, 3, trials)
    assert list(zip(rungs, trials, lanes, strict=True)) == [(3, 7, 2), (2, 2, 2), (1, 1, 1)]


def test_rung_counts_copy_the_float_truncation() -> None:
    assert bracket_rungs("aggressive", 9, 10, 1000, 10**6) == [3]
    assert bracket_rungs("aggressive", 9, 3, 243, 10**6) == [5]


def test_rung_units() -> None:
    assert rung_units(4, 2, 10) == [1, 2, 5, 10]
    assert rung_units(3, 3, 27) == [3, 9, 27]


def adaptive(**changes: object) -> Told:
    wish = {"max_trials": 20, "max_time": 27, "mode": "standard", "max_rungs": 5}
    rest = {"name": "adaptive_asha", "time_metric": "epochs", "divisor": 3, "bracket_rungs": []}
    return Told(config(**(wish | rest | {"max_concurrent_trials": 4} | changes)))


def test_example_a_of_the_contract() -> None:
    told = adaptive()
    assert len(told.ids) == 4
    state = told.searcher.snapshot()["method"]
    assert isinstance(state, dict)
    assert [len(method["rungs"]) for method in state["methods"]] == [3, 2]
    assert sorted(state["owner"].values()) == [0, 0, 1, 1]


def test_every_bracket_brings_its_first_trial_to_the_top() -> None:
    """Each new trial is worse than all before it, so only the first of a bracket climbs."""
    told, stops, queue = adaptive(), [], [1, 2, 3, 4]
    while queue:
        trial = queue.pop(0)
        for time in (3, 9, 27):
            said = told.report(trial, time, float(trial))
            queue += [int(word.split("T")[1]) for word in said if word.startswith("Create")]
            if any(word.startswith("Stop") for word in said):
                stops.append(time)
                break
        queue += [int(w.split("T")[1]) for w in told.exit(trial, Exit.COMPLETED)]
    assert len(told.ids) == 20
    assert told.searcher.outcome() == "COMPLETED"
    assert stops.count(27) == 2


def test_random_keeps_its_lanes_full() -> None:
    told = Told(config(name="random", max_trials=3, max_concurrent_trials=2))
    assert len(told.ids) == 2
    assert told.exit(1, Exit.COMPLETED) == ["Create T3"]
    assert told.exit(2, Exit.INVALID_HP) == ["Create T4"]
    assert told.exit(3, Exit.ERRORED) == []
    assert told.searcher.outcome() is None
    assert told.exit(4, Exit.COMPLETED) == []
    assert told.searcher.outcome() == "COMPLETED"


@pytest.mark.parametrize(("why", "outcome"), [(Exit.ERRORED, "ERROR"), (Exit.CANCELED, "CANCELED")])
def test_all_trials_of_a_kind_decide_the_outcome(why: Exit, outcome: str) -> None:
    told = Told(config(name="single"))
    told.exit(1, why)
    assert told.searcher.outcome() == outcome


def test_grid_is_taken_from_its_end() -> None:
    full = config(name="grid", max_concurrent_trials=2)
    full["hyperparameters"] = {
        "b": {"type": "categorical", "vals": ["x", "y"]},
        "a": {"type": "int", "minval": 1, "maxval": 3, "count": 9},
    }
    searcher = Searcher(full)
    found = searcher.begin()
    while len(found) < 6:
        found += searcher.exited(found[-1].request_id, Exit.COMPLETED)
    points = [(a.hparams["a"], a.hparams["b"]) for a in found if isinstance(a, Create)]
    assert points == [(3, "y"), (3, "x"), (2, "y"), (2, "x"), (1, "y"), (1, "x")]


def test_the_same_seed_gives_the_same_trials() -> None:
    first, second = halving(), halving()
    first.report(1, 1, 0.1), second.report(1, 1, 0.1)
    first.report(2, 1, 0.9), second.report(2, 1, 0.9)
    assert first.ids == second.ids
    assert {uuid.UUID(one).version for one in first.ids} == {4}
