"""From a merge request to production: who approves it approves what it showed, and nothing is trained twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cdl.api.conditions import ConditionType
from cdl.api.meta import APPLIED_BY_ANNOTATION, PROJECT_ANNOTATION, REVISION_ANNOTATION
from cdl.api.v1alpha1 import Experiment
from cdl.api.v1alpha1.release import ApprovalState, Voided
from cdl.loop.forges import Forges
from cdl.loop.runner import STRETCHED
from cdl.ports.errors import Rejected
from cdl.reconcile.experiment.status import AT_FIRST, LATER, MUCH_LATER

from .merge_rig import DIGEST, MAIN, Town, preview, waits, waits_for

DIRTY = "0" * 40 + "-dirty"


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


def test_what_was_approved_is_what_is_promoted(town):
    request = town.propose("tune")
    town.settle()
    assert town.says(preview(1))[0] == "WaitingForApproval"
    town.approve(1)
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "validator")]

    town.merge(1)
    town.settle()
    assert town.trained(MAIN) == []
    [candidate], [promoted] = town.releases(preview(1)), town.releases(MAIN)
    assert town.approvals(MAIN) == [("news-1", "validator")]
    backed = promoted.status.approval.merge_request
    assert (backed.number, backed.sha, backed.url) == (1, request.sha, request.url)
    ours, theirs = promoted.spec.members, candidate.spec.members
    apart = {name for name in ours if ours[name] != theirs[name]}
    assert apart == {"git", "data"}
    assert ours["data"]["version"] == theirs["data"]["version"]
    assert ours["git"]["adoptedFrom"] == {
        "namespace": preview(1),
        "name": "news-1",
        "digest": candidate.spec.digest,
        "trainedOn": {side: theirs["data"][side] for side in ("train", "test")},
    }
    status = town.experiment().status
    assert town.says(kind=ConditionType.TRAINED) == (
        "Adopted",
        f"adopts release news-1 of namespace {preview(1)} instead of training",
    )
    assert status.evaluation.metrics == {"accuracy": 0.9}
    assert status.evaluation.gates[0].passed
    assert status.best_trial.id == 1
    assert status.checkpoint.uuid == theirs["checkpoint"]["uuid"]
    assert status.release == "news-1"


def test_nobody_is_asked_before_there_is_a_release_nor_once_what_was_merged_is_decided(town):
    town.propose("tune")
    town.turn_all()
    assert town.asked() == 0
    town.settle()
    town.approve(1)
    town.merge(1)
    town.drop(preview(1))
    town.settle()
    assert town.approvals(MAIN) == [("news-1", "validator")]
    asked = town.asked()
    town.settle()
    assert town.asked() == asked > 0


def test_what_is_merged_before_anybody_approved_waits_and_is_taken_when_they_do(town):
    request = town.propose("tune")
    town.settle()
    town.merge(1)
    town.settle()
    assert waits(town) == f"!1 of team/news has no approval of a validator at its head {request.sha[:12]}"
    assert town.trained(MAIN) == []
    town.approve(1)
    town.settle()
    assert town.approvals() == [("news-1", "validator")]


def test_a_merge_request_that_was_not_merged_brings_nothing_into_production(town):
    town.propose("tune")
    town.settle()
    review = town.forge.reviews[1]
    town.approve(1)
    review.seen = replace(review.seen, open=False)
    town.settle()
    assert waits(town, preview(1)) == "!1 of team/news was closed without being merged"


def test_what_was_merged_and_never_shown_waits(town):
    town.propose("tune")  # and nobody waited for its release
    town.approve(1)
    town.merge(1)
    town.drop(preview(1))
    town.settle()
    assert waits(town) == (
        "approved by validator, but what was merged is not what was approved: !1 of team/news showed no release with "
        "the content of news-1"
    )
    assert len(town.trained(MAIN)) == 2


def test_another_merge_between_the_head_and_production_is_trained_and_waits(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    merged = town.forge.merge(1, town.forge.reviews[1].seen.sha)
    town.said[merged] = {"config": {"hyperparameters": {"learning_rate": 0.3}}}  # the target had moved on
    town.apply(MAIN, merged)
    town.settle()
    assert waits(town).startswith("approved by validator, but what was merged is not what was approved")
    assert town.approvals() == []


def test_a_push_to_main_past_every_review_waits(town):
    sha = town.commit("main")
    town.apply(MAIN, sha)
    town.settle()
    assert waits(town) == f"no merge request of team/news holds commit {sha[:12]}"


def test_an_approval_of_an_older_head_counts_for_nothing(town):
    first = town.propose("tune")
    town.settle()
    town.approve(1)
    head = town.commit("tune")
    town.apply(preview(1), head)
    town.settle()
    assert waits(town, preview(1)) == (
        f"!1 of team/news has no approval of a validator at its head {head[:12]}; "
        f"approved by validator at an older head, {first.sha[:12]}"
    )


def test_a_commit_that_changes_nothing_of_the_resource_moves_the_head_all_the_same(town):
    """`cdl gitops` writes nothing then: the resource keeps the commit it came with."""
    first = town.propose("tune")
    town.settle()
    head = town.forge.push("tune")
    town.approve(1, sha=first.sha)
    town.settle()
    assert f"at its head {head[:12]}" in waits(town, preview(1))
    town.approve(1)
    town.settle()
    assert town.releases(preview(1))[0].status.approval.merge_request.sha == head


@pytest.mark.parametrize("who", ["developer", "Developer", "oidc:developer", "committer", "developer@example.org"])
def test_an_author_counts_for_nothing_whatever_they_are_called(town, who):
    town.propose("tune")
    town.forge.levels[who] = "owner"
    if who == "committer":
        town.forge.reviews[1].commits[town.forge.reviews[1].seen.sha] = who
    town.settle()
    town.approve(1, who)
    town.settle()
    assert waits(town, preview(1)).endswith(f"; approved by {who}, who is an author")
    town.approve(1)
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "validator")]


def test_who_is_an_author_of_what_was_adopted_is_none_to_approve_it(town):
    town.propose("tune")
    town.forge.levels["ada"] = "owner"
    for kind in (Experiment,):
        there = town.world.resources.get(kind, preview(1), "news")
        notes = {**there.metadata.annotations, "cdl.dev/applied-by": "ada"}
        town.world.resources.put(
            there.model_copy(update={"metadata": there.metadata.model_copy(update={"annotations": notes})})
        )
    town.settle()
    town.approve(1, "ada")
    town.merge(1)
    town.settle()
    assert waits(town).endswith("; approved by ada, who is an author")


@pytest.mark.parametrize(
    ("level", "held"), [("developer", "only developer"), ("guest", "only guest"), (None, "no member")]
)
def test_who_may_not_decide_counts_for_nothing(town, level, held):
    town.propose("tune")
    if level:
        town.forge.levels["bob"] = level
    town.settle()
    town.approve(1, "bob")
    town.settle()
    assert waits(town, preview(1)).endswith(
        f"; approved by bob, who is {held} in team/news, needed: maintainer or the rule validator"
    )
    town.forge.rules["validator"] = {"bob"}
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "bob")]


def test_a_role_asks_for_more_than_a_validator_and_never_for_less(town):
    town.propose("tune", approval={"policy": "MergeRequest", "role": "clinician"})
    town.forge.levels |= {"vic": "guest", "owen": "owner"}
    town.forge.rules["clinician"] = {"vic"}
    town.settle()
    town.approve(1, "vic")
    town.approve(1, "owen")
    town.settle()
    told = town.says(preview(1))[1]
    assert "approved by owen, who is only owner in team/news, needed: the rule clinician" in told
    assert "approved by vic, who is only guest in team/news, needed: maintainer or the rule validator" in told
    town.forge.rules["clinician"] = {"owen"}
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "owen")]


def test_a_level_is_no_role(town):
    town.propose("tune", approval={"policy": "MergeRequest", "role": "guest"})
    town.settle()
    town.approve(1)
    town.settle()
    assert town.says(preview(1))[1].count("who is only maintainer in team/news, needed: the rule guest") == 1


# --- what is taken back -----------------------------------------------------------------------------------------------


def test_an_approval_that_is_taken_back_before_the_merge_promotes_nothing(town):
    request = town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    assert town.says(preview(1))[0] == "Succeeded"
    town.forge.reviews[1].approvals.clear()
    town.settle()
    nobody = f"!1 of team/news has no approval of a validator at its head {request.sha[:12]}"
    assert waits(town, preview(1)) == nobody
    gone = f"its approval by validator in merge request !1 at {request.sha[:12]} does not count any more: {nobody}"
    assert town.says(preview(1), ConditionType.APPROVED) == ("ApprovalTakenBack", gone)
    [candidate] = town.releases(preview(1))
    assert not candidate.approved
    assert (candidate.status.approval.state, candidate.status.approval.voided) == (
        ApprovalState.VOID,
        Voided.TAKEN_BACK,
    )
    assert candidate.status.condition(ConditionType.APPROVED).message == gone

    town.merge(1)
    town.settle()
    assert waits(town, MAIN) == nobody
    assert town.approvals(MAIN) == []
    assert town.trained(MAIN) == []
    [told] = [e for e in town.world.ledger.entries if e.verb == "decided" and e.what == "Void"]
    assert (told.about, told.why) == (candidate.key, nobody)
    assert told.at > candidate.status.approval.at


def test_what_is_taken_back_and_given_again_is_approved_again(town):
    town.propose("tune")
    town.settle()
    for _ in range(2):
        town.approve(1)
        town.settle()
        assert town.approvals(preview(1)) == [("news-1", "validator")]
        [release] = town.releases(preview(1))
        assert town.statement(release)["predicate"]["by"] == "validator"
        town.forge.reviews[1].approvals.clear()
        town.settle()
        assert town.approvals(preview(1)) == []


def test_a_push_takes_back_what_was_approved_before_it(town):
    first = town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    head = town.commit("tune", config={"hyperparameters": {"learning_rate": 0.2}})
    town.apply(preview(1), head)
    town.turn_all()
    assert town.approvals(preview(1)) == [], "nobody waits for the training"
    town.settle()
    assert waits_for(town, "news-2", preview(1)) == (
        f"!1 of team/news has no approval of a validator at its head {head[:12]}; "
        f"approved by validator at an older head, {first.sha[:12]}"
    )
    town.approve(1)
    town.settle()
    assert town.approvals(preview(1)) == [("news-2", "validator")]


def test_a_push_that_changes_nothing_of_the_resource_takes_it_back_all_the_same(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    head = town.forge.push("tune")
    town.settle()
    assert f"at its head {head[:12]}" in waits(town, preview(1))


def test_who_decides_by_hand_is_not_overruled_by_what_the_merge_request_lost(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    town.forge.reviews[1].approvals.clear()
    town.settle()
    town.note(namespace=preview(1), approved=DIGEST, by="vera", at="2030-01-01T00:00:00+00:00")
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "vera")]
    assert town.says(preview(1))[0] == "Succeeded"


def test_a_forge_that_is_away_takes_nothing_back(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    town.forge.reviews[1].approvals.clear()
    town.world.weather["forge"].down = True
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "validator")]
    assert town.says(preview(1))[0] == "Succeeded"
    town.world.clear_up()
    town.settle()
    assert town.approvals(preview(1)) == []


def test_what_was_merged_stays_approved_though_its_merge_request_holds_it_no_more(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    town.merge(1)
    town.settle()
    town.forge.reviews[1].approvals.clear()
    town.settle()
    assert town.approvals(preview(1)) == town.approvals(MAIN) == [("news-1", "validator")]


# --- why nobody can be asked ------------------------------------------------------------------------------------------


def refuse(project):
    raise Rejected(f"project {project} may not be asked: CDL_FORGE_PROJECTS allows team/others")


@pytest.mark.parametrize(
    ("forges", "notes", "sentence"),
    [
        (
            Forges(),
            {},
            "no forge is configured: CDL_FORGE, CDL_FORGE_TOKEN and CDL_FORGE_PROJECTS of the operator name it",
        ),
        (
            Forges(appliers=("cdl-gitops",)),
            {APPLIED_BY_ANNOTATION: "mallory"},
            "mallory applied it, and of its commit only cdl-gitops is believed",
        ),
        (
            Forges(appliers=("robot", "cdl-gitops")),
            {},
            "somebody unknown applied it, and of its commit only robot, cdl-gitops is believed",
        ),
        (Forges(refuse), {}, "project team/news may not be asked: CDL_FORGE_PROJECTS allows team/others"),
        (
            None,
            {PROJECT_ANNOTATION: ""},
            "no annotation cdl.dev/forge-project says which project it came from: apply it with --forge-project",
        ),
        (
            None,
            {REVISION_ANNOTATION: ""},
            "the annotation cdl.dev/revision is missing, expected a commit of forty digits: apply what is committed",
        ),
        (
            None,
            {REVISION_ANNOTATION: "main"},
            "the annotation cdl.dev/revision is 'main', expected a commit of forty digits: apply what is committed",
        ),
        (
            None,
            {REVISION_ANNOTATION: DIRTY},
            f"the annotation cdl.dev/revision is '{DIRTY}', expected a commit of forty digits: apply what is committed",
        ),
    ],
    ids=[
        "no forge",
        "applied by a person",
        "applied by nobody",
        "not on the list",
        "no project",
        "no commit",
        "a branch",
        "not committed",
    ],
)
def test_who_cannot_be_asked_is_said_in_one_sentence(town, forges, notes, sentence):
    if forges is not None:
        town.world.forges = forges
        town.world.restart()
    sha = town.commit("main")
    town.forge.propose("main", sha)  # a branch that a revision must not be taken for
    town.approve(1)
    town.apply(MAIN, sha, **notes)
    town.settle()
    assert waits(town) == sentence


def test_who_is_believed_about_commits_brings_a_resource_to_its_merge_request(town):
    town.world.forges = replace(town.world.forges, appliers=("robot", "cdl-gitops"))
    town.world.restart()
    sha = town.commit("tune")
    town.forge.propose("tune", sha)
    town.apply(preview(1), sha, **{APPLIED_BY_ANNOTATION: "cdl-gitops"})
    town.approve(1)
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "validator")]


def test_a_forge_that_is_away_is_asked_again_and_nothing_is_lost(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.world.weather["forge"].down = True
    town.settle_for(3)
    assert town.says(preview(1)) == ("EngineUnavailable", "nobody answers")
    assert town.experiment(preview(1)).status.release == "news-1"
    town.world.clear_up()
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "validator")]


def test_a_forge_that_is_away_does_not_keep_a_person_from_deciding(town):
    town.propose("tune")
    town.settle()
    town.world.weather["forge"].down = True
    town.note(namespace=preview(1), approved=DIGEST, by="vera")
    town.settle()
    assert town.approvals(preview(1)) == [("news-1", "vera")]
    assert town.says(preview(1))[0] == "Succeeded"


# --- a person decides beside the merge request ------------------------------------------------------------------------


def test_a_rejection_wins_before_and_after(town):
    town.propose("tune")
    town.settle()
    town.note(namespace=preview(1), rejected=DIGEST, by="vera")
    town.approve(1)
    town.settle()
    assert town.says(preview(1)) == ("Rejected", "release news-1 was rejected by vera")
    assert town.approvals(preview(1)) == []


def test_what_a_merge_request_approved_a_person_can_still_reject(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    town.note(namespace=preview(1), rejected=DIGEST, by="vera", at="2030-01-01T00:00:00+00:00")
    town.settle()
    [release] = town.releases(preview(1))
    assert (release.status.approval.state, release.status.approval.by) == (ApprovalState.REJECTED, "vera")
    town.merge(1)
    town.settle()
    assert waits(town).startswith("approved by validator, but what was merged is not what was approved")


def test_an_approval_lasts_as_long_as_the_experiment_says(town):
    town.propose("tune", approval={"policy": "MergeRequest", "expires": "30d"})
    town.settle()
    town.approve(1)
    town.settle()
    [release] = town.releases(preview(1))
    approval = release.status.approval
    assert (approval.expires_at - approval.at).days == 30
    town.world.now = approval.expires_at
    town.settle()
    [release] = town.releases(preview(1))
    assert release.status.approval.voided is Voided.EXPIRED
    assert town.says(preview(1))[0] == "ApprovalExpired"


def test_a_status_that_names_a_merge_request_and_no_signed_statement_counts_for_nothing(town):
    town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    [release] = town.releases(preview(1))
    forged = release.status.approval.model_copy(update={"by": "mallory", "attestation": ""})
    status = release.status.model_copy(update={"approval": forged})
    town.world.resources.write_status(release.key, status, release.metadata.resource_version)
    town.settle()
    [now] = town.releases(preview(1))
    assert (now.status.approval.state, now.status.approval.voided) == (ApprovalState.VOID, Voided.TAKEN_BACK)
    assert now.status.approval.attestation == ""


def test_the_statement_that_is_signed_names_the_merge_request(town):
    request = town.propose("tune")
    town.settle()
    town.approve(1)
    town.settle()
    [release] = town.releases(preview(1))
    said = town.statement(release)["predicate"]
    assert said["by"] == "validator"
    assert said["mergeRequest"] == {"url": request.url, "number": 1, "sha": request.sha}


def test_no_runner_stretches_the_wait_for_a_person():
    assert not {AT_FIRST, LATER, MUCH_LATER} & set(STRETCHED)


def test_a_question_is_asked_less_often_the_longer_it_stands(town):
    town.propose("tune")
    town.settle()
    asked = town.experiment(preview(1))
    since = asked.status.condition(ConditionType.GATES_PASSED).last_transition_time
    naps = []
    for minutes in (1, 5, 60):
        town.world.now = since + timedelta(minutes=minutes)
        naps.append(town.world.turn(asked.key))
    assert naps == [AT_FIRST, LATER, MUCH_LATER]
