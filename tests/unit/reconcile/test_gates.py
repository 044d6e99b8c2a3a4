"""Gates: per class, per group, of costs, and against what answers in production."""

import dataclasses
import math

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile.experiment import RunPhase, evaluation_key, train_key
from cdl.reconcile.experiment.beside import outcomes, production_key
from cdl.reconcile.experiment.members import content_digest, release_members, with_gates
from cdl.reconcile.experiment.seen import Measurement, ProductionSeen, ReleaseSeen, StartRun, StopRun, WriteRelease
from cdl.reconcile.experiment.withdraw import decide
from cdl.testing.builders import experiment
from tests.unit.reconcile.facts import AT, BEST, condition, dataset, run, said, training_seen

DATA = dataset()
GOOD, POOR = "1" * 95 + "0" * 5, "1" * 60 + "0" * 40
AGAINST = {"metric": "accuracy", "against": "production"}


def gated(*gates):
    return experiment(evaluation={"gates": list(gates)})


def measured(correct=GOOD, **parts):
    accuracy = correct.count("1") / len(correct)
    given = {
        "metrics": {"accuracy": accuracy},
        "per_class": {"tech": {"recall": 0.9}, "sport": {"recall": 0.8}},
        "files": {"weights": "sha256:1"},
        "environment": {"python": "3.11"},
        "raw": {"metrics": {"accuracy": accuracy}, "correct": correct},
        "per_group": {"light=day": {"accuracy": 0.9}, "light=night": {"accuracy": 0.6}},
        "costs": {"size_bytes": 4096.0, "latency_ms_p95": 7.0},
    }
    return Measurement(**(given | parts))


def looked(resource, measurement=None, **parts):
    key = evaluation_key(resource, DATA, BEST.uuid)
    mine = run(key, id="8", best=None, measurement=measurement or measured())
    runs = parts.pop("runs", ())
    seen = training_seen(resource, measured=mine, **parts)
    return dataclasses.replace(seen, runs=(*seen.runs, *runs))


def production(correct=GOOD, commit=DATA.test.commit, **parts):
    members = {
        "data": {"version": "sha256:other", "test": {"repo": DATA.test.repo, "commit": commit}},
        "code": {"model": {"uri": "https://example.test/old.tar.gz", "digest": "sha256:" + "b" * 64}},
        "evaluation": {"entrypoint": "judge:judge"},
        "checkpoint": {"uuid": "old-uuid"},
    }
    report = {"correct": correct, "metrics": {"accuracy": correct.count("1") / len(correct)}}
    given = {"release": "news-1", "digest": "sha256:old", "members": members, "report": report}
    return ProductionSeen(**(given | {"config": {"environment": {"image": "old"}, "searcher": {}}} | parts))


def outcome(resource, measurement=None, **parts):
    """The gates of a decision, and what it says."""
    decision = decide(resource, looked(resource, measurement, **parts))
    return decision, decision.status.evaluation.gates


@pytest.mark.parametrize(
    ("gate", "passes", "message"),
    [
        ({"metric": "recall", "class": "tech", "min": 0.9}, True, ""),
        ({"metric": "recall", "class": "sport", "min": 0.9}, False, "of class sport: found 0.8000, allowed: at least"),
        ({"metric": "recall", "class": "*", "min": 0.85}, False, "gate recall of class sport: found 0.8000"),
        ({"metric": "recall", "class": "*", "min": 0.8}, True, ""),
        ({"metric": "recall", "class": "cow", "min": 0}, False, "tells of no such class, but of sport, tech"),
        ({"metric": "f1", "class": "tech", "min": 0}, False, "reported no such metric, but recall"),
        ({"metric": "accuracy", "group": "light=day", "min": 0.9}, True, ""),
        (
            {"metric": "accuracy", "group": "light=*", "min": 0.7},
            False,
            "gate accuracy of group light=night: found 0.6",
        ),
        ({"metric": "accuracy", "group": "*", "min": 0.6}, True, ""),
        ({"metric": "accuracy", "group": "age=*", "min": 0}, False, "tells of no such group, but of light=day, light="),
        ({"metric": "size_bytes", "max": 5000}, True, ""),
        ({"metric": "latency_ms_p95", "max": 5}, False, "gate latency_ms_p95: found 7.0000, allowed: at most 5"),
    ],
)
def test_a_gate_is_about_a_class_a_group_or_a_cost(gate, passes, message):
    decision, gates = outcome(gated(gate))
    assert all(g.passed for g in gates) == passes
    assert bool([a for a in decision.actions if isinstance(a, WriteRelease)]) == passes
    assert message in condition(decision).message


