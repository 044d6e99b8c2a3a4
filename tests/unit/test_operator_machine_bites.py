"""The machine that plays operator is tested too: break the loop or the core, and it notices."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from cdl.api.canonical import short
from cdl.loop import Reconciler
from cdl.reconcile import datapipeline, modeldeployment
from cdl.testing.memory import MemoryData, MemoryServing, MemoryTraining
from tests.unit.test_operator_machine import Operator

QUICK = settings(
    max_examples=2000,  # the first that notices ends it
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def never_a_finalizer(monkeypatch):
    monkeypatch.setattr("cdl.loop.reconciler.FINALIZER", "kubernetes")
    monkeypatch.setattr("cdl.testing.memory.MemoryResources.write_finalizers", lambda *_: None)


def steps_forget_what_they_read(monkeypatch):
    def digest(wish):
        return short([wish.step.model_dump(mode="json"), wish.code])

    monkeypatch.setattr(datapipeline.StepWish, "digest", property(digest))
    honest = MemoryData.ensure_step

    def by_digest(engine, owner, side, wish, reads, like=None):
        now = engine._owners[owner].pipelines.get((side, wish.step.name)) if owner in engine.owners else None
        if now is None or now.wish.digest != wish.digest:
            honest(engine, owner, side, wish, reads, like)

    monkeypatch.setattr(MemoryData, "ensure_step", by_digest)


def runs_are_called_by_chance(monkeypatch):
    numbers = iter(range(10**9))
    deciding = importlib.import_module("cdl.reconcile.experiment.decide")
    monkeypatch.setattr(deciding, "train_key", lambda *_: f"run-{next(numbers)}")


def old_runs_are_never_stopped(monkeypatch):
    monkeypatch.setattr(MemoryTraining, "stop", lambda *_: None)
    honest = MemoryTraining.advance

    def only_the_newest_goes_on(engine):
        before = {id(run): run.phase for run in engine.runs[:-1]}
        honest(engine)
        for run in engine.runs[:-1]:
            run.phase = before[id(run)]

    monkeypatch.setattr(MemoryTraining, "advance", only_the_newest_goes_on)


def any_release_is_served(monkeypatch):
    """Three locks hold this door: the choice, the look just before it is acted upon, and the engine's own."""

    def choose(spec, seen):
        return max(seen.releases, key=lambda r: r.version) if seen.releases else honest(spec, seen)

    honest = modeldeployment._choose
    monkeypatch.setattr(modeldeployment, "_choose", choose)
    monkeypatch.setattr("cdl.loop.modeldeployment._approved_still", lambda *_: None)
    monkeypatch.setattr(modeldeployment.ServingWish, "refusal", "")


def nothing_is_forgotten(monkeypatch):
    monkeypatch.setattr(MemoryServing, "remove", lambda *_: None)


def says_nothing_after_trouble(monkeypatch):
    monkeypatch.setattr(Reconciler, "_report", lambda *_: None)


def decides_by_the_clock(monkeypatch):
    status = importlib.import_module("cdl.reconcile.datapipeline.status")
    honest = status._success

    def success(dataset, seen):
        return f"{honest(dataset, seen)} at {seen.at}"

    monkeypatch.setattr(status, "_success", success)


def old_steps_stay(monkeypatch):
    monkeypatch.setattr(MemoryData, "remove_stray", lambda *_: None)


def old_steps_hide(monkeypatch):
    monkeypatch.setattr("cdl.reconcile.datapipeline.judge._needless", lambda *_: ())


def old_steps_go_with_what_was_released(monkeypatch):
    monkeypatch.setattr("cdl.loop.datapipeline._pinned", lambda *_: ())


SABOTAGE = [
    old_steps_stay,
    old_steps_hide,
    old_steps_go_with_what_was_released,
    never_a_finalizer,
    steps_forget_what_they_read,
    runs_are_called_by_chance,
    old_runs_are_never_stopped,
    any_release_is_served,
    nothing_is_forgotten,
    says_nothing_after_trouble,
    decides_by_the_clock,
]


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=lambda sabotage: sabotage.__name__)
def test_the_machine_notices(sabotage, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError, AttributeError, KeyError)):
        run_state_machine_as_test(Operator, settings=QUICK)
