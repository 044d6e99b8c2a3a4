"""What ends runs at a real master, and how their Experiments come to say so: events, and budgets."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1 import DataPipeline, Experiment
from cdl.engines.determined import DeterminedEngine
from cdl.loop import Reconciler, Runner, key_of, stamp_of
from cdl.loop import runner as running
from cdl.loop.experiment import controller
from cdl.reconcile.experiment import RunPhase
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.testing.builders import experiment_document, pipeline_document
from cdl.testing.world import World

from .conftest import eventually
from .wishes import SINGLE, packed_code


class Site:
    """A settled dataset in memory, and Experiments on it that a real master trains."""

    def __init__(self, folder: Path, master) -> None:
        self.world = World(folder)
        self.world.resources.put(DataPipeline.read(pipeline_document()))
        self.world.settle()
        kept = DirectoryArtifacts(folder / "artifacts")
        self.code = packed_code(kept)
        self.engine = DeterminedEngine(f"http://{master.address}", fetch=kept.fetch, pachd="127.0.0.1:1")
        self.world.training = self.engine
        self.reconciler = Reconciler(controller(self.world.engines), self.world.resources, lambda: datetime.now(UTC))

    def wish(self, name, *, hparams, **spec):
        config = {
            "entrypoint": "python3 train.py",
            "hyperparameters": hparams,
            "searcher": SINGLE,
            "max_restarts": 0,
        }
        code = {"archive": {"uri": self.code.uri, "sha256": self.code.sha256}}
        asked = {"data": {"pipeline": "news"}, "code": code, "config": config} | spec
        return self.world.resources.put(Experiment.read(experiment_document(name, **asked))).key

    def status(self, name):
        return self.world.resources.get(Experiment, "default", name).status

    def reason(self, name, kind=ConditionType.READY):
        found = self.status(name).condition(kind)
        return found.reason.value if found is not None else ""

    def turned(self, key):
        """Let the operator look once more; says what it says then."""
        self.reconciler.turn(key.namespace, key.name)
        return self.reason(key.name)


@pytest.fixture
def site(master, tmp_path):
    made = Site(tmp_path, master)
    yield made
    for experiment in made.world.resources.list(Experiment):
        made.engine.forget(experiment.key)


@pytest.mark.parametrize(
    ("name", "budget", "said"),
    [
        ("slow", {"maxDuration": "1s"}, "s, allowed: 1s"),
        ("dear", {"maxSlotHours": 0.00001}, "slot hours, allowed: 1e-05"),
    ],
)
def test_a_run_beyond_its_budget_is_stopped_and_nothing_that_it_found_is_lost(site, name, budget, said):
    hparams = {"epochs": 100_000, "pause": 0.05, "skill": 0.9}
    key = site.wish(name, hparams=hparams)
    eventually(
        lambda: (site.turned(key), site.status(name).trial_table)[1], lambda trials: any(t.metric for t in trials)
    )
    site.wish(name, hparams=hparams, budget=budget)
    eventually(lambda: site.turned(key), lambda reason: reason == "OverBudget")
    eventually(lambda: (site.turned(key), site.status(name).run.state)[1], lambda state: state == "Canceled")
    status = site.status(name)
    stalled = status.condition(ConditionType.STALLED)
    assert (stalled.reason.value, said in stalled.message) == ("OverBudget", True)
    (run,) = site.engine.look(key)
    assert run.phase is RunPhase.CANCELED
    (trial,) = site.engine.trials(run.id)
    assert trial.validations
    assert trial.status.metric == max(point.metrics["accuracy"] for point in trial.validations)
    assert status.trial_table[0].metric == trial.status.metric
    assert status.cost.slot_seconds == pytest.approx(run.slot_seconds)
    for _ in range(3):
        assert site.turned(key) == "OverBudget"
    assert [r.id for r in site.engine.look(key)] == [run.id]


def test_a_run_within_its_budget_goes_on(site):
    budget = {"maxDuration": "1h", "maxSlotHours": 1}
    key = site.wish("cheap", hparams={"epochs": 2, "skill": 0.9}, budget=budget)
    eventually(lambda: site.turned(key), lambda _: site.reason("cheap", ConditionType.TRAINED) == "TrainingDone")
    assert site.status("cheap").run.state == "Succeeded"


def test_the_end_of_a_run_wakes_its_experiment(site, monkeypatch):
    """Nobody looks of their own accord for an hour: what the Experiment says of the end, it was told."""
    monkeypatch.setattr(running, "STRETCHED", dict.fromkeys(running.STRETCHED, timedelta(hours=1)))
    key = site.wish("awake", hparams={"breaks": True})
    runner = Runner({"Experiment": site.reconciler}, {"Experiment": site.engine})
    stop, feed = threading.Event(), _Feed(site.world.resources)
    thread = threading.Thread(target=runner.run, args=(feed, stop))
    thread.start()
    try:
        eventually(lambda: site.reason("awake"), lambda reason: reason == "RunFailed")
    finally:
        stop.set()
        thread.join()
    status = site.status("awake")
    assert "the learning rate is a banana" in status.condition(ConditionType.STALLED).message
    (run,) = site.engine.look(key)
    said = status.condition(ConditionType.TRAINED).last_transition_time
    assert run.finished_at <= said
    print(f"\nfrom the run's end to the condition: {(said - run.finished_at).total_seconds():.2f} s")


class _Feed:
    """Tells what is there once, as a watch does when it begins; what changes later, the engine's beat has to tell."""

    def __init__(self, resources) -> None:
        self._resources = resources

    def run(self, saw, stop):
        for experiment in self._resources.list(Experiment):
            document = experiment.plain()
            saw(key_of(document), stamp_of(document))
        stop.wait()
