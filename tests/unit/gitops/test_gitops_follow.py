"""What a branch says is what is stored: applied, corrected, pruned, and said in one sentence when it cannot be."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cdl.api.meta import (
    AUTHORS_ANNOTATION,
    MANAGED_BY_LABEL,
    PROJECT_ANNOTATION,
    PRUNE_ANNOTATION,
    REVISION_ANNOTATION,
    Key,
)
from cdl.api.v1alpha1 import Experiment, ModelDeployment
from cdl.cli import project
from cdl.gitops.git import Limits
from cdl.gitops.turns import alone
from cdl.ports.errors import Rejected
from cdl.reconcile.gitops import Policy, State
from cdl.stores.artifacts import DirectoryArtifacts
from tests.unit.gitops.gitops_rig import NAME, git, stored

PIPELINE = Key("DataPipeline", "default", "tiny")
EXPERIMENT = Key("Experiment", "default", "tiny")
DEPLOYMENT = Key("ModelDeployment", "default", "tiny")
YAML = "resources/modeldeployment.yaml"


def spec_of(store, key):
    (found,) = [d for d in store.documents(key.kind) if d["metadata"]["name"] == key.name]
    return found["spec"]


def version_of(store):
    return store.changed_since(0)[0]


def test_a_push_is_applied_with_its_commit_and_its_authors(follower):
    commit = follower.origin.push()
    record = follower.look()
    assert (record.state, record.last_applied) == (State.APPLIED, commit)
    assert record.inventory == tuple(str(key) for key in (PIPELINE, EXPERIMENT, DEPLOYMENT))
    for _, notes in stored(follower.store).values():
        assert notes[REVISION_ANNOTATION] == commit
        assert notes[AUTHORS_ANNOTATION] == "ada@example.org"
        assert notes["cdl.dev/applied-by"] == "cdl-gitops"


def test_code_is_packed_as_cdl_render_packs_it(follower, tmp_path):
    follower.origin.push()
    follower.look()
    artifacts = DirectoryArtifacts(tmp_path / "elsewhere")
    (document,) = [d for d in project.read(follower.origin.work) if d.resource.kind == "Experiment"]
    rendered = project.packed(document, artifacts)["spec"]["code"]
    found = spec_of(follower.store, EXPERIMENT)["code"]
    assert {part: found[part]["sha256"] for part in ("archive", "serve")} == {
        part: rendered[part]["sha256"] for part in ("archive", "serve")
    }


def test_what_is_not_committed_is_not_applied(follower):
    follower.origin.push()
    follower.origin.write("model/train.py", "print('dirty')\n")
    follower.look()
    before = spec_of(follower.store, EXPERIMENT)
    follower.origin.push()
    follower.look()
    assert spec_of(follower.store, EXPERIMENT)["code"] != before["code"]


def test_looking_again_writes_nothing(follower):
    follower.origin.push()
    follower.look()
    before, status = version_of(follower.store), (follower.place / "status.json").read_bytes()
    controller = follower.again()
    first = controller.look()
    assert controller.look() == first
    assert version_of(follower.store) == before
    assert json.loads(status)["lastApplied"] == first.last_applied
    assert len(first.history) == 1


def test_a_push_that_changes_no_resource_writes_nothing(follower):
    first = follower.origin.push()
    follower.look()
    before = version_of(follower.store)
    follower.origin.write("README.md", "read me\n")
    second = follower.origin.push()
    record = follower.look()
    assert record.last_applied == second
    assert version_of(follower.store) == before
    assert {notes[REVISION_ANNOTATION] for _, notes in stored(follower.store).values()} == {first}


def test_code_alone_is_a_change_and_a_revert_takes_it_back(follower):
    follower.origin.push()
    follower.look()
    before = spec_of(follower.store, EXPERIMENT)
    follower.origin.write("model/more.py", "x = 1\n")
    follower.origin.push(who="grace")
    follower.look()
    generation, notes = stored(follower.store)["Experiment", "tiny"]
    assert generation == 2
    assert notes[AUTHORS_ANNOTATION] == "grace@example.org"
    git(follower.origin.work, "revert", "--no-edit", "HEAD")
    reverted = follower.origin.push()
    assert follower.look().last_applied == reverted
    assert spec_of(follower.store, EXPERIMENT) == before
    assert stored(follower.store)["Experiment", "tiny"][0] == 3


def test_everybody_who_wrote_since_the_last_revision_is_an_author(follower):
    follower.origin.push()
    follower.look()
    follower.origin.write("model/more.py", "x = 1\n")
    follower.origin.push(who="grace")
    follower.origin.write("README.md", "read me\n")
    follower.origin.push(who="linus")
    follower.look()
    assert stored(follower.store)["Experiment", "tiny"][1][AUTHORS_ANNOTATION] == "grace@example.org,linus@example.org"


def test_of_several_merges_between_two_looks_each_resource_carries_its_own(follower):
    """Whoever asks what was agreed to asks of that commit; the last merge of all knows nothing of the others."""
    origin, first = follower.origin, follower.origin.push()
    follower.look()
    origin.change("resources/experiment.yaml", "max_trials: 3", "max_trials: 4")
    origin.branch("wider")
    origin.write("README.md", "read me\n")
    origin.branch("words")
    git(origin.work, "merge", "-q", "--no-ff", "-m", "Merge wider", "wider")
    wider = git(origin.work, "rev-parse", "HEAD")
    git(origin.work, "merge", "-q", "--no-ff", "-m", "Merge words", "words")
    git(origin.work, "push", "-q", "origin", "HEAD:main")
    assert follower.look().last_applied == git(origin.work, "rev-parse", "HEAD") != wider
    revisions = {kind: notes[REVISION_ANNOTATION] for (kind, _), (_, notes) in stored(follower.store).items()}
    assert revisions == {"DataPipeline": first, "Experiment": wider, "ModelDeployment": first}


def test_what_is_corrected_keeps_the_commit_it_came_with(follower):
    first = follower.origin.push()
    follower.look()
    follower.origin.write("README.md", "read me\n")
    follower.origin.push(who="grace")
    follower.look()
    follower.store.change(EXPERIMENT, {"spec": {"interval": "99m"}})
    assert follower.look().changes == (f"{EXPERIMENT} configured",)
    notes = stored(follower.store)["Experiment", "tiny"][1]
    assert notes[REVISION_ANNOTATION] == first
    assert "ada@example.org" in notes[AUTHORS_ANNOTATION].split(",")


def test_that_a_project_is_named_later_is_no_change_of_the_commit(follower):
    first = follower.origin.push()
    follower.look()
    for name in ("README.md", "NOTES.md"):
        follower.origin.write(name, "read me\n")
        follower.origin.push(who="grace")
    follower.project = "team/tiny"
    follower.look()
    for _, notes in stored(follower.store).values():
        assert (notes[REVISION_ANNOTATION], notes[PROJECT_ANNOTATION]) == (first, "team/tiny")
    assert follower.look().changes == ()


def test_what_leaves_git_is_pruned_and_nothing_else(follower):
    follower.origin.push()
    follower.look()
    follower.store.apply(
        {"apiVersion": "cdl.dev/v1alpha1", "kind": "DataPipeline", "metadata": {"name": "mine"},
         "spec": spec_of(follower.store, PIPELINE)}
    )  # fmt: skip
    (follower.origin.work / YAML).unlink()
    follower.origin.push()
    record = follower.look()
    assert record.changes == (f"{DEPLOYMENT} pruned",)
    assert set(stored(follower.store)) == {("DataPipeline", "mine"), ("DataPipeline", "tiny"), ("Experiment", "tiny")}


@pytest.mark.parametrize("how", ["annotation", "option"])
def test_what_leaves_git_stays_where_people_want_it(follower, how):
    if how == "annotation":
        follower.origin.change(
            YAML, "{name: tiny}\n", f"{{name: tiny, annotations: {{{PRUNE_ANNOTATION}: disabled}}}}\n"
        )
    follower.origin.push()
    follower.look()
    (follower.origin.work / YAML).unlink()
    follower.origin.push()
    record = follower.look(policy=Policy(NAME, prune=how != "option"))
    assert record.state is State.APPLIED
    assert ("ModelDeployment", "tiny") in stored(follower.store)
    assert [line.startswith(f"{DEPLOYMENT}: left git, and stays") for line in record.kept] == [True]


def test_nothing_at_all_is_pruned_only_when_it_is_allowed(follower):
    first = follower.origin.push()
    follower.look()
    for path in (follower.origin.work / "resources").iterdir():
        path.unlink()
    follower.origin.write("resources/none.yaml", "")
    follower.origin.push()
    record = follower.look()
    assert record.state is State.REFUSED
    assert record.last_applied == first
    assert "would prune all 3" in record.message
    assert len(stored(follower.store)) == 3
    assert follower.look(policy=Policy(NAME, allow_empty=True)).state is State.APPLIED
    assert stored(follower.store) == {}


@pytest.mark.parametrize("correct", [True, False])
def test_what_somebody_changed_is_corrected_or_reported(follower, correct):
    follower.origin.push()
    follower.look()
    follower.store.change(EXPERIMENT, {"spec": {"interval": "99m"}})
    policy = Policy(NAME, correct=correct)
    record = follower.look(policy=policy)
    said = "corrected" if correct else "left as it is"
    assert record.drift == (f"{EXPERIMENT}: spec.interval changed outside git; {said}",)
    assert (spec_of(follower.store, EXPERIMENT)["interval"] == "99m") is not correct
    assert (follower.look(policy=policy).drift == ()) is correct


@pytest.mark.parametrize("correct", [True, False])
def test_what_somebody_deleted_comes_back_or_is_reported(follower, correct):
    follower.origin.push()
    follower.look()
    follower.store.delete(DEPLOYMENT)
    record = follower.look(policy=Policy(NAME, correct=correct))
    assert len(record.drift) == 1
    assert (("ModelDeployment", "tiny") in stored(follower.store)) is correct


def test_labels_of_others_are_theirs(follower):
    follower.origin.push()
    follower.look()
    follower.store.change(EXPERIMENT, {"metadata": {"labels": {"team": "vision"}}})
    assert follower.look().drift == ()
    assert follower.store.get(Experiment, "default", "tiny").metadata.labels["team"] == "vision"


def test_a_rollback_stays_until_git_says_something_else(follower):
    follower.origin.push()
    follower.look()
    follower.store.change(DEPLOYMENT, {"spec": {"model": {"policy": "Pinned", "version": 3}}})
    record = follower.look()
    assert "a rollback pinned its version" in record.drift[0]
    assert follower.store.get(ModelDeployment, "default", "tiny").spec.model.version == 3
    follower.origin.change(YAML, "{name: tiny}\n", "{name: tiny, labels: {tier: gold}}\n")
    follower.origin.push()
    follower.look()
    assert follower.store.get(ModelDeployment, "default", "tiny").spec.model.version is None


def test_a_rewritten_branch_is_followed_and_said(follower):
    first = follower.origin.push()
    follower.look()
    git(follower.origin.work, "commit", "--amend", "-q", "-m", "Another")
    follower.origin.write("model/more.py", "x = 1\n")
    second = follower.origin.push("More", "ada", "--force")
    record = follower.look()
    assert record.last_applied == second
    assert record.changes[0] == f"the branch was rewritten: it does not hold {first[:12]} any more"
    assert stored(follower.store)["Experiment", "tiny"][0] == 2


def test_a_deleted_branch_keeps_what_runs(follower):
    first = follower.origin.push()
    follower.look()
    before = version_of(follower.store)
    git(follower.origin.bare, "update-ref", "-d", "refs/heads/main")
    record = follower.look()
    assert (record.state, record.last_applied) == (State.BRANCH_GONE, first)
    assert version_of(follower.store) == before
    git(follower.origin.bare, "update-ref", "refs/heads/main", first)
    assert follower.look().state is State.APPLIED


def test_a_repository_that_is_away_keeps_what_runs(follower):
    follower.origin.push()
    follower.look()
    before = version_of(follower.store)
    away = follower.origin.bare.with_name("away")
    follower.origin.bare.rename(away)
    record = follower.look()
    assert record.state is State.UNREACHABLE
    assert "does not appear to be a git repository" in record.message
    assert version_of(follower.store) == before
    away.rename(follower.origin.bare)
    assert follower.look().state is State.APPLIED


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("resources/experiment.yaml", "metric: accuracy, min", "metrik: accuracy, min", "spec.evaluation.gates"),
        ("resources/experiment.yaml", "file:../model", "file:../nowhere", "spec.code.archive.uri"),
        ("resources/experiment.yaml", "file:../model", "file:../../..", "leads out of the project"),
        ("resources/experiment.yaml", "model: {name: tiny}", "model: {name: other}", "spec.model"),
    ],
)
def test_of_a_wrong_commit_nothing_is_applied(follower, name, old, new, sentence):
    first = follower.origin.push()
    follower.look()
    before = version_of(follower.store)
    follower.origin.write("resources/another.yaml", (follower.origin.work / YAML).read_text().replace("tiny", "other"))
    follower.origin.change(name, old, new)
    wrong = follower.origin.push()
    record = follower.look()
    assert (record.state, record.last_applied, record.last_attempted) == (State.REFUSED, first, wrong)
    assert sentence in record.message
    assert str(follower.home) not in record.message
    assert version_of(follower.store) == before


def test_a_path_and_a_namespace(follower):
    shutil.copytree(follower.origin.work / "resources", follower.origin.work / "deep" / "project" / "resources")
    for part in ("model", "serve"):
        shutil.copytree(follower.origin.work / part, follower.origin.work / "deep" / "project" / part)
    follower.origin.push()
    follower.path, follower.namespace = "deep/project", "dev"
    assert follower.look().state is State.APPLIED
    assert {d["metadata"]["namespace"] for d in follower.store.documents()} == {"dev"}
    follower.path = "no/such"
    assert "no/such: there is no such folder at this commit" in follower.look().message


def test_the_resources_of_another_project_are_left_alone(follower):
    follower.origin.push()
    follower.look()
    follower.store.change(EXPERIMENT, {"metadata": {"labels": {MANAGED_BY_LABEL: "another"}}})
    record = follower.look()
    assert record.state is State.REFUSED
    assert "belongs to the project another" in record.message


def test_a_broken_copy_is_made_again(follower):
    follower.origin.push()
    follower.look()
    for pack in (follower.place / "mirror.git" / "objects").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(b"nothing")
    follower.origin.write("model/more.py", "x = 1\n")
    last = follower.origin.push()
    for _ in range(3):
        record = follower.look()
    assert (record.state, record.last_applied) == (State.APPLIED, last)


def test_too_much_is_refused(follower):
    first = follower.origin.push()
    follower.look()
    follower.origin.write("model/weights.bin", "0" * 3_000_000)
    follower.origin.push()
    follower.limits = Limits(size=1 << 20)
    record = follower.look()
    assert (record.state, record.last_applied) == (State.REFUSED, first)
    assert "the largest is model/weights.bin, 3000000 bytes" in record.message


def test_a_second_follower_of_the_same_is_turned_away(follower):
    follower.origin.push()
    follower.look()
    with (follower.place / "lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Rejected, match="another cdl gitops looks after this"):
            follower.look()
    assert follower.look().state is State.APPLIED


def test_a_child_that_is_just_being_started_does_not_keep_the_lock(tmp_path):
    """It has every open file from when it is made until it runs its program; another thread looks again meanwhile."""
    with alone(tmp_path):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[_held(tmp_path / "lock")])
    try:
        with alone(tmp_path):
            assert child.poll() is None
    finally:
        child.communicate()


def _held(path):
    """The open file of this process that is at a path."""
    links = {int(link.name): link for link in Path("/proc/self/fd").iterdir() if link.exists()}
    return next(number for number, link in links.items() if link.resolve() == path.resolve())


def test_what_is_being_deleted_comes_back_once_it_is_gone(follower):
    follower.origin.push()
    follower.look()
    resource = follower.store.get(Experiment, "default", "tiny")
    follower.store.write_finalizers(EXPERIMENT, ("cdl.dev/engines",), resource.metadata.resource_version)
    follower.store.delete(EXPERIMENT)
    record = follower.look()
    assert record.state is State.WAITING
    assert "Experiment default/tiny: is being deleted; it is applied again once it is gone" in record.message
    resource = follower.store.get(Experiment, "default", "tiny")
    follower.store.write_finalizers(EXPERIMENT, (), resource.metadata.resource_version)
    assert follower.look().changes == (f"{EXPERIMENT} created",)


def test_a_report_that_cannot_be_read_is_as_good_as_none(follower):
    commit = follower.origin.push()
    follower.look()
    before = version_of(follower.store)
    (follower.place / "status.json").write_text("{")
    record = follower.look()
    assert (record.state, record.last_applied) == (State.APPLIED, commit)
    assert version_of(follower.store) == before
