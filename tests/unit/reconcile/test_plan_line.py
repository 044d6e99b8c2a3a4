"""A plan in one line, and what it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdl.api.v1alpha1.datapipeline import JobStatus, Side
from cdl.api.v1alpha1.experiment import Budget
from cdl.reconcile.experiment import RunPhase, RunSeen
from cdl.reconcile.plan import Estimate, Stage, Verdict, in_a_line
from cdl.reconcile.plan.history import at_once, of_runs, of_stages, of_step, one_after_the_other
from cdl.reconcile.plan.stage import NO_HISTORY, NOTHING
from cdl.reconcile.plan.whole import over_budget

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def stage(name, verdict, *reasons, sure=True, side=None, estimate=NOTHING):
    return Stage(name=name, verdict=verdict, reasons=reasons, sure=sure, side=side, estimate=estimate)


def job(seconds, processed, total, finished=True):
    ended = BEGAN + timedelta(seconds=seconds) if finished else None
    counts = {"processed": processed, "skipped": total - processed, "total": total}
    return JobStatus(
        step="clean", side=Side.TRAIN, id="j1", state="SUCCESS", started_at=BEGAN, finished_at=ended, **counts
    )


def run(number, seconds, slots=1):
    ended = BEGAN + timedelta(hours=number, seconds=seconds)
    began = BEGAN + timedelta(hours=number)
    return RunSeen(f"k{number}", str(number), RunPhase.SUCCEEDED, began, ended, slot_seconds=seconds * slots)


def test_what_runs_what_follows_and_what_is_reused():
    stages = [
        stage("ingest", Verdict.REUSE, "nothing changed", side=Side.TRAIN),
        stage("clean", Verdict.RUN, "env.A: 1 -> 2", side=Side.TRAIN),
        stage("again", Verdict.RUN, "clean runs", side=Side.TRAIN, sure=False),
        stage("ingest", Verdict.REUSE, "nothing changed", side=Side.TEST),
        stage("clean", Verdict.RUN, "env.A: 1 -> 2", side=Side.TEST),
        stage("again", Verdict.RUN, "clean runs", side=Side.TEST, sure=False),
    ]
    assert in_a_line(stages) == "clean runs: env.A: 1 -> 2. then again. reused: ingest"


def test_sides_that_differ_are_named():
    stages = [stage("clean", Verdict.RUN, "new", side=Side.TRAIN), stage("clean", Verdict.REUSE, "old", side=Side.TEST)]
    assert in_a_line(stages) == "clean (train) runs: new. reused: clean (test)"


def test_who_waits_for_the_same_is_named_together():
    stages = [
        stage("gate", Verdict.WAIT, "gate accuracy: found 0.9, allowed: at least 0.99"),
        stage("release", Verdict.WAIT, "gate has to be mended first"),
        stage("approve", Verdict.WAIT, "gate has to be mended first"),
    ]
    assert in_a_line(stages) == (
        "gate waits: gate accuracy: found 0.9, allowed: at least 0.99."
        " release, approve wait: gate has to be mended first"
    )


def test_a_step_is_estimated_for_all_its_datums():
    assert of_step(job(10, 5, 20)).seconds == 40
    assert of_step(job(10, 20, 20)).seconds == 10
    assert of_step(job(10, 5, 20)).basis == "job j1: 5 of 20 datums in 10.0 s"


@pytest.mark.parametrize("before", [None, job(10, 0, 20), job(10, 5, 20, finished=False)])
def test_a_step_that_processed_nothing_tells_nothing(before):
    assert of_step(before) == NO_HISTORY


def test_a_run_is_estimated_by_the_newest_five():
    told = of_runs([run(n, 1000) for n in range(3)] + [run(n, 60 + n, slots=2) for n in range(3, 8)])
    assert (told.seconds, told.basis) == (65, "median of the newest 5 runs")
    assert told.slot_hours == pytest.approx(130 / 3600, abs=1e-6)


def test_runs_that_did_not_end_tell_nothing():
    assert of_runs([RunSeen("k", "1", RunPhase.RUNNING, BEGAN)]) == NO_HISTORY


def test_stages_follow_one_another_and_sides_do_not():
    def took(seconds):
        return Estimate(seconds=seconds, slot_hours=0.5, basis="run 1")

    stages = [
        stage("clean", Verdict.RUN, side=Side.TRAIN, estimate=took(10)),
        stage("clean", Verdict.RUN, side=Side.TEST, estimate=took(4)),
        stage("train", Verdict.RUN, estimate=took(30)),
        stage("evaluate", Verdict.REUSE, estimate=NOTHING),
        stage("release", Verdict.RUN, estimate=NO_HISTORY),
    ]
    told = of_stages(stages)
    assert (told.seconds, told.slot_hours, told.missing) == (40, 1.5, ("release",))


def test_nothing_takes_nothing():
    assert of_stages([stage("train", Verdict.REUSE)]) == one_after_the_other([]) == at_once([]) == NOTHING


@pytest.mark.parametrize(
    ("budget", "over", "words"),
    [
        (Budget(), False, ()),
        (Budget(max_duration="1h", max_slot_hours=1), False, ()),
        (Budget(max_duration="1m"), True, ("train took 120 s before, spec.budget.maxDuration allows 1m",)),
        (Budget(max_slot_hours=0.1), True, ("train used 0.5 slot hours before, spec.budget.maxSlotHours allows 0.1",)),
    ],
)
def test_a_budget_is_compared_with_training_alone(budget, over, words):
    stages = [
        stage("train", Verdict.RUN, estimate=Estimate(seconds=120, slot_hours=0.5, basis="run 1")),
        stage("evaluate", Verdict.RUN, estimate=Estimate(seconds=9000, slot_hours=9, basis="run 2")),
    ]
    assert over_budget(budget, stages) == (tuple(f"{w}: it would be stopped" for w in words), over)


def test_a_budget_of_what_does_not_run_is_not_judged():
    assert over_budget(Budget(max_slot_hours=0.1), [stage("train", Verdict.REUSE)]) == ((), False)