def test_nothing_to_tell_apart_passes_no_gate_about_each():
    decision, _ = outcome(gated({"metric": "recall", "class": "*", "min": 0}), measured(per_class={}))
    assert said(decision) == ("False", "NoMetric")
    assert "tells of no such class, but of nothing" in condition(decision).message


@pytest.mark.parametrize("bounds", [{"min": 0}, {"max": 1e9}, {"against": "production"}])
@pytest.mark.parametrize("found", [math.nan, math.inf, None])
def test_nan_never_passes_and_says_why(bounds, found):
    metrics = {} if found is None else {"accuracy": found}
    shown = measured(metrics=metrics, raw={"metrics": {"accuracy": str(found)}, "correct": GOOD})
    decision, gates = outcome(gated({"metric": "accuracy", **bounds}), shown, production=production())
    assert not any(g.passed for g in gates)
    assert said(decision) == ("False", "NoMetric")
    assert f"reported '{found}', which is no number to compare" in condition(decision).message


# --- against production ----------------------------------------------------------------------------------------------


def test_the_first_release_has_nothing_to_be_compared_with():
    decision, [gate] = outcome(gated(AGAINST))
    assert gate.passed
    assert gate.words == "nothing answers in production yet: there is nothing to compare with"
    [write] = decision.actions
    assert write.members["evaluation"]["gates"][0]["words"] == gate.words


def test_what_is_worse_by_more_than_chance_does_not_pass():
    decision, [gate] = outcome(gated(AGAINST), measured(POOR), production=production())
    assert said(decision) == ("False", "BelowGate")
    assert (gate.against, gate.production, gate.passed) == ("news-1", 0.95, False)
    assert "0.6000 here, 0.9500 in news-1, of the same 100 items" in condition(decision).message
    assert "McNemar, exact" in condition(decision).message
    assert decision.status.evaluation.against == "news-1"


@pytest.mark.parametrize(
    ("correct", "max_drop", "passes"),
    [
        (GOOD[:-1] + "1", None, True),  # better
        (GOOD, None, True),
        ("0" + GOOD[1:], None, True),  # worse, but it may be chance
        ("0" + GOOD[1:], 0.05, True),
        ("0" + GOOD[1:], 0.01, False),  # it cannot be shown that so little is lost
        (POOR, 0.05, False),
        (POOR, 0.5, True),
    ],
)
def test_a_margin_has_to_be_shown(correct, max_drop, passes):
    gate = AGAINST if max_drop is None else {**AGAINST, "maxDrop": max_drop}
    _, [found] = outcome(gated(gate), measured(correct), production=production())
    assert found.passed == passes
    assert len(found.interval) == 2


def test_answers_that_are_not_those_of_the_figure_do_not_pass():
    shown = measured(GOOD, raw={"correct": POOR})
    decision, [gate] = outcome(gated(AGAINST), shown, production=production())
    assert not gate.passed
    assert "reported 0.9500, but the answers it tells of amount to 0.6000" in condition(decision).message


def test_an_evaluation_that_keeps_no_answers_does_not_pass():
    decision, [gate] = outcome(gated(AGAINST), measured(raw={}), production=production())
    assert not gate.passed
    assert "not comparable with news-1: this evaluation does not say of each item" in condition(decision).message


# --- production on other items ---------------------------------------------------------------------------------------

ELSEWHERE = production(POOR, commit="another")
KEY = production_key(ELSEWHERE, DATA)


def test_production_is_measured_on_this_test_commit_first():
    decision, gates = outcome(gated(AGAINST), production=ELSEWHERE)
    [start] = decision.actions
    assert isinstance(start, StartRun)
    assert (start.key, start.wish.commit, start.wish.repo) == (KEY, DATA.test.commit, DATA.test.repo)
    assert (start.wish.checkpoint, start.wish.evaluates) == ("old-uuid", "judge:judge")
    assert (start.wish.code.uri, start.wish.code.sha256) == ("https://example.test/old.tar.gz", "b" * 64)
    assert start.wish.config == {"environment": {"image": "old"}}
    assert said(decision) == ("Unknown", "Evaluating")
    assert "measuring news-1, which answers in production, on test commit" in condition(decision).message
    assert gates == ()


@pytest.mark.parametrize("phase", [RunPhase.QUEUED, RunPhase.RUNNING])
def test_it_is_waited_for_and_not_stopped(phase):
    going = run(KEY, phase, id="9", best=None)
    decision, _ = outcome(gated(AGAINST), production=ELSEWHERE, runs=[going])
    assert decision.actions == ()
    assert said(decision) == ("Unknown", "Evaluating")


