"""Approval by merge request and adoption: state in, state out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.release import ApprovalState, MergeRequestRef
from cdl.loop.runner import STRETCHED
from cdl.reconcile.decision import Appointment
from cdl.reconcile.experiment import (
    AdoptableSeen,
    AdoptRelease,
    AgreementSeen,
    ApproveRelease,
    ReleaseSeen,
    ReviewSeen,
    RunPhase,
    Seen,
    StartRun,
    StopRun,
    content_digest,
    release_members,
    substance,
    train_key,
    wants_adoptable,
    wish,
    wish_behind,
)
from cdl.reconcile.experiment.seen import WithdrawApproval
from cdl.reconcile.experiment.withdraw import asks, decide
from cdl.testing.builders import experiment
from tests.unit.reconcile.facts import AT, BEST, changed, condition, dataset, deleting, measurement, run, said
from tests.unit.reconcile.facts import training_seen as trained_seen

DATA = dataset()
HEAD, OLD = "a" * 40, "b" * 40
VERA = AgreementSeen("vera", HEAD, frozenset({"vera", "vera@example.org"}), levels=("developer", "maintainer"))
REVIEW = ReviewSeen(
    project="team/news",
    number=3,
    url="https://forge.test/3",
    sha=HEAD,
    open=True,
    agreements=(VERA,),
    authors=frozenset({"ada", "ada@example.org"}),
    stands_for={"validator": "maintainer"},
)


def resource(**spec):
    return experiment(**{"approval": {"policy": "MergeRequest"}} | spec)


def members(of=None, data=DATA, authors=("dana@example.org",)):
    of = of or resource()
    evaluated = run("e1", id="8", best=None, measurement=measurement())
    found, _ = release_members(of, data, run(train_key(of, data)), BEST, evaluated, shelf="")
    return {**found, "git": {"commit": OLD, "authors": list(authors)}}


def released(whole=None, approval=ApprovalState.PENDING, **parts):
    whole = whole or members()
    given = {"name": "news-1", "version": 1, "digest": digest(whole), "content": content_digest(whole)}
    return ReleaseSeen(**given | {"approval": approval, "members": whole, "experiment": "news"} | parts)


def reviewed(review, release=None, of=None):
    """Decide about a Release that waits for its merge request."""
    return decide(of or resource(), Seen(at=AT, dataset=DATA, releases=(release or released(),), review=review))


def why(decision):
    assert said(decision) == ("Unknown", "WaitingForApproval")
    message = condition(decision).message
    assert message.endswith("; or by hand: cdl approve news-1")
    return message.removeprefix("news-1 waits for its merge request: ").removesuffix("; or by hand: cdl approve news-1")


# --- who counts -------------------------------------------------------------------------------------------------------


def test_who_approves_the_head_approves_the_release():
    [approve] = reviewed(REVIEW).actions
    backed = MergeRequestRef(url="https://forge.test/3", number=3, sha=HEAD, open=True)
    assert approve == ApproveRelease("news-1", released().digest, "vera", AT, backed)


def test_while_it_waits_it_is_looked_at_again_soon_and_no_beat_is_waited_for():
    decision = reviewed(replace(REVIEW, agreements=()))
    assert decision.actions == ()
    assert timedelta(seconds=1) <= decision.look_again_after <= timedelta(seconds=5)
    assert decision.look_again_after not in STRETCHED


@pytest.mark.parametrize(
    ("agreement", "fault"),
    [
        (replace(VERA, sha=OLD), "by vera at an older head, bbbbbbbbbbbb"),
        (replace(VERA, who="ada", known_as=frozenset()), "by ada, who is an author"),
        (replace(VERA, known_as=frozenset({"ada@example.org"})), "by vera, who is an author"),
        (replace(VERA, known_as=frozenset({"dana@example.org"})), "by vera, who is an author"),
        (
            replace(VERA, levels=("developer",)),
            "by vera, who is only developer in team/news, needed: maintainer or the rule validator",
        ),
        (replace(VERA, levels=()), "by vera, who is no member in team/news, needed: maintainer or the rule validator"),
    ],
    ids=["an older head", "its author", "its author by mail", "the commit's author", "too little", "a stranger"],
)
def test_why_an_approval_counts_for_nothing(agreement, fault):
    decision = reviewed(replace(REVIEW, agreements=(agreement,)))
    assert decision.actions == ()
    assert why(decision) == f"!3 of team/news has no approval of a validator at its head aaaaaaaaaaaa; approved {fault}"


def test_who_counts_for_nothing_does_not_keep_another_from_counting():
    others = (replace(VERA, who="ada", known_as=frozenset()), replace(VERA, who="bob", sha=OLD), VERA)
    [approve] = reviewed(replace(REVIEW, agreements=others)).actions
    assert approve.by == "vera"


def test_a_rule_counts_without_a_level_and_without_anybody_standing_for_it():
    by_rule = replace(VERA, levels=(), rules=frozenset({"validator"}))
    assert reviewed(replace(REVIEW, agreements=(by_rule,), stands_for={})).actions
    decision = reviewed(replace(REVIEW, stands_for={}))
    assert why(decision).endswith("who is only maintainer in team/news, needed: the rule validator")


def test_a_person_who_calls_himself_a_policy_is_called_something_else():
    [approve] = reviewed(replace(REVIEW, agreements=(replace(VERA, who="policy/x"),))).actions
    assert approve.by == "user policy/x"


def test_once_it_is_merged_it_must_have_shown_the_very_release():
    merged = replace(REVIEW, open=False, merged=True)
    assert why(reviewed(merged)) == (
        "approved by vera, but what was merged is not what was approved: !3 of team/news showed no release with the "
        "content of news-1"
    )
    [approve] = reviewed(replace(merged, shown=True)).actions
    assert not approve.merge_request.open


def test_what_was_closed_approves_nothing():
    assert why(reviewed(replace(REVIEW, open=False))) == "!3 of team/news was closed without being merged"


def test_a_reason_why_nobody_can_be_asked_is_said_as_it_is():
    assert why(reviewed(ReviewSeen(why="no forge is configured"))) == "no forge is configured"


@pytest.mark.parametrize("state", [ApprovalState.REJECTED, ApprovalState.VOID])
def test_what_somebody_decided_against_no_merge_request_approves(state):
    decision = reviewed(REVIEW, released(approval=state, approved_by="ada", standing="rejected by ada"))
    assert decision.actions == ()
    assert condition(decision).status == "False"


def test_after_a_revert_it_is_approved_again_later_than_its_successor():
    old = released(approval=ApprovalState.APPROVED, approved_by="vera", approved_at=AT - timedelta(hours=2))
    newer = replace(old, name="news-2", version=2, content="c", digest="d", members={}, approved_at=AT + timedelta(1))
    seen = Seen(at=AT, dataset=DATA, releases=(old, newer), review=REVIEW)
    [approve] = decide(resource(), seen).actions
    assert (approve.release, approve.merge_request.number) == ("news-1", 3)
    assert approve.at > newer.approved_at


# --- what is taken back -----------------------------------------------------------------------------------------------

BACKED = MergeRequestRef(url="https://forge.test/3", number=3, sha=HEAD, open=True)
ONLY = "by vera, who is only developer in team/news, needed: maintainer or the rule validator"
MERGED = BACKED.model_copy(update={"open": False})
WITHDRAWN = "its approval by vera in merge request !3 at aaaaaaaaaaaa does not count any more"


def approved(**parts):
    given = {"approval": ApprovalState.APPROVED, "approved_by": "vera", "approved_at": AT - timedelta(hours=1)}
    return released(**given | {"backed": BACKED} | parts)


def test_what_was_approved_before_it_is_merged_is_looked_at_again_and_stays():
    decision = reviewed(REVIEW, approved())
    assert (decision.actions, said(decision)) == ((), ("True", "Succeeded"))
    assert isinstance(decision.look_again_after, Appointment)
    assert decision.look_again_after <= timedelta(seconds=10)
    assert reviewed(REVIEW, approved(backed=MERGED)).look_again_after is None


@pytest.mark.parametrize(
    ("review", "why"),
    [
        (replace(REVIEW, agreements=()), "!3 of team/news has no approval of a validator at its head aaaaaaaaaaaa"),
        (
            replace(REVIEW, agreements=(replace(VERA, levels=("developer",)),)),
            "!3 of team/news has no approval of a validator at its head aaaaaaaaaaaa; approved " + ONLY,
        ),
        (replace(REVIEW, sha=OLD), "the head of !3 is bbbbbbbbbbbb by now"),
        (ReviewSeen(why="no merge request holds it", lost=True), "no merge request holds it"),
    ],
    ids=["withdrawn", "no right any more", "pushed", "rewritten"],
)
def test_what_its_merge_request_does_not_hold_any_more_is_taken_back(review, why):
    decision = reviewed(review, approved())
    assert decision.actions == (WithdrawApproval("news-1", released().digest, why, AT),)
    assert said(decision) == ("Unknown", "WaitingForApproval")
    gone = condition(decision, ConditionType.APPROVED)
    assert (gone.status, gone.reason) == ("False", "ApprovalTakenBack")
    assert gone.message == f"the approval of news-1 by vera is taken back: {why}"


@pytest.mark.parametrize(
    ("review", "parts"),
    [
        (replace(REVIEW, open=False, merged=True, agreements=()), {}),
        (replace(REVIEW, open=False, agreements=()), {}),
        (replace(REVIEW, number=4, agreements=()), {}),
        (ReviewSeen(why="nobody answers"), {}),
        (replace(REVIEW, agreements=()), {"backed": MERGED}),
        (replace(REVIEW, agreements=()), {"backed": None}),
    ],
    ids=["merged", "closed", "another one", "who cannot tell", "approved once merged", "approved by hand"],
)
def test_what_nobody_took_back_stays(review, parts):
    decision = reviewed(review, approved(**parts))
    assert (decision.actions, said(decision)) == ((), ("True", "Succeeded"))


def test_a_second_person_who_agrees_keeps_it_approved():
    bob = AgreementSeen("bob", HEAD, levels=("developer", "maintainer"))
    assert reviewed(replace(REVIEW, agreements=(bob,)), approved()).actions == ()


def test_what_was_taken_back_waits_for_the_merge_request_and_says_so():
    gone = approved(approval=ApprovalState.VOID, void=Reason.APPROVAL_TAKEN_BACK, standing=WITHDRAWN)
    decision = reviewed(replace(REVIEW, agreements=()), gone)
    assert decision.actions == ()
    assert why(decision) == "!3 of team/news has no approval of a validator at its head aaaaaaaaaaaa"
    said_of_it = condition(decision, ConditionType.APPROVED)
    assert (said_of_it.status, said_of_it.reason, said_of_it.message) == ("False", "ApprovalTakenBack", WITHDRAWN)


def test_what_was_taken_back_can_be_given_again_later_than_before():
    gone = approved(approval=ApprovalState.VOID, void=Reason.APPROVAL_TAKEN_BACK, approved_at=AT + timedelta(hours=1))
    [approve] = reviewed(REVIEW, gone).actions
    assert (approve.by, approve.merge_request) == ("vera", BACKED)
    assert approve.at > gone.approved_at


def test_an_older_release_that_the_same_merge_request_approved_is_taken_back_while_the_new_one_is_trained():
    old = approved(content="other", digest="sha256:other", members={}, name="news-1")
    pushed = Seen(at=AT, dataset=DATA, releases=(old,))
    assert asks(resource(), pushed) == old
    decision = decide(resource(), replace(pushed, review=replace(REVIEW, sha=OLD)))
    assert {type(action) for action in decision.actions} == {StartRun, WithdrawApproval}
    others = replace(old, experiment="other")
    assert asks(resource(), replace(pushed, releases=(others,))) is None


# --- what is looked at ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "release", "asked"),
    [
        (resource(), released(), True),
        (resource(), released(approval=ApprovalState.APPROVED), False),
        (resource(), released(approval=ApprovalState.REJECTED), False),
        (resource(), released(approval=ApprovalState.VOID), False),
        (resource(), approved(), True),
        (resource(), approved(backed=MERGED), False),
        (resource(), approved(approval=ApprovalState.VOID, void=Reason.APPROVAL_TAKEN_BACK), True),
        (resource(), approved(approval=ApprovalState.VOID, void=Reason.APPROVAL_EXPIRED), False),
        (resource(approval={"policy": "Manual"}), approved(), False),
        (resource(suspend=True), approved(), False),
        (resource(approval={"policy": "Manual"}), released(), False),
        (resource(suspend=True), released(), False),
        (deleting(resource()), released(), False),
    ],
    ids=[
        "undecided",
        "approved",
        "rejected",
        "void",
        "not merged yet",
        "merged",
        "taken back",
        "expired",
        "another policy by now",
        "suspended by now",
        "another policy",
        "suspended",
        "deleted",
    ],
)
def test_the_forge_is_asked_only_about_what_is_undecided_or_hangs_on_it(of, release, asked):
    found = asks(of, Seen(at=AT, dataset=DATA, releases=(release,)))
    assert (found is not None) is asked


def test_others_are_looked_for_only_while_nothing_of_ones_own_will_do():
    done = trained_seen(resource())
    assert wants_adoptable(resource(), Seen(at=AT, dataset=DATA)) == DATA
    assert wants_adoptable(resource(), Seen(at=AT)) is None
    assert wants_adoptable(resource(), done) is None
    assert wants_adoptable(resource(), Seen(at=AT, dataset=DATA, releases=(released(),))) is None
    assert wants_adoptable(resource(approval={"policy": "Manual"}), Seen(at=AT, dataset=DATA)) is None


# --- adoption ---------------------------------------------------------------------------------------------------------


def adoptable(whole=None, name="news-1", namespace="news-mr-3", **parts):
    whole = whole or members()
    return AdoptableSeen(namespace, name, digest(whole), whole, **parts)


ELSEWHERE = dataset(
    train=DATA.train.model_copy(update={"commit": "there"}), test=DATA.test.model_copy(update={"repo": "x"})
)


def adopting(*others, runs=(), of=None):
    return decide(of or resource(), Seen(at=AT, dataset=DATA, runs=runs, adoptable=others))


def test_a_release_of_exactly_this_is_adopted_with_ones_own_data():
    other = adoptable(members(data=ELSEWHERE))
    decision = adopting(other)
    [adopt] = decision.actions
    assert isinstance(adopt, AdoptRelease)
    assert (adopt.model, adopt.checkpoint, adopt.adopted) == ("news", BEST.uuid, "news-mr-3/news-1")
    assert adopt.digest == digest(adopt.members)
    assert adopt.members["data"]["train"] == {"repo": DATA.train.repo, "commit": DATA.train.commit}
    assert {n for n in adopt.members if adopt.members[n] != other.members[n]} == {"git", "data"}
    assert substance(adopt.members) == substance(other.members)
    assert adopt.members["git"]["adoptedFrom"]["trainedOn"]["train"]["commit"] == "there"
    trained = condition(decision, ConditionType.TRAINED)
    assert (trained.status, trained.reason) == ("True", "Adopted")
    assert decision.status.evaluation.metrics == {"accuracy": 0.9}


@pytest.mark.parametrize(
    "spec",
    [
        {"code": {"archive": {"uri": "file:///m", "sha256": "c" * 64}}},
        {"config": {"hyperparameters": {"learning_rate": 0.7}}},
        {"evaluation": {"entrypoint": "evaluate:other"}},
    ],
    ids=["code", "configuration", "evaluation"],
)
def test_another_wish_is_trained(spec):
    decision = adopting(adoptable(members(resource(**spec))))
    assert isinstance(decision.actions[0], StartRun)
    assert wish(resource(**spec), DATA.version) == wish_behind(members(resource(**spec))) != wish_behind(members())


def test_other_data_are_trained_on():
    assert isinstance(adopting(adoptable(members(data=dataset("two")))).actions[0], StartRun)


def test_what_answers_otherwise_is_adopted_with_ones_own_code_that_answers():
    code = resource().spec.code
    other = resource(
        code={
            "archive": code.archive.model_dump(),
            "serve": {"uri": "file:///other", "sha256": "e" * 64, "entrypoint": "serve:Other"},
        }
    )
    [adopt] = adopting(adoptable(members(other))).actions
    assert adopt.members["code"] == members()["code"]
    alike = adoptable(name="news-9", written_at=AT + timedelta(1))
    assert adopting(adoptable(members(other), written_at=AT), alike).actions[0].adopted == "news-mr-3/news-9"
    mine = released(members(other))
    assert isinstance(decide(resource(), Seen(at=AT, dataset=DATA, releases=(mine,))).actions[0], StartRun)


def test_the_same_code_elsewhere_is_the_same_code():
    """Else what is promoted would not be what was shown, for an address."""
    moved = members()
    moved = {**moved, "code": {**moved["code"], "serve": {**moved["code"]["serve"], "uri": "file:///elsewhere"}}}
    [adopt] = adopting(adoptable(moved)).actions
    assert substance(adopt.members) == substance(moved)


@pytest.mark.parametrize(
    "phase", [RunPhase.QUEUED, RunPhase.RUNNING, RunPhase.PAUSED, RunPhase.FAILED, RunPhase.CANCELED]
)
def test_what_is_trained_elsewhere_is_not_waited_for_here(phase):
    own = run(train_key(resource(), DATA), phase)
    *stops, adopt = adopting(adoptable(), runs=(own,)).actions
    assert isinstance(adopt, AdoptRelease)
    assert stops == ([] if phase.over else [StopRun(own.key)])


def test_what_was_trained_here_is_not_adopted():
    own = trained_seen(resource(), adoptable=(adoptable(),))
    [write] = decide(resource(), own).actions
    assert write.members["experiment"]["key"] == train_key(resource(), DATA)


def test_what_the_merge_request_showed_comes_first_then_the_oldest():
    first = adoptable(name="news-1", written_at=AT)
    second = adoptable(name="news-2", written_at=AT + timedelta(1))
    assert adopting(second, first).actions[0].adopted == "news-mr-3/news-1"
    assert adopting(first, replace(second, shown=True)).actions[0].adopted == "news-mr-3/news-2"


def test_gates_are_judged_by_ones_own_spec():
    decision = adopting(adoptable(), of=resource(evaluation={"gates": [{"metric": "accuracy", "min": 0.95}]}))
    assert decision.actions == ()
    assert said(decision) == ("False", "BelowGate")
    assert not decision.status.evaluation.gates[0].passed


def test_an_adopted_release_is_found_again_whatever_the_policy_and_the_runs():
    [adopt] = adopting(adoptable(members(data=ELSEWHERE))).actions
    mine = released(dict(adopt.members), ApprovalState.APPROVED, approved_by="vera")
    for policy in ("MergeRequest", "Manual", "Automatic"):
        of = resource(approval={"policy": policy})
        decision = decide(of, Seen(at=AT, dataset=DATA, runs=trained_seen(of).runs, releases=(mine,)))
        assert said(decision) == ("True", "Succeeded")
        assert decision.status.release == "news-1"
        assert decision.status.run.key == train_key(of, DATA)


def test_authors_of_what_is_adopted_are_authors():
    by_us = changed(
        resource(), metadata=resource().metadata.model_copy(update={"annotations": {"cdl.dev/authors": "eve"}})
    )
    [adopt] = adopting(adoptable(members(authors=("dana",))), of=by_us).actions
    assert adopt.members["git"]["authors"] == ["dana", "eve"]


@pytest.mark.parametrize("broken", [{}, {"experiment": None}, {"checkpoint": {"uuid": 1}}, {"code": "x"}])
def test_members_in_other_words_are_not_adopted(broken):
    whole = {**members(), **broken} if broken else {}
    assert isinstance(adopting(adoptable(whole or {"git": None})).actions[0], StartRun)
