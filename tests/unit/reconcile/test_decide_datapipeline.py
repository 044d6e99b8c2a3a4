"""DataPipeline: state in, state out."""

from __future__ import annotations

import dataclasses

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.datapipeline import Side
from cdl.api.v1alpha1.resource import Event
from cdl.reconcile.datapipeline import (
    CollectSource,
    EnsureStep,
    ForgetData,
    Ingest,
    Report,
    Seen,
    decide,
    ingest_key,
    transform_digest,
    wishes,
)
from cdl.reconcile.decision import PATIENT, SOON
from cdl.testing.builders import pipeline, source_document
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import AT, PROGRAMS, SOURCE, condition, data_seen, said

TWO_STEPS = {"steps": [{"name": "clean", "uses": "text/clean"}, {"name": "tidy", "uses": "text/clean"}]}
NOTHING = Seen(at=AT, programs=PROGRAMS)


def checked(on_fail="fail", **rule):
    return pipeline(checks=[{"name": "enough", "onFail": on_fail, **rule}])


def test_sources_that_are_not_at_hand_are_collected():
    resource = pipeline(sources=[source_document("here"), source_document("away")])
    seen = dataclasses.replace(NOTHING, sources=(dataclasses.replace(SOURCE, name="here"),))
    decision = decide(resource, seen)
    assert said(decision) == ("Unknown", "FetchingSources")
    assert decision.actions == (CollectSource(resource.spec.sources[1]),)
    assert condition(decision).message == "fetching away"
    assert decision.look_again_after == SOON


def test_sources_at_hand_are_written_to_both_sides():
    resource = pipeline()
    decision = decide(resource, dataclasses.replace(NOTHING, sources=(SOURCE,)))
    key = ingest_key(resource.spec, (SOURCE,))
    assert said(decision) == ("Unknown", "Ingesting")
    assert decision.actions == tuple(Ingest(s, key, resource.spec.sources, resource.spec.split) for s in Side)


def test_only_the_side_with_other_data_is_written_again():
    resource = pipeline()
    seen = data_seen(resource)
    stale = (seen.sides[0], dataclasses.replace(seen.sides[1], ingest="older"))
    decision = decide(resource, dataclasses.replace(seen, sides=stale))
    assert [type(a) for a in decision.actions] == [Ingest]
    assert decision.actions[0].side is Side.TEST


def test_what_somebody_else_pushed_over_it_is_written_over():
    resource = pipeline()
    sides = tuple(facts.side(s) for s in Side)
    assert said(decide(resource, data_seen(resource, sides=sides))) == ("Unknown", "Ingesting")


def test_a_pipeline_without_sources_waits_for_a_push():
    resource = pipeline(sources=[])
    decision = decide(resource, data_seen(resource, sides=(facts.side(Side.TRAIN), facts.side(Side.TEST, head=None))))
    assert said(decision) == ("Unknown", "WaitingForData")
    assert condition(decision).message == "nothing was pushed to news-test yet"
    assert (decision.actions, decision.look_again_after) == ((), PATIENT)


def test_what_was_pushed_is_used_as_it_is():
    resource = pipeline(sources=[])
    decision = decide(resource, data_seen(resource, sides=tuple(facts.side(s) for s in Side)))
    assert said(decision) == ("True", "Succeeded")


def test_missing_and_outdated_steps_are_brought_up_to_date_on_both_sides():
    resource = pipeline(**TWO_STEPS)
    clean, tidy = wishes(resource.spec, PROGRAMS)
    seen = data_seen(resource, steps=(facts.step(clean, Side.TRAIN, wish="older"),))
    decision = decide(resource, seen)
    assert said(decision) == ("Unknown", "Transforming")
    assert decision.actions == tuple(EnsureStep(s, w, w.reads) for s in Side for w in (clean, tidy))
    assert [w.reads for w in (clean, tidy)] == ["", "clean"]


@pytest.mark.parametrize("parts", [{"done": False}, {"input": "c-older"}, {"failure": "boom", "input": "c-older"}])
def test_a_step_that_has_not_made_the_newest_output_is_waited_for(parts):
    resource = pipeline()
    (wish,) = wishes(resource.spec, PROGRAMS)
    steps = (facts.step(wish, Side.TRAIN, **parts), facts.step(wish, Side.TEST))
    decision = decide(resource, data_seen(resource, steps=steps))
    assert said(decision) == ("Unknown", "Transforming")
    assert condition(decision).message == "running clean (train)"
    assert (decision.actions, decision.look_again_after) == ((), SOON)


