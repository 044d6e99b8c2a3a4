"""What a run begins with: pinned by its wish, and true to it whatever becomes of where it came from."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.experiment import Experiment
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile import experiment as pure
from cdl.reconcile import plan
from cdl.reconcile.experiment.beginning import begins
from cdl.reconcile.experiment.start import StartSeen
from cdl.reconcile.experiment.warm import start_behind
from cdl.testing.builders import experiment_document

from .facts import AT, BEST, condition, dataset, measurement, run

ONE, TWO, THREE = (
    StartSeen(f"ckpt-{n}", digest(f"files-{n}"), f"base-{n}", n, state)
    for n, state in ((1, ApprovalState.APPROVED), (2, ApprovalState.APPROVED), (3, ApprovalState.PENDING))
)
UUID = "01234567-89ab-cdef-0123-456789abcdef"


def warm(policy="weights", release="base", status=None, **more):
    given = {"policy": policy, "from": {"release": release}, **more}
    document = experiment_document(warmStart=given)
    document["metadata"]["uid"] = "u1"
    resource = Experiment.model_validate(document)
    return resource if status is None else resource.model_copy(update={"status": status})


def seen(starts=(ONE, TWO, THREE), runs=(), data=None):
    return pure.Seen(at=AT, dataset=data or dataset(), runs=tuple(runs), starts=tuple(starts))


def started(decision):
    return [a for a in decision.actions if isinstance(a, pure.StartRun)]


def begun(resource, there=None):
    """The run that is started, and the resource with the status that was written then."""
    decision = pure.decide(resource, there or seen())
    (start,) = started(decision)
    return start, resource.model_copy(update={"status": decision.status})


def test_the_newest_approved_release_is_begun_with_and_pinned():
    start, after = begun(warm())
    assert (start.wish.start.release, start.wish.start.checkpoint) == ("base-2", "ckpt-2")
    assert start.wish.start.digest == TWO.digest
    assert after.status.warm_start.release == "base-2"
    assert after.status.warm_start.digest == TWO.digest


def test_a_named_release_may_wait_for_its_approval():
    start, _ = begun(warm(release="base@3"))
    assert start.wish.start.release == "base-3"


def test_the_weights_are_part_of_the_key():
    cold, _ = begun(Experiment.model_validate(experiment_document()))
    keys = {begun(warm(release=f"base@{n}"))[0].key for n in (1, 2, 3)} | {begun(warm())[0].key, cold.key}
    assert len(keys) == 5
    layers = [begun(warm("freeze", freeze=[name]))[0] for name in ("conv*", "dense*")]
    assert layers[0].key != layers[1].key
    assert layers[0].wish.start.freeze == ("conv*",)


def test_a_wish_without_warm_start_has_the_key_it_always_had():
    resource = Experiment.model_validate(experiment_document())
    key = pure.train_key(resource, dataset())
    assert len(key.split("-")) == 2
    assert begun(resource)[0].wish.start is None


@pytest.mark.parametrize("fate", ["rejected", "gone", "followed"])
def test_a_run_that_was_begun_goes_on_whatever_becomes_of_the_source(fate):
    start, after = begun(warm())
    starts = {
        "rejected": [ONE, StartSeen("ckpt-2", TWO.digest, "base-2", 2, ApprovalState.REJECTED)],
        "gone": [ONE],
        "followed": [ONE, TWO, StartSeen("ckpt-4", digest("4"), "base-4", 4, ApprovalState.APPROVED)],
    }[fate]
    decision = pure.decide(after, seen(starts, [run(start.key, pure.RunPhase.RUNNING)]))
    assert condition(decision, ConditionType.RECONCILING).reason is Reason.TRAINING
    assert decision.actions == ()
    again = pure.decide(after, seen(starts))  # the run was lost at the engine: the very same one is asked for
    assert [(a.key, a.wish) for a in started(again)] == [(start.key, start.wish)]


def test_a_lost_status_finds_the_pin_in_the_key_of_the_run():
    start, _ = begun(warm())
    newer = StartSeen("ckpt-4", digest("4"), "base-4", 4, ApprovalState.APPROVED)
    there = seen([ONE, TWO, newer], [run(start.key, pure.RunPhase.RUNNING)])
    decision = pure.decide(warm(), there)
    assert decision.actions == ()
    assert decision.status.warm_start.release == "base-2"


def test_new_data_chooses_anew():
    _, after = begun(warm())
    newer = StartSeen("ckpt-4", digest("4"), "base-4", 4, ApprovalState.APPROVED)
    start, _ = begun(after, seen([ONE, TWO, newer], data=dataset("two")))
    assert start.wish.start.release == "base-4"


def test_its_own_model_begins_from_scratch_and_then_with_itself():
    own = warm(release="news")
    first, after = begun(own, seen(()))
    assert first.wish.start is None
    made = StartSeen("ckpt-n", digest("n"), "news-1", 1, ApprovalState.APPROVED)
    there = seen([made], [run(first.key, pure.RunPhase.RUNNING)])
    assert pure.decide(after, there).actions == ()
    second, _ = begun(after, seen([made], data=dataset("two")))
    assert second.wish.start.release == "news-1"


@pytest.mark.parametrize(
    ("release", "starts", "kind", "message"),
    [
        ("base", [THREE], ConditionType.RECONCILING, "no release of model base is approved yet"),
        ("base@9", [ONE], ConditionType.RECONCILING, "there is no release base-9"),
        (
            "base@2",
            [StartSeen("c", "", "base-2", 2, ApprovalState.REJECTED)],
            ConditionType.STALLED,
            "release base-2 was rejected",
        ),
    ],
)
def test_without_weights_nothing_begins(release, starts, kind, message):
    decision = pure.decide(warm(release=release), seen(starts))
    found = condition(decision, kind)
    assert (found.reason, found.message) == (Reason.WAITING_FOR_WEIGHTS, f"warmStart.from: {message}")
    assert decision.actions == ()
    assert decision.status.warm_start is None


def test_a_checkpoint_is_begun_with_as_it_is():
    document = experiment_document(warmStart={"policy": "weights", "from": {"checkpoint": UUID}})
    resource = Experiment.model_validate(document)
    start, after = begun(resource, seen([StartSeen(UUID)]))
    assert (start.wish.start.checkpoint, start.wish.start.release) == (UUID, "")
    assert after.status.warm_start.checkpoint == UUID
    waiting = pure.decide(resource, seen([]))
    assert f"checkpoint {UUID} is not at the training engine" in condition(waiting, ConditionType.RECONCILING).message


def test_the_release_says_what_its_model_began_with():
    resource = begins(warm("freeze", freeze=["conv*"]), seen())
    data = dataset()
    key = pure.train_key(resource, data)
    measured = run(pure.evaluation_key(resource, data, BEST.uuid), id="8", best=None, measurement=measurement())
    members, _ = pure.release_members(resource, data, run(key), BEST, measured, "file:///shelf/")
    told = start_behind(members)
    assert told.plain() == members["experiment"]["warmStart"]
    assert (told.release, told.digest, told.freeze) == ("base-2", TWO.digest, ("conv*",))
    cold = Experiment.model_validate(experiment_document())
    plain, _ = pure.release_members(cold, data, run(key), BEST, measured, "file:///shelf/")
    assert "warmStart" not in plain["experiment"]
    assert pure.wish(resource, data.version) == pure.wish_behind(members)
    assert pure.wish_behind(members) != pure.wish_behind(plain) == pure.wish(cold, data.version)


def test_a_plan_names_what_changes_of_it():
    before = Experiment.model_validate(experiment_document())
    ahead = plan.DataAhead(dataset(), because="")
    stages, _ = plan.plan_experiment(plan.ExperimentFacts(warm(), before, seen(), ahead))
    train = stages[0]
    assert train.verdict is plan.Verdict.RUN
    assert any(reason.startswith("warmStart.policy: none -> weights") for reason in train.reasons)
    assert any("base-2" in reason for reason in train.reasons)
    waits, _ = plan.plan_experiment(plan.ExperimentFacts(warm(release="base@9"), before, seen(), ahead))
    assert (waits[0].verdict, waits[0].reasons) == (
        plan.Verdict.WAIT,
        ("warmStart.from: there is no release base-9",),
    )


def test_two_answers_to_one_question_are_refused():
    config = {"searcher": {"name": "single", "metric": "accuracy", "source_checkpoint_uuid": UUID}}
    with pytest.raises(ValidationError, match="source_checkpoint_uuid and warmStart both say what to begin with"):
        Experiment.model_validate(
            experiment_document(config=config, warmStart={"policy": "weights", "from": {"release": "base"}})
        )
    Experiment.model_validate(experiment_document(config=config))
