"""Each open merge request has its data and experiments in a namespace of its own, and no longer than it is open."""

import shutil

import pytest

from cdl.api.meta import (
    AUTHORS_ANNOTATION,
    LIKE_ANNOTATION,
    MANAGED_BY_LABEL,
    PROJECT_ANNOTATION,
    REVISION_ANNOTATION,
    Key,
)
from cdl.api.v1alpha1 import Release
from cdl.gitops.git import Limits
from cdl.ports.errors import Rejected, Unavailable
from cdl.reconcile.gitops import State
from cdl.testing import builders
from cdl.testing.weather import Weather
from tests.unit.gitops.gitops_rig import Previewed, git
from tests.unit.gitops.gitops_rig import follower as follower_in

BOTH = ["DataPipeline", "Experiment"]
ALL = ["DataPipeline", "Experiment", "ModelDeployment"]
YAML = "resources/experiment.yaml"


def proposed(previewed, branch="wider", trials=4, **more):
    """A merge request of a commit that changes the Experiment; its number and commit."""
    origin = previewed.follower.origin
    origin.change(YAML, "max_trials: 3", f"max_trials: {trials}")
    sha = origin.branch(branch)
    return previewed.open(branch, sha, **more), sha


def spec_of(previewed, namespace):
    (found,) = previewed.follower.store.documents("Experiment", namespace)
    return found["spec"]["config"]["searcher"]["max_trials"]


def version(previewed):
    return previewed.follower.store.changed_since(0)[0]


def test_an_open_merge_request_has_a_namespace_of_its_own_and_serves_nobody(previewed):
    previewed.follower.namespace = "production"
    previewed.follower.look()
    number, sha = proposed(previewed)
    (target,) = previewed.look().targets
    assert previewed.there() == {"production": ALL, f"tiny-mr-{number}": BOTH}
    assert (target.merge_request, target.sha, target.state) == (number, sha, State.APPLIED)
    assert target.inventory == tuple(Key(kind, f"tiny-mr-{number}", "tiny") for kind in BOTH)
    assert [d["kind"] for d in target.merged] == ALL
    assert {d["metadata"]["namespace"] for d in target.merged} == {"production"}
    notes = previewed.notes(number)
    assert (notes[REVISION_ANNOTATION], notes[PROJECT_ANNOTATION]) == (sha, "team/tiny")
    assert notes[AUTHORS_ANNOTATION] == "grace@example.org"
    assert previewed.rooms == [f"tiny-mr-{number}"]


def test_files_that_name_a_namespace_are_previewed_in_that_of_the_merge_request(previewed):
    for name in ("datapipeline", "experiment", "modeldeployment"):
        previewed.follower.origin.change(
            f"resources/{name}.yaml", "metadata: {name: tiny}", "metadata: {name: tiny, namespace: live}"
        )
    previewed.follower.origin.push()
    previewed.follower.look()
    number, _ = proposed(previewed)
    previewed.look()
    assert previewed.there() == {"live": ALL, f"tiny-mr-{number}": BOTH}


def test_the_branch_and_its_merge_requests_leave_each_other_alone(previewed):
    previewed.follower.look()
    number, _ = proposed(previewed)
    previewed.look()
    before = version(previewed)
    for _ in range(2):
        previewed.follower.look()
        assert previewed.look().changes == ()
    assert version(previewed) == before
    assert (spec_of(previewed, "default"), spec_of(previewed, f"tiny-mr-{number}")) == (3, 4)


def test_all_who_wrote_into_the_merge_request_are_authors(previewed):
    previewed.follower.look()
    origin = previewed.follower.origin
    git(origin.work, "checkout", "-q", "-b", "two")
    origin.write("model/more.py", "x = 1\n")
    git(origin.work, "add", "-A")
    git(origin.work, "commit", "-q", "-m", "One", who="linus")
    number, _ = proposed(previewed, "two")
    previewed.look()
    assert previewed.notes(number)[AUTHORS_ANNOTATION] == "grace@example.org,linus@example.org"


def test_a_preview_says_whose_data_it_may_take_over(previewed):
    previewed.follower.look()
    number, _ = proposed(previewed)
    previewed.look()
    told = {
        (document["kind"], document["metadata"]["namespace"]): document["metadata"]["annotations"].get(LIKE_ANNOTATION)
        for kind in ("DataPipeline", "Experiment")
        for document in previewed.follower.store.documents(kind, None)
    }
    place = f"tiny-mr-{number}"
    assert told == {
        ("DataPipeline", "default"): None,
        ("Experiment", "default"): None,
        ("DataPipeline", place): "default",
        ("Experiment", place): None,
    }