def test_a_step_after_one_that_still_runs_is_waited_for():
    resource = pipeline(**TWO_STEPS)
    clean, tidy = wishes(resource.spec, PROGRAMS)
    steps = [facts.step(clean, s, head="o-new") for s in Side] + [facts.step(tidy, s, input="o-old") for s in Side]
    assert condition(decide(resource, data_seen(resource, steps=tuple(steps)))).message == (
        "running tidy (train), tidy (test)"
    )


def test_a_failed_step_needs_a_person():
    resource = pipeline(**TWO_STEPS)
    clean, _ = wishes(resource.spec, PROGRAMS)
    decision = decide(resource, data_seen(resource, steps=(facts.step(clean, Side.TRAIN, failure="ended with 1"),)))
    assert said(decision) == ("False", "StepFailed")
    assert condition(decision).message == "step clean over the train side: ended with 1"
    assert condition(decision, ConditionType.STALLED).status == "True"
    assert decision.look_again_after is None


def test_done_steps_without_manifests_are_read():
    resource = pipeline()
    decision = decide(resource, data_seen(resource, manifests=(facts.manifest(Side.TRAIN),)))
    assert said(decision) == ("Unknown", "Transforming")
    assert condition(decision).message == "reading the result"


def test_a_dataset_is_made_and_remembered():
    resource = pipeline()
    decision = decide(resource, data_seen(resource))
    status = decision.status
    assert said(decision) == ("True", "Succeeded")
    assert condition(decision).message == f"dataset {status.dataset.version[7:19]}: 3 train and 3 test files"
    assert condition(decision, ConditionType.DATA_READY).reason == "DatasetReady"
    assert (decision.actions, decision.look_again_after) == ((), None)
    assert status.progress == "4/4"
    assert status.dataset.train.commit == "o-train"
    assert status.dataset.labels.rows == 6
    assert status.dataset.transform == transform_digest(resource.spec, PROGRAMS)
    assert [(e.what, e.digest) for e in status.history] == [("dataset", status.dataset.version)]
    assert [(r.name, r.head, r.files, r.bytes) for r in status.repos] == [
        ("news-train", "c-train", 3, 30),
        ("news-test", "c-test", 3, 30),
    ]
    assert [j.step for j in status.jobs] == ["clean", "clean"]


def test_the_revision_is_applied_once_the_dataset_is_made():
    resource = facts.noted(pipeline())
    before = facts.changed(resource, status=resource.status.model_copy(update={"last_applied_revision": "old"}))
    working, done = decide(before, NOTHING).status, decide(before, data_seen(resource)).status
    assert (working.last_attempted_revision, working.last_applied_revision) == ("abc", "old")
    assert (done.last_attempted_revision, done.last_applied_revision) == ("abc", "abc")
    assert (done.observed_generation, done.history[-1].revision) == (9, "abc")


def test_rows_of_both_sides_count_together():
    resource = checked(rows={"min": 5, "max": 5})
    manifests = (facts.manifest(Side.TRAIN, label_rows=4), facts.manifest(Side.TEST, label_rows=1))
    decision = decide(resource, data_seen(resource, manifests=manifests))
    assert said(decision) == ("True", "Succeeded")
    assert decision.status.dataset.labels.rows == 5


def test_the_same_dataset_is_remembered_once():
    resource = pipeline()
    first = decide(resource, data_seen(resource)).status
    again = decide(facts.changed(resource, status=first), data_seen(resource)).status
    assert again == first


def test_another_dataset_is_remembered_after_the_first():
    resource = pipeline()
    first = decide(resource, data_seen(resource)).status
    other = (facts.manifest(Side.TRAIN, digest="sha256:" + "0" * 64), facts.manifest(Side.TEST))
    second = decide(facts.changed(resource, status=first), data_seen(resource, manifests=other)).status
    assert [e.digest for e in second.history] == [first.dataset.version, second.dataset.version]


