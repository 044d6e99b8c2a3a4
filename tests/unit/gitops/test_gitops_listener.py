"""Whoever listens to following hears each resource that is written or deleted, each commit, and how looks end."""

from dataclasses import replace

from cdl.gitops.listener import SILENT, Listener
from cdl.reconcile.gitops import Policy, State
from tests.unit.gitops.gitops_rig import git

YAML = "resources/modeldeployment.yaml"


class Ears:
    """Remembers what is heard."""

    def __init__(self):
        self.looks, self.written, self.gone = [], [], []

    def looked(self, look):
        self.looks.append(look)

    def applied(self, resource, commit, strayed, *, preview):
        self.written.append((resource.kind, commit, strayed, preview))

    def pruned(self, document, commit, *, preview):
        self.gone.append((document["kind"], document["metadata"]["uid"], commit, preview))


def heard(follower, **how):
    """Look once, as whoever was started anew."""
    controller = follower.again(**how)
    controller.listener = ears = Ears()
    controller.look()
    return ears


def test_a_commit_is_heard_once_and_its_resources_as_they_are_written(follower):
    sha = follower.origin.push()
    first = heard(follower)
    assert first.written == [(kind, sha, "", False) for kind in ("DataPipeline", "Experiment", "ModelDeployment")]
    [look] = first.looks
    assert (look.head, look.state, look.fresh, look.news, look.preview) == (sha, State.APPLIED, True, True, False)
    assert look.committed == float(git(follower.origin.work, "show", "--no-patch", "--format=%ct", sha))
    again = heard(follower)
    assert again.written == []
    assert [(look.fresh, look.news, look.committed) for look in again.looks] == [(False, False, None)]


def test_what_was_changed_elsewhere_is_heard_with_what_it_was(follower):
    follower.origin.push()
    follower.look()
    [deployment] = follower.store.documents("ModelDeployment")
    change = {"kind": "ModelDeployment", "apiVersion": deployment["apiVersion"], "metadata": deployment["metadata"]}
    follower.store.apply({**change, "spec": {**deployment["spec"], "predictor": {"replicas": 3}}})
    left = heard(follower, policy=Policy("tiny", correct=False))
    assert (left.written, left.looks[0].drifted) == ([], 1)
    [(kind, _, strayed, _)] = heard(follower).written
    assert kind == "ModelDeployment"
    assert "changed outside git; corrected" in strayed


def test_what_left_git_is_heard_by_what_it_was(follower):
    follower.origin.push()
    follower.look()
    [there] = follower.store.documents("ModelDeployment")
    (follower.origin.work / YAML).unlink()
    sha = follower.origin.push()
    assert heard(follower).gone == [("ModelDeployment", there["metadata"]["uid"], sha, False)]


def test_what_is_refused_is_news_once(follower):
    follower.origin.push()
    follower.look()
    follower.origin.change(YAML, "kind: ModelDeployment", "kind: Nothing")
    sha = follower.origin.push()
    told = [heard(follower).looks[0] for _ in range(2)]
    assert [(look.head, look.state, look.fresh, look.news) for look in told] == [
        (sha, State.REFUSED, True, True),
        (sha, State.REFUSED, False, False),
    ]
    assert told[0].sentence.startswith(f"{sha[:12]}: ")


def test_previews_are_heard_as_such(previewed):
    sha = previewed.follower.origin.branch("wider")
    number = previewed.open("wider", sha)
    ears = Ears()

    def look():
        made = previewed.again()
        made.means = replace(made.means, listener=ears)
        made.look()

    look()
    assert {(kind, preview) for kind, _, _, preview in ears.written} == {("DataPipeline", True), ("Experiment", True)}
    assert [(one.preview, one.head, one.namespace) for one in ears.looks] == [(True, sha, f"tiny-mr-{number}")]
    previewed.change(number, open=False)
    look()
    assert {(kind, commit, preview) for kind, _, commit, preview in ears.gone} == {
        ("DataPipeline", "", True),
        ("Experiment", "", True),
    }


def test_nobody_needs_to_listen():
    """What a listener may hear, the silent one hears."""
    for name in vars(Listener):
        assert name.startswith("_") or callable(getattr(SILENT, name))