@pytest.mark.parametrize("how", ["closed", "merged", "elsewhere"])
def test_what_is_not_open_any_more_is_pruned(previewed, how):
    previewed.follower.look()
    number, sha = proposed(previewed)
    stays, _ = proposed(previewed, "other")
    previewed.look()
    ended = {"closed": {"open": False}, "merged": {"open": False, "merged_as": sha}, "elsewhere": {"target": "old"}}
    previewed.change(number, **ended[how])
    outcome = previewed.look()
    name = f"tiny-mr-{number}/tiny"
    assert outcome.changes == (f"!{number}: Experiment {name} pruned", f"!{number}: DataPipeline {name} pruned")
    assert [target.merge_request for target in outcome.targets] == [stays]
    assert previewed.there() == {"default": ALL, f"tiny-mr-{stays}": BOTH}
    assert not (previewed.follower.place / "previews" / str(number)).exists()
    assert previewed.look().changes == ()


def test_data_that_a_release_needs_stays_and_rests_until_somebody_reopens_it(previewed):
    origin = previewed.follower.origin
    origin.change(YAML, "metadata: {name: tiny}", "metadata: {name: tiny, annotations: {cdl.dev/prune: disabled}}")
    number, _ = proposed(previewed)
    name = f"tiny-mr-{number}"
    assert previewed.look().targets[0].state is State.APPLIED
    document = builders.release_document("tiny", 1, data={"pipeline": "tiny"})
    document["metadata"]["namespace"] = name
    release = previewed.follower.store.create(Release.read(document))
    previewed.change(number, open=False)
    outcome = previewed.look()
    assert outcome.fault == ""
    assert set(outcome.changes) == {
        f"!{number}: Experiment {name}/tiny pruned",
        f"!{number}: DataPipeline {name}/tiny suspended",
    }
    assert release.metadata.name in outcome.kept[0]
    assert previewed.there()[name] == ["DataPipeline", "Release"]
    again = previewed.look()
    assert (again.changes, again.kept) == ((), outcome.kept)
    previewed.change(number, open=True)
    previewed.look()
    (pipeline,) = previewed.follower.store.documents("DataPipeline", name)
    assert pipeline["spec"].get("suspend", False) is False


def test_a_new_head_is_taken_over_and_the_old_one_is_not_waited_for(previewed):
    number, _ = proposed(previewed)
    previewed.look()
    previewed.follower.origin.change(YAML, "max_trials: 3", "max_trials: 5")
    sha = previewed.follower.origin.branch("wider")
    previewed.change(number, sha=sha)
    assert previewed.look().targets[0].sha == sha
    assert spec_of(previewed, f"tiny-mr-{number}") == 5


def test_after_a_rebase_that_changes_nothing_the_revision_is_one_that_can_be_found(previewed):
    number, first = proposed(previewed)
    previewed.look()
    origin = previewed.follower.origin
    origin.write("README.md", "read me\n")
    origin.push()
    git(origin.work, "checkout", "-q", "wider")
    git(origin.work, "rebase", "-q", "main")
    git(origin.work, "push", "-q", "--force", "origin", "HEAD:wider")
    second = git(origin.work, "rev-parse", "HEAD")
    git(origin.work, "checkout", "-q", "main")
    previewed.change(number, sha=second)
    assert previewed.notes(number)[REVISION_ANNOTATION] == first
    previewed.look()
    assert previewed.notes(number)[REVISION_ANNOTATION] == second
    assert previewed.look().changes == ()


def test_a_fork_is_not_previewed_and_one_without_a_commit_neither(previewed):
    fork, sha = proposed(previewed, fork=True)
    empty = previewed.open("gone", sha)
    previewed.change(empty, sha="")
    outcome = previewed.look()
    assert previewed.there() == {}
    told = {target.merge_request: (target.state, target.sentence) for target in outcome.targets}
    assert told[fork][0] is State.REFUSED
    assert "comes from a fork" in told[fork][1]
    assert told[empty] == (State.WAITING, "not previewed: it has no commit")


def test_so_many_and_no_more_those_that_are_there_first(previewed):
    previewed.most = 2
    late = [proposed(previewed, f"b{n}")[0] for n in range(3)]
    previewed.change(late[0], open=False)
    previewed.look()
    assert set(previewed.there()) == {f"tiny-mr-{n}" for n in late[1:]}
    previewed.change(late[0], open=True)
    outcome = previewed.look()
    assert set(previewed.there()) == {f"tiny-mr-{n}" for n in late[1:]}
    assert outcome.targets[0].sentence == (
        "not previewed yet: 2 others are, and --previews allows no more; it is its turn later"
    )
    previewed.change(late[1], open=False)
    previewed.look()
    assert set(previewed.there()) == {f"tiny-mr-{n}" for n in (late[0], late[2])}