def test_the_last_good_dataset_stays_while_a_new_one_is_made():
    resource = pipeline()
    good = decide(resource, data_seen(resource)).status
    changed = facts.changed(pipeline(split={"test": 0.5, "seed": 1}), status=good)
    decision = decide(changed, data_seen(resource))
    assert said(decision) == ("Unknown", "Ingesting")
    assert decision.status.dataset == good.dataset
    assert condition(decision, ConditionType.DATA_READY).reason == "DatasetReady"


def test_files_count_where_nothing_is_labelled():
    resource = checked(rows={"min": 6})
    manifests = tuple(facts.manifest(s, label_rows=0) for s in Side)
    assert said(decide(resource, data_seen(resource, manifests=manifests))) == ("True", "Succeeded")


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"rows": {"min": 7}}, "check enough: found 6 rows, allowed: at least 7"),
        ({"rows": {"max": 5}}, "check enough: found 6 rows, allowed: at most 5"),
        (
            {"rejected": {"maxFraction": 0.2}},
            "check enough: 2 of 8 items rejected (25.0%), allowed: at most 20.0%",
        ),
    ],
)
@pytest.mark.parametrize("on_fail", ["fail", "reject", "warn"])
def test_a_broken_check_on_the_whole_stops_unless_it_only_warns(rule, sentence, on_fail):
    resource = checked(on_fail, **rule)
    (wish,) = wishes(resource.spec, PROGRAMS)
    report = Report(3, {"too-short": 1})
    seen = data_seen(resource, steps=tuple(facts.step(wish, s, report=report) for s in Side))
    decision = decide(resource, seen)
    data_ready = condition(decision, ConditionType.DATA_READY)
    assert data_ready.message == sentence
    assert (decision.status.rejected.total, decision.status.rejected.by_reason) == (2, {"too-short": 2})
    if on_fail == "warn":
        assert (said(decision), data_ready.status) == (("True", "Succeeded"), "True")
        assert condition(decision).message.endswith(", 2 rejected")
    else:
        assert (said(decision), data_ready.status) == (("False", "ChecksFailed"), "False")
        assert decision.status.dataset is None
        assert decision.look_again_after is None


@pytest.mark.parametrize(
    "rule", [{"rows": {"min": 6, "max": 6}}, {"rejected": {"maxFraction": 0}}, {"rows": {}}], ids=str
)
def test_a_kept_check_says_nothing(rule):
    resource = checked(**rule)
    decision = decide(resource, data_seen(resource))
    assert condition(decision, ConditionType.DATA_READY).message == ""


def test_checks_on_items_travel_with_the_step_that_applies_them():
    item = {"name": "short", "field": "text", "minLength": 3}
    resource = pipeline(
        steps=[{"name": "clean", "uses": "text/clean"}, {"name": "validate", "uses": "checks"}],
        checks=[item, {"name": "enough", "rows": {"min": 1}}],
    )
    clean, validate = wishes(resource.spec, PROGRAMS)
    assert clean.checks == ()
    assert [c.name for c in validate.checks] == ["short"]


def test_a_program_of_ones_own_needs_no_code_digest():
    resource = pipeline(steps=[{"name": "own", "image": "own:1", "cmd": ["run"]}])
    assert [w.code for w in wishes(resource.spec, PROGRAMS)] == [""]
    assert said(decide(resource, data_seen(resource))) == ("True", "Succeeded")


def test_an_unknown_program_needs_a_person():
    resource = pipeline(steps=[{"name": "clean", "uses": "text/shine"}])
    decision = decide(resource, NOTHING)
    assert said(decision) == ("False", "InvalidSpec")
    assert condition(decision).message == (
        "spec.steps: uses 'text/shine' is no built-in program; there are: checks, text/clean"
    )
    assert decision.actions == ()


@pytest.mark.parametrize(("policy", "actions"), [("Delete", (ForgetData(),)), ("Orphan", ())])
def test_deleting_removes_what_the_policy_says(policy, actions):
    resource = facts.deleting(pipeline(deletionPolicy=policy, suspend=True))
    decision = decide(resource, data_seen(resource))
    assert (said(decision), decision.actions) == (("Unknown", "Deleting"), actions)


def test_a_suspended_pipeline_does_nothing_and_keeps_its_status():
    resource = pipeline()
    good = decide(resource, data_seen(resource)).status
    decision = decide(facts.changed(pipeline(suspend=True), status=good), NOTHING)
    assert said(decision) == ("True", "Suspended")
    assert decision.status.dataset == good.dataset
    assert condition(decision, ConditionType.DATA_READY).reason == "DatasetReady"
    assert (decision.actions, decision.look_again_after) == ((), None)


