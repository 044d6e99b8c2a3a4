"""Experiment: state in, state out."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.release import MEMBERS, ApprovalState
from cdl.reconcile.decision import PATIENT, SOON
from cdl.reconcile.experiment import (
    ApproveRelease,
    ForgetRuns,
    ReleaseSeen,
    RunPhase,
    Seen,
    StartRun,
    StopRun,
    WriteRelease,
    count_trials,
    decide,
    evaluation_key,
    train_key,
)
from cdl.reconcile.experiment.members import content_digest, release_members
from cdl.testing.builders import A_SHA, experiment
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import AT, BEST, condition, dataset, measurement, run, said, training_seen

DATA = dataset()
ARCHIVE = {"uri": "https://example.test/model.tar.gz", "sha256": A_SHA}
SERVE = {"uri": "https://example.test/serve.tar.gz", "sha256": A_SHA, "entrypoint": "serve:Model"}


def key(resource=None):
    return train_key(resource or experiment(), DATA)


def evaluated(phase=RunPhase.SUCCEEDED, **parts):
    wish = evaluation_key(experiment(), DATA, BEST.uuid)
    given = {"id": "8", "best": None, "measurement": measurement() if phase is RunPhase.SUCCEEDED else None}
    return run(wish, phase, **(given | parts))


def released(resource=None, approval=ApprovalState.APPROVED, by="policy/Automatic", **parts):
    resource = resource or experiment()
    members, _ = release_members(resource, DATA, run(key(resource)), BEST, evaluated(), shelf="")
    given = {"name": "news-1", "version": 1, "digest": digest(members), "content": content_digest(members)} | parts
    return ReleaseSeen(**given, approval=approval, approved_by=by)


# --- data ------------------------------------------------------------------------------------------------------------


def test_without_data_it_waits_patiently():
    decision = decide(experiment(), Seen(at=AT, waiting_for="it was not looked at yet"))
    assert said(decision) == ("Unknown", "WaitingForData")
    assert condition(decision).message == "DataPipeline news: it was not looked at yet"
    assert (decision.actions, decision.look_again_after) == ((), PATIENT)


def test_with_data_a_run_is_started():
    resource = experiment()
    decision = decide(resource, Seen(at=AT, dataset=DATA))
    (start,) = decision.actions
    assert said(decision) == ("Unknown", "Starting")
    assert (start.key, start.wish.commit, start.wish.repo) == (key(), DATA.train.commit, DATA.train.repo)
    assert (start.wish.config, start.wish.code) == (resource.spec.config, resource.spec.code.archive)
    assert (start.wish.evaluates, start.wish.checkpoint) == ("", "")
    assert decision.status.data == DATA


def test_new_data_starts_a_new_run_and_stops_the_old():
    old, resource = run(key(), RunPhase.RUNNING), experiment()
    decision = decide(resource, Seen(at=AT, dataset=dataset("two"), runs=(old,)))
    assert decision.actions[0] == StopRun(old.key)
    assert isinstance(decision.actions[1], StartRun)
    assert decision.actions[1].key != old.key


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (experiment(retrain={"onData": False}), True),
        (experiment("news", 0.2, retrain={"onData": False}), False),
        (None, False),
    ],
    ids=["same wish", "another wish", "never trained"],
)
def test_without_retraining_on_data_a_wish_stays_with_its_dataset(before, kept):
    resource = experiment(retrain={"onData": False})
    if before is not None:
        status = decide(before, training_seen(before)).status
        resource = facts.changed(resource, status=status)
    decision = decide(resource, training_seen(resource, dataset=dataset("two"), runs=(run(key(resource)),)))
    assert decision.status.data == (DATA if kept else dataset("two"))
    assert isinstance(decision.actions[0], StartRun)
    assert bool(decision.actions[0].wish.evaluates) is kept  # kept: the run is there, so it is measured


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "reason"),
    [(RunPhase.QUEUED, "Queued"), (RunPhase.STOPPING, "Queued"), (RunPhase.RUNNING, "Training")],
)
def test_a_run_that_is_not_over_is_waited_for(phase, reason):
    seen = training_seen(experiment(), trained=run(key(), phase, trials=facts.TRIALS))
    decision = decide(experiment(), seen)
    assert said(decision) == ("Unknown", reason)
    assert (decision.actions, decision.look_again_after) == ((), SOON)
    assert (decision.status.run.state, decision.status.progress) == (phase.value, "0/3")
    assert decision.status.trial_table == facts.TRIALS


def test_a_running_run_says_what_its_trials_do():
    seen = training_seen(experiment(), trained=run(key(), RunPhase.RUNNING, trials=facts.TRIALS))
    decision = decide(experiment(), seen)
    assert condition(decision).message == "run 7: 1 trials running, 1 completed, 1 stopped early"
    counts = decision.status.trials
    assert (counts.total, counts.running, counts.completed, counts.stopped, counts.failed) == (4, 1, 1, 1, 1)
    assert counts == count_trials(facts.TRIALS)


def test_a_paused_run_is_woken():
    decision = decide(experiment(), training_seen(experiment(), trained=run(key(), RunPhase.PAUSED)))
    assert said(decision) == ("Unknown", "Queued")
    assert [(type(a), a.key) for a in decision.actions] == [(StartRun, key())]


@pytest.mark.parametrize(
    ("trained", "reason", "message"),
    [
        (run(key(), RunPhase.FAILED, failure="the trial raised"), "RunFailed", "run 7: the trial raised"),
        (run(key(), RunPhase.FAILED), "RunFailed", "run 7: ended in error"),
        (run(key(), RunPhase.CANCELED), "RunCanceled", "run 7 was canceled"),
        (
            run(key(), best=None),
            "NoCheckpoint",
            "run 7 ended without a checkpoint that has the searcher's metric",
        ),
    ],
    ids=["failed", "failed in silence", "canceled", "no checkpoint"],
)
def test_a_run_that_ended_badly_needs_a_person(trained, reason, message):
    decision = decide(experiment(), training_seen(experiment(), trained=trained))
    assert said(decision) == ("False", reason)
    assert condition(decision).message == message
    assert condition(decision, ConditionType.TRAINED).status == "False"
    assert (decision.actions, decision.look_again_after) == ((), None)


def test_runs_of_older_wishes_are_stopped_if_they_go_on():
    others = (run("old", RunPhase.RUNNING), run("older", RunPhase.CANCELED), run("oldest", RunPhase.QUEUED))
    seen = training_seen(experiment(), trained=run(key(), RunPhase.RUNNING))
    decision = decide(experiment(), dataclasses.replace(seen, runs=seen.runs + others))
    assert decision.actions == (StopRun("old"), StopRun("oldest"))


# --- budget ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "parts", "message"),
    [
        ({"maxSlotHours": 1}, {"slot_seconds": 5400}, "run 7 used 1.50 slot hours, allowed: 1"),
        ({"maxSlotHours": 1}, {"slot_seconds": 3601}, "run 7 used 1.00 slot hours, allowed: 1"),
        ({"maxDuration": "1h"}, {"started_at": AT - timedelta(minutes=61)}, "run 7 took 3660 s, allowed: 1h"),
    ],
)
def test_a_run_past_its_budget_is_stopped_and_says_so(budget, parts, message):
    resource = experiment(budget=budget)
    going, ended = (run(key(resource), phase, **parts) for phase in (RunPhase.RUNNING, RunPhase.CANCELED))
    stopping = decide(resource, training_seen(resource, trained=going))
    assert said(stopping) == ("Unknown", "OverBudget")
    assert (condition(stopping).message, stopping.actions) == (message, (StopRun(going.key),))
    stopped = decide(resource, training_seen(resource, trained=dataclasses.replace(ended, finished_at=AT)))
    assert said(stopped) == ("False", "OverBudget")
    assert stopped.actions == ()


@pytest.mark.parametrize(
    ("budget", "parts"),
    [
        ({"maxSlotHours": 1}, {"slot_seconds": 3600}),
        ({"maxDuration": "1h"}, {"started_at": AT - timedelta(minutes=60)}),
        ({"maxDuration": "1h"}, {"started_at": None}),
    ],
)
def test_a_run_within_its_budget_goes_on(budget, parts):
    resource = experiment(budget=budget)
    seen = training_seen(resource, trained=run(key(resource), RunPhase.RUNNING, **parts))
    assert said(decide(resource, seen)) == ("Unknown", "Training")


def test_a_run_that_ended_in_time_is_not_over_budget_later():
    resource = experiment(budget={"maxDuration": "1h"})
    ended = run(key(resource), RunPhase.CANCELED, started_at=AT - timedelta(days=2), finished_at=AT - timedelta(days=2))
    assert said(decide(resource, training_seen(resource, trained=ended))) == ("False", "RunCanceled")


# --- evaluation and gates --------------------------------------------------------------------------------------------


def test_the_best_checkpoint_is_measured_on_the_test_side_alone():
    environment = {"environment": {"image": "x"}, "checkpoint_storage": {"type": "directory"}}
    resource = experiment(config=experiment().spec.config | environment)
    seen = training_seen(resource)
    decision = decide(resource, dataclasses.replace(seen, runs=seen.runs[:1]))
    (start,) = decision.actions
    assert said(decision) == ("Unknown", "Evaluating")
    assert start.key == evaluation_key(resource, DATA, BEST.uuid)
    assert (start.wish.repo, start.wish.commit) == (DATA.test.repo, DATA.test.commit)
    assert (start.wish.evaluates, start.wish.checkpoint) == ("evaluate:evaluate", BEST.uuid)
    assert start.wish.config == environment
    assert (decision.status.progress, decision.status.best_trial.id) == ("1/3", 1)


@pytest.mark.parametrize("phase", [RunPhase.QUEUED, RunPhase.RUNNING, RunPhase.STOPPING])
def test_a_measurement_that_is_not_over_is_waited_for(phase):
    decision = decide(experiment(), training_seen(experiment(), measured=evaluated(phase)))
    assert said(decision) == ("Unknown", "Evaluating")
    assert (decision.actions, decision.look_again_after) == ((), SOON)
    assert decision.status.evaluation.run == "8"


def test_a_paused_measurement_is_woken():
    decision = decide(experiment(), training_seen(experiment(), measured=evaluated(RunPhase.PAUSED)))
    assert [type(a) for a in decision.actions] == [StartRun]


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (evaluated(RunPhase.FAILED, failure="no such file"), "evaluation 8: no such file"),
        (evaluated(RunPhase.CANCELED), "evaluation 8: reported nothing"),
        (evaluated(measurement=None), "evaluation 8: reported nothing"),
    ],
)
def test_a_failed_measurement_needs_a_person(measured, message):
    decision = decide(experiment(), training_seen(experiment(), measured=measured))
    assert said(decision) == ("False", "EvaluationFailed")
    assert condition(decision).message == message
    assert condition(decision, ConditionType.TRAINED).status == "True"


@pytest.mark.parametrize(
    ("gate", "metrics", "reason", "message"),
    [
        ({"min": 0.95}, {"accuracy": 0.9}, "BelowGate", "gate accuracy: found 0.9000, allowed: at least 0.95"),
        ({"max": 0.1}, {"accuracy": 0.9}, "BelowGate", "gate accuracy: found 0.9000, allowed: at most 0.1"),
        (
            {"min": 0.1, "max": 0.2},
            {"accuracy": 0.9},
            "BelowGate",
            "gate accuracy: found 0.9000, allowed: at least 0.1 and at most 0.2",
        ),
        (
            {"min": 0},
            {"f1": 1, "auc": 1},
            "NoMetric",
            "gate accuracy: the evaluation reported no such metric, but auc, f1",
        ),
        ({"min": 0}, {}, "NoMetric", "gate accuracy: the evaluation reported no such metric, but nothing"),
    ],
)
def test_a_gate_that_is_not_met_stops_here(gate, metrics, reason, message):
    resource = experiment(evaluation={"gates": [{"metric": "accuracy", **gate}]})
    shown = dataclasses.replace(measurement(), metrics=metrics)
    decision = decide(resource, training_seen(resource, measured=evaluated(measurement=shown)))
    assert said(decision) == ("False", reason)
    assert condition(decision).message == message
    assert condition(decision, ConditionType.GATES_PASSED).status == "False"
    assert [g.passed for g in decision.status.evaluation.gates] == [False]
    assert (decision.actions, decision.status.release, decision.status.progress) == ((), "", "2/3")


@pytest.mark.parametrize("gates", [[], [{"metric": "accuracy", "min": 0.9}, {"metric": "accuracy", "max": 0.9}]])
def test_gates_that_are_met_lead_to_a_release(gates):
    resource = experiment(evaluation={"gates": gates})
    decision = decide(resource, training_seen(resource))
    assert said(decision) == ("Unknown", "Releasing")
    assert [g.passed for g in decision.status.evaluation.gates] == [True] * len(gates)
    assert condition(decision, ConditionType.GATES_PASSED).status == "True"


def test_a_changed_gate_judges_again_without_running_again():
    strict = experiment(evaluation={"gates": [{"metric": "accuracy", "min": 0.99}]})
    lax = experiment(evaluation={"gates": [{"metric": "accuracy", "min": 0.1}]})
    seen = training_seen(strict)
    assert [a for a in decide(strict, seen).actions if isinstance(a, StartRun)] == []
    assert said(decide(strict, seen)) == ("False", "BelowGate")
    assert [type(a) for a in decide(lax, seen).actions] == [WriteRelease]


# --- release and approval --------------------------------------------------------------------------------------------


def test_the_release_has_every_member():
    decision = decide(experiment(), training_seen(experiment()))
    (write,) = decision.actions
    assert isinstance(write, WriteRelease)
    assert (write.model, write.checkpoint, write.digest) == ("news", BEST.uuid, digest(dict(write.members)))
    assert set(write.members) == set(MEMBERS)
    assert write.members["checkpoint"]["files"] == {"weights": "sha256:1"}
    assert write.members["data"]["test"]["commit"] == DATA.test.commit
    assert write.members["code"]["serve"]["entrypoint"] == "serve:Model"
    assert decision.status.checkpoint.sha256 == write.members["checkpoint"]["digest"]


def test_a_model_without_serving_code_can_be_released():
    resource = experiment(code={"archive": ARCHIVE})
    assert decide(resource, training_seen(resource)).actions[0].members["code"]["serve"] is None


def test_an_automatic_policy_approves_what_passed_its_gates():
    pending = released(approval=ApprovalState.PENDING, by="")
    decision = decide(experiment(), training_seen(experiment(), releases=[pending]))
    assert said(decision) == ("Unknown", "Releasing")
    assert decision.actions == (ApproveRelease("news-1", pending.digest, "policy/Automatic", AT),)
    assert condition(decision, ConditionType.RELEASED).status == "True"


def test_a_manual_policy_waits_for_a_person():
    resource = experiment(approval={"policy": "Manual", "role": "lead"})
    decision = decide(resource, training_seen(resource, releases=[released(approval=ApprovalState.PENDING, by="")]))
    assert said(decision) == ("Unknown", "WaitingForApproval")
    assert condition(decision).message == "news-1 waits for a lead: cdl approve news-1"
    assert (decision.actions, decision.look_again_after) == ((), PATIENT)


@pytest.mark.parametrize(("by", "reason"), [("policy/Automatic", "ApprovedByPolicy"), ("ada", "ApprovedByPerson")])
def test_an_approved_release_is_the_end(by, reason):
    decision = decide(experiment(), training_seen(experiment(), releases=[released(by=by)]))
    assert said(decision) == ("True", "Succeeded")
    assert condition(decision, ConditionType.APPROVED).reason == reason
    assert condition(decision).message == "news-1 approved"
    done = (ConditionType.TRAINED, ConditionType.GATES_PASSED, ConditionType.RELEASED, ConditionType.APPROVED)
    assert [condition(decision, kind).status for kind in done] == ["True"] * 4
    status = decision.status
    assert (status.release, status.model_version, status.progress) == ("news-1", 1, "3/3")
    assert [e.what for e in status.history] == ["release news-1"]
    assert (decision.actions, decision.look_again_after) == ((), None)


@pytest.mark.parametrize("policy", ["Automatic", "Manual"])
def test_a_refused_release_needs_a_person(policy):
    resource = experiment(approval={"policy": policy})
    refused = released(resource, approval=ApprovalState.REJECTED, by="ada")
    decision = decide(resource, training_seen(resource, releases=[refused]))
    assert (said(decision), decision.actions) == (("False", "Rejected"), ())
    assert condition(decision).message == "release news-1 was rejected by ada"
    assert condition(decision, ConditionType.APPROVED).status == "False"


@pytest.mark.parametrize("policy", ["Automatic", "Manual"])
def test_an_approval_that_is_void_needs_a_person_whatever_the_policy(policy):
    resource = experiment(approval={"policy": policy})
    parts = {"void": Reason.APPROVAL_EXPIRED, "standing": "its approval by ada was good until noon"}
    over = released(resource, approval=ApprovalState.VOID, by="ada", **parts)
    decision = decide(resource, training_seen(resource, releases=[over]))
    assert (said(decision), decision.actions) == (("False", "ApprovalExpired"), ())
    assert condition(decision).message == (
        "release news-1: its approval by ada was good until noon; to decide again: cdl approve news-1"
    )
    assert condition(decision, ConditionType.APPROVED).reason is Reason.APPROVAL_EXPIRED


def test_a_release_of_other_members_does_not_count():
    other = released(content="sha256:" + "0" * 64)
    decision = decide(experiment(), training_seen(experiment(), releases=[other]))
    assert [type(a) for a in decision.actions] == [WriteRelease]


def test_the_revision_is_applied_once_the_release_is_approved():
    resource = facts.noted(experiment())
    before = facts.changed(resource, status=resource.status.model_copy(update={"last_applied_revision": "old"}))
    pending, approved = (
        decide(before, training_seen(resource, releases=[released(resource, state)])).status
        for state in (ApprovalState.PENDING, ApprovalState.APPROVED)
    )
    assert (pending.last_attempted_revision, pending.last_applied_revision) == ("abc", "old")
    assert (approved.last_attempted_revision, approved.last_applied_revision) == ("abc", "abc")
    assert (approved.observed_generation, approved.history[-1].revision) == (9, "abc")


def test_what_the_run_and_its_measurement_cost_and_took_is_told():
    trained = run(key(), slot_seconds=60)
    seen = training_seen(experiment(), trained=trained, measured=evaluated(slot_seconds=5), releases=[released()])
    status = decide(experiment(), seen).status
    assert status.cost.slot_seconds == 65
    assert (status.run.id, status.run.started_at, status.run.finished_at) == ("7", AT, AT)
    assert (status.best_trial.id, status.best_trial.metric, status.best_trial.hparams) == (
        1,
        0.9,
        {"learning_rate": 0.1},
    )
    measured = status.evaluation
    assert (measured.run, measured.metrics, measured.per_class) == ("8", {"accuracy": 0.9}, {"tech": {"f1": 0.9}})
    assert (measured.started_at, measured.finished_at) == (AT, AT)


def test_the_release_before_stays_in_the_status_until_its_successor_is():
    done = decide(experiment(), training_seen(experiment(), releases=[released()])).status
    changed = facts.changed(experiment("news", 0.2), status=done)
    decision = decide(changed, Seen(at=AT, dataset=DATA))
    assert said(decision) == ("Unknown", "Starting")
    assert (decision.status.release, decision.status.model_version) == ("news-1", 1)
    assert decision.status.history == done.history


# --- suspending and deleting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "actions"), [("Delete", (ForgetRuns(),)), ("Orphan", ())])
def test_deleting_stops_what_the_policy_says(policy, actions):
    resource = facts.deleting(experiment(deletionPolicy=policy, suspend=True))
    decision = decide(resource, training_seen(resource))
    assert (said(decision), decision.actions) == (("Unknown", "Deleting"), actions)


def test_a_suspended_experiment_does_nothing_and_keeps_its_status():
    done = decide(experiment(), training_seen(experiment(), releases=[released()])).status
    decision = decide(facts.changed(experiment(suspend=True), status=done), Seen(at=AT, dataset=dataset("two")))
    assert said(decision) == ("True", "Suspended")
    assert (decision.status.release, decision.status.run) == ("news-1", done.run)
    assert (decision.actions, decision.look_again_after) == ((), None)


# --- what counts as the same -----------------------------------------------------------------------------------------


SAME_RUN = {
    "a note": facts.noted(experiment()),
    "interval": experiment(interval="1m"),
    "gates": experiment(evaluation={"gates": [{"metric": "accuracy", "min": 0.99}]}),
    "approval": experiment(approval={"policy": "Manual"}),
    "budget": experiment(budget={"maxDuration": "1h"}),
    "serving code": experiment(code={"archive": ARCHIVE, "serve": SERVE | {"sha256": "cd" * 32}}),
    "another place of the same code": experiment(code={"archive": ARCHIVE | {"uri": "file:///elsewhere"}}),
}
ANOTHER_RUN = {
    "learning rate": experiment("news", 0.2),
    "code": experiment(code={"archive": ARCHIVE | {"sha256": "cd" * 32}}),
    "another resource of the name": facts.changed(
        experiment(), metadata=experiment().metadata.model_copy(update={"uid": "u-2"})
    ),
}


@pytest.mark.parametrize("resource", SAME_RUN.values(), ids=SAME_RUN)
def test_what_does_not_change_the_run_keeps_its_key(resource):
    assert key(resource) == key()


@pytest.mark.parametrize("resource", ANOTHER_RUN.values(), ids=ANOTHER_RUN)
def test_what_changes_the_run_changes_its_key(resource):
    assert key(resource) != key()


def test_other_data_changes_the_key():
    assert train_key(experiment(), dataset("two")) != key()


def test_a_measurement_belongs_to_checkpoint_data_and_program():
    other = experiment(evaluation={"entrypoint": "judge:judge"})
    keys = {
        evaluation_key(experiment(), DATA, "one"),
        evaluation_key(experiment(), DATA, "two"),
        evaluation_key(experiment(), dataset("two"), "one"),
        evaluation_key(other, DATA, "one"),
    }
    assert len(keys) == 4
    assert key(other) == key()


def test_serving_code_makes_another_release_of_the_same_run():
    changed = experiment(code={"archive": ARCHIVE, "serve": SERVE | {"sha256": "cd" * 32}})
    before, after = decide(experiment(), training_seen(experiment())), decide(changed, training_seen(changed))
    assert before.actions[0].digest != after.actions[0].digest
    assert before.status.run.key == after.status.run.key


def test_a_commit_that_changes_nothing_makes_no_new_release():
    resource = facts.noted(experiment())
    decision = decide(resource, training_seen(resource, releases=[released()]))
    assert said(decision) == ("True", "Succeeded")
    assert decision.actions == ()
    assert decision.status.last_applied_revision == "abc"
    assert decision.status.release == "news-1"


def test_what_validation_rules_out_is_never_guessed_at():
    spec = experiment().spec
    codeless = facts.changed(
        experiment(), spec=spec.model_copy(update={"code": spec.code.model_copy(update={"archive": None})})
    )
    with pytest.raises(ValueError, match=r"code\.archive is required"):
        decide(codeless, Seen(at=AT, dataset=DATA))
    with pytest.raises(ValueError, match="needs a measurement"):
        release_members(experiment(), DATA, run(key()), BEST, evaluated(measurement=None), shelf="")


@pytest.mark.parametrize(
    ("phase", "spent", "told"),
    [(RunPhase.RUNNING, 29.9, 0), (RunPhase.RUNNING, 61.0, 60), (RunPhase.FAILED, 61.7, 61.7)],
)
def test_the_cost_of_a_living_run_is_told_in_steps(phase, spent, told):
    status = decide(experiment(), Seen(at=AT, dataset=DATA, runs=(run(key(), phase, slot_seconds=spent),))).status
    assert status.cost.slot_seconds == told


def test_it_is_ready_only_once_runs_of_earlier_wishes_are_stopped():
    runs = (run(key()), evaluated(), run("earlier", RunPhase.RUNNING))
    decision = decide(experiment(), Seen(at=AT, dataset=DATA, runs=runs, releases=(released(),)))
    assert decision.actions == (StopRun("earlier"),)
    assert said(decision) == ("Unknown", "StoppingRuns")