def test_what_it_found_there_is_what_is_compared_with():
    done = run(KEY, id="9", best=None, measurement=measured(GOOD))
    decision, [gate] = outcome(gated(AGAINST), measured(POOR), production=ELSEWHERE, runs=[done])
    assert (gate.production, gate.passed) == (0.95, False)  # its figures on the other items were those of POOR
    assert said(decision) == ("False", "BelowGate")


def test_what_cannot_be_measured_again_is_said_and_nothing_passes():
    failed = run(KEY, RunPhase.FAILED, id="9", best=None, failure="its code is gone")
    decision, _ = outcome(gated(AGAINST), production=ELSEWHERE, runs=[failed])
    assert said(decision) == ("False", "EvaluationFailed")
    assert "cannot compare with news-1" in condition(decision).message
    assert "its code is gone" in condition(decision).message
    assert decision.actions == ()
    bare, _ = outcome(gated(AGAINST), production=dataclasses.replace(ELSEWHERE, members={}))
    assert said(bare) == ("False", "EvaluationFailed")


def test_who_asks_for_no_comparison_lets_no_measuring_go_on():
    going = run(KEY, RunPhase.RUNNING, id="9", best=None)
    decision, _ = outcome(gated({"metric": "accuracy", "min": 0}), production=ELSEWHERE, runs=[going])
    assert StopRun(KEY) in decision.actions


# --- once it is released ---------------------------------------------------------------------------------------------


def written(resource, gates, name="news-2"):
    mine = run(evaluation_key(resource, DATA, BEST.uuid), id="8", best=None, measurement=measured())
    members, _ = release_members(resource, DATA, run(train_key(resource, DATA)), BEST, mine, shelf="")
    whole = with_gates(members, gates)
    assert content_digest(whole) == content_digest(members)
    return ReleaseSeen(name, 2, "sha256:2", content_digest(members), ApprovalState.APPROVED, "ada", AT, members=whole)


def test_how_it_compared_when_it_was_written_stays_true():
    resource = gated(AGAINST)
    _, gates = outcome(resource, production=production(POOR))
    release = written(resource, gates)
    better = production("1" * 100)
    for other in (
        better,
        dataclasses.replace(ELSEWHERE, release="news-3"),
        dataclasses.replace(better, release="news-2"),
    ):
        decision, now = outcome(resource, releases=[release], production=other)
        assert now == gates
        assert decision.actions == ()
        assert said(decision) == ("True", "Succeeded")


def test_a_gate_that_is_new_is_not_held_against_itself():
    resource = gated({**AGAINST, "maxDrop": 0.0})
    decision, [gate] = outcome(resource, releases=[written(resource, ())], production=production(release="news-2"))
    assert (gate.passed, gate.words) == (True, "it is what answers in production")
    assert condition(decision, ConditionType.GATES_PASSED).status == "True"


# --- looks -----------------------------------------------------------------------------------------------------------


def looking(resource, *runs, elsewhere=0):
    mine = run(evaluation_key(resource, DATA, BEST.uuid), id="8", best=None, measurement=measured(), looked_at="")
    seen = training_seen(resource, measured=dataclasses.replace(mine, looked_at=DATA.test.commit))
    return dataclasses.replace(seen, runs=(*seen.runs, *runs), looks_elsewhere=elsewhere)


def test_each_look_at_a_test_commit_is_counted_and_kept_with_the_release():
    resource = gated()
    others = (
        run("e1", RunPhase.FAILED, id="3", best=None, looked_at=DATA.test.commit),
        run("e2", id="4", best=None, looked_at="another"),
        run("e3", RunPhase.QUEUED, id="5", best=None, looked_at=DATA.test.commit, started_at=None),
    )
    decision = decide(resource, looking(resource, *others, elsewhere=4))
    found = decision.status.evaluation
    assert (found.own_looks, found.looks) == (2, 6)  # one failed after it began; one never began; one is elsewhere
    write = next(a for a in decision.actions if isinstance(a, WriteRelease))
    assert write.members["evaluation"]["looks"] == 6


def test_a_look_whose_run_was_put_away_is_not_forgotten():
    resource = gated()
    first = decide(resource, looking(resource, run("e1", id="3", best=None, looked_at=DATA.test.commit))).status
    later = decide(resource.model_copy(update={"status": first}), looking(resource)).status
    assert later.evaluation.own_looks == 2


@pytest.mark.parametrize("said", [None, "x", [7], [{"metric": "accuracy"}], [{"metric": 1, "passed": "?"}, {"new": 1}]])
def test_outcomes_in_other_words_than_todays_count_for_nothing(said):
    assert outcomes({"evaluation": {"gates": said}}) == ()