# --- what counts as the same ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        {"interval": "1m"},
        {"steps": [{"name": "clean", "uses": "text/clean", "parallelism": 4}]},
        {"steps": [{"name": "clean", "uses": "text/clean", "resources": {"cpu": 2}}]},
        {"checks": [{"name": "enough", "rows": {"min": 1}}]},
    ],
    ids=str,
)
def test_what_cannot_change_the_data_keeps_the_dataset_version(same):
    before, after = pipeline(), pipeline(**same)
    versions = [decide(p, data_seen(p)).status.dataset.version for p in (before, after)]
    assert versions[0] == versions[1]
    assert ingest_key(before.spec, (SOURCE,)) == ingest_key(after.spec, (SOURCE,))


@pytest.mark.parametrize(
    "other",
    [
        {"steps": [{"name": "clean", "uses": "text/clean", "env": {"A": "1"}}]},
        {"steps": [{"name": "clean", "uses": "text/clean", "glob": "/"}]},
        {"steps": [{"name": "clean", "uses": "checks"}]},
        {"steps": []},
        TWO_STEPS,
    ],
    ids=str,
)
def test_what_can_change_the_data_changes_the_dataset_version(other):
    versions = [decide(p, data_seen(p)).status.dataset.version for p in (pipeline(), pipeline(**other))]
    assert versions[0] != versions[1]


def test_new_code_of_a_program_changes_the_wish_and_the_transform():
    spec, newer = pipeline().spec, PROGRAMS | {"text/clean": "sha256:clean-2"}
    assert wishes(spec, PROGRAMS)[0].digest != wishes(spec, newer)[0].digest
    assert transform_digest(spec, PROGRAMS) != transform_digest(spec, newer)


@pytest.mark.parametrize("what", ["digest", "label_digest"])
def test_other_files_or_labels_make_another_version(what):
    resource = pipeline()
    other = (facts.manifest(Side.TRAIN, **{what: "sha256:" + "0" * 64}), facts.manifest(Side.TEST))
    decisions = decide(resource, data_seen(resource)), decide(resource, data_seen(resource, manifests=other))
    assert decisions[0].status.dataset.version != decisions[1].status.dataset.version


@pytest.mark.parametrize(
    "other",
    [
        {"split": {"test": 0.3, "seed": 7}},
        {"split": {"test": 0.25, "seed": 8}},
        {"sources": [source_document(strip=1)]},
        {"sources": [source_document(unpack="none")]},
        {"sources": [source_document(side="train")], "split": None},
    ],
    ids=str,
)
def test_another_way_of_taking_data_apart_is_another_ingest(other):
    assert ingest_key(pipeline().spec, (SOURCE,)) != ingest_key(pipeline(**other).spec, (SOURCE,))


def test_other_bytes_are_another_ingest_and_another_place_of_the_same_is_not():
    spec, moved = pipeline().spec, pipeline(sources=[source_document(uri="https://mirror.test/a.tar")]).spec
    assert ingest_key(spec, (SOURCE,)) != ingest_key(spec, (dataclasses.replace(SOURCE, digest="cd" * 32),))
    assert ingest_key(spec, (SOURCE,)) == ingest_key(moved, (SOURCE,))


def test_a_step_that_reads_another_one_is_another_wish():
    one = {"steps": [{"name": n, "uses": "text/clean"} for n in "ab"]}
    other = {"steps": [{"name": n, "uses": "text/clean"} for n in "acb"]}
    digests = [{w.step.name: w.digest for w in wishes(pipeline(**p).spec, PROGRAMS)} for p in (one, other)]
    assert digests[0]["a"] == digests[1]["a"]
    assert digests[0]["b"] != digests[1]["b"]


def test_history_keeps_the_last_ten():
    resource = pipeline()
    old = tuple(Event(at=AT, what=f"dataset {n}", digest=f"sha256:{n}") for n in range(10))
    status = resource.status.model_copy(update={"history": old})
    history = decide(facts.changed(resource, status=status), data_seen(resource)).status.history
    assert len(history) == 10
    assert history[:-1] == old[1:]