def test_a_preview_that_is_refused_is_no_matter_of_the_others(previewed):
    previewed.follower.look()
    previewed.follower.origin.change(YAML, "data: {pipeline: tiny}", "data: {pipelin: tiny}")
    bad, _ = proposed(previewed, "bad")
    good, _ = proposed(previewed, "good")
    first, second = previewed.look().targets
    assert (first.merge_request, first.state) == (bad, State.REFUSED)
    assert "resources/experiment.yaml" in first.sentence
    assert str(previewed.follower.home) not in first.sentence
    assert (second.merge_request, second.state) == (good, State.APPLIED)
    assert previewed.there() == {"default": ALL, f"tiny-mr-{good}": BOTH}
    assert previewed.rooms == [f"tiny-mr-{good}"]


def test_what_the_branch_would_refuse_is_not_previewed(previewed):
    previewed.follower.namespace = "production"
    previewed.follower.origin.change(
        "resources/modeldeployment.yaml", "metadata: {name: tiny}", "metadata: {name: tiny, namespace: secret}"
    )
    previewed.open("astray", previewed.follower.origin.branch("astray"))
    (target,) = previewed.look().targets
    assert target.state is State.REFUSED
    assert "metadata.namespace: found 'secret', allowed: production" in target.sentence
    assert previewed.there() == {}


def test_a_forge_that_is_away_changes_nothing(previewed):
    proposed(previewed)
    previews = previewed.again()
    before = previews.look()
    stored = version(previewed)
    previewed.forge.weather = Weather(down=True)
    outcome = previews.look()
    assert outcome.targets == before.targets
    assert outcome.fault.endswith("; previews stay as they are")
    assert version(previewed) == stored
    previewed.forge.weather = Weather()
    assert previews.look().fault == ""


def test_a_repository_that_is_away_changes_nothing(previewed):
    number, _ = proposed(previewed)
    previewed.look()
    previewed.follower.origin.bare.rename(previewed.follower.home / "away.git")
    assert "previews stay as they are" in previewed.look().fault
    assert f"tiny-mr-{number}" in previewed.there()


def test_a_commit_too_large_is_said_of_its_merge_request(previewed):
    good, _ = proposed(previewed, "good")
    previewed.follower.limits = Limits(files=20)
    for n in range(20):
        previewed.follower.origin.write(f"model/many/{n}.py", "x = 1\n")
    previewed.open("large", previewed.follower.origin.branch("large"))
    states = {target.merge_request: target.state for target in previewed.look().targets}
    assert states == {good: State.APPLIED, good + 1: State.REFUSED}


def test_a_label_that_somebody_wrote_makes_no_preview_of_theirs(previewed):
    previewed.follower.look()
    previewed.follower.store.apply(
        {
            "apiVersion": "cdl.dev/v1alpha1",
            "kind": "DataPipeline",
            "metadata": {"name": "mine", "namespace": "theirs", "labels": {MANAGED_BY_LABEL: "tiny-mr-7"}},
            "spec": previewed.follower.store.documents("DataPipeline")[0]["spec"],
        }
    )
    previewed.look()
    assert previewed.there()["theirs"] == ["DataPipeline"]


def test_nothing_is_remembered(previewed):
    number, _ = proposed(previewed)
    previewed.look()
    shutil.rmtree(previewed.follower.place / "previews")
    before = version(previewed)
    assert previewed.look().changes == ()
    assert version(previewed) == before
    shutil.rmtree(previewed.follower.place / "previews")
    previewed.change(number, open=False)
    previewed.look()
    assert previewed.there() == {}


def test_whoever_suspends_the_follower_suspends_its_previews(previewed):
    number, _ = proposed(previewed)
    previewed.look()
    before = version(previewed)
    (previewed.follower.place / "suspend").touch()
    previewed.change(number, open=False)
    assert "suspended by the file" in previewed.look().fault
    record = previewed.follower.look()
    assert record.state is State.SUSPENDED
    assert version(previewed) == before
    (previewed.follower.place / "suspend").unlink()
    previewed.look()
    assert previewed.there() == {}
    assert previewed.follower.look().state is State.APPLIED


def test_two_at_once_are_one(previewed):
    previews = previewed.again()
    seen = []

    class Meeting:
        def open_merge_requests(self, target):
            with pytest.raises(Rejected, match="another cdl gitops looks after"):
                previewed.look()
            seen.append(target)
            raise Unavailable("enough")

    previewed.look(forge=Meeting())
    assert seen == ["main"]
    assert previews.look().fault == ""


def test_two_namespaces_of_one_name_cannot_be_one_preview(tmp_path):
    follower = follower_in(tmp_path)
    previewed = Previewed(follower)
    text = (follower.origin.work / "resources/datapipeline.yaml").read_text()
    follower.origin.write("resources/twice.yaml", text.replace("{name: tiny}", "{name: tiny, namespace: b}"))
    follower.origin.push()
    previewed.open("twice", follower.origin.branch("twice"))
    (target,) = previewed.look().targets
    assert "DataPipeline tiny: is in two namespaces, and both would go to tiny-mr-1" in target.sentence
    follower.store.close()
