"""What `cdl gitops` counts, under its documented names, and the events it posts."""

import inspect

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cdl.api.v1alpha1 import Experiment
from cdl.gitops.listener import Listener, Look
from cdl.kube.following import Following
from cdl.loop.observer import timed
from cdl.ports.errors import Unavailable
from cdl.reconcile.gitops import State
from cdl.testing.builders import experiment_document
from cdl.testing.memory import MemoryForge
from tests.architecture.tree import ROOT

SHA, NOW = "a" * 40, 1000.0


class Posted:
    """Events by whom they are about."""

    def __init__(self):
        self.events = []

    def __call__(self, document, notes):
        about = document["kind"], document["metadata"]["namespace"], document["metadata"]["name"]
        self.events += [(*about, note.type, note.reason, note.message) for note in notes]


@pytest.fixture
def posted():
    return Posted()


@pytest.fixture
def following(posted):
    return Following(posted, lambda: NOW)


def samples(following):
    """Every sample by name and labels."""
    families = text_string_to_metric_families(generate_latest(following.registry).decode())
    found = {}
    for family in families:
        for sample in family.samples:
            if sample.name.startswith("cdl_gitops") and not sample.name.endswith("_created"):
                found[sample.name, tuple(sorted(sample.labels.values()))] = sample.value
    return found


def look(state=State.APPLIED, **parts):
    given = {"project": "news", "namespace": "prod", "preview": False, "head": SHA, "state": state, "sentence": "said"}
    return Look(**given | {"drifted": 0, "fresh": False, "news": False} | parts)


def experiment():
    return Experiment.read(experiment_document() | {"metadata": {"name": "news", "namespace": "prod", "uid": "u1"}})


def test_it_hears_everything_that_is_told():
    for name, method in vars(Listener).items():
        if not name.startswith("_") and name != "looked":
            assert (
                inspect.signature(getattr(Following, name)).parameters.keys()
                == inspect.signature(method).parameters.keys()
            ), name
    assert {name for name in vars(Listener) if not name.startswith("_")} <= set(dir(Following))


def test_commits_are_counted_by_what_became_of_them(following):
    assert following.ready() == (False, "nobody has looked at the branch yet")
    following.looked(look(State.UNREACHABLE, news=True))
    assert following.ready() == (True, "following")
    following.looked(look(fresh=True, news=True, committed=NOW - 20))
    following.looked(look())
    following.looked(look(State.REFUSED, fresh=True, news=True, drifted=2))
    found = samples(following)
    assert found["cdl_gitops_commits_total", ("branch", "seen")] == 2
    assert found["cdl_gitops_commits_total", ("applied", "branch")] == 1
    assert found["cdl_gitops_commits_total", ("branch", "refused")] == 1
    assert found["cdl_gitops_looks_total", ("Applied", "branch")] == 2
    assert found["cdl_gitops_last_applied_timestamp_seconds", ("news",)] == NOW
    assert found["cdl_gitops_last_applied_commit_timestamp_seconds", ("news",)] == NOW - 20
    assert found["cdl_gitops_commit_to_applied_seconds_sum", ("branch",)] == 20
    assert found["cdl_gitops_commit_to_applied_seconds_count", ("branch",)] == 1
    assert found["cdl_gitops_drifted", ("news",)] == 2


def test_merge_requests_leave_no_lines_of_their_own(following):
    for number in range(30):
        following.looked(look(project=f"news-mr-{number}", preview=True, fresh=True, news=True, committed=NOW))
    labels = {labels for _, labels in samples(following)}
    assert not any("mr" in label for some in labels for label in some)
    assert samples(following)["cdl_gitops_commits_total", ("applied", "merge request")] == 30
    assert following.ready()[0] is False


def test_a_clock_that_is_ahead_makes_nothing_negative(following):
    following.looked(look(news=True, committed=NOW + 60))
    assert samples(following)["cdl_gitops_commit_to_applied_seconds_sum", ("branch",)] == 0


def test_what_is_done_to_resources_is_counted_and_said_on_them(following, posted):
    document = experiment().plain()
    following.applied(experiment(), SHA, "", preview=False)
    following.applied(experiment(), SHA, "spec.interval changed outside git; corrected", preview=False)
    following.pruned(document, SHA, preview=False)
    following.pruned(document, "", preview=True)
    found = samples(following)
    assert {labels: value for (name, labels), value in found.items() if name == "cdl_gitops_resources_total"} == {
        ("applied", "branch"): 1,
        ("branch", "corrected"): 1,
        ("branch", "pruned"): 1,
        ("merge request", "pruned"): 1,
    }
    about = ("Experiment", "prod", "news", "Normal")
    assert posted.events == [
        (*about, "Applied", "as commit aaaaaaaaaaaa says"),
        (*about, "DriftCorrected", "spec.interval changed outside git; corrected"),
        (*about, "Pruned", "commit aaaaaaaaaaaa does not have it"),
        (*about, "Pruned", "its merge request is over"),
    ]


def test_a_refused_commit_is_said_on_the_namespace_once(following, posted):
    following.looked(look(State.REFUSED, news=True, sentence="aaa: resources/x.yaml: spec.data is missing"))
    following.looked(look(State.REFUSED))
    following.looked(look(State.REFUSED, news=True, namespace=""))
    refused = ("Warning", "Refused", "aaa: resources/x.yaml: spec.data is missing")
    assert posted.events == [("Namespace", "prod", "prod", *refused)]


def test_webhooks_and_calls_of_the_forge_are_counted_by_outcome(following):
    following.knocked("accepted")
    following.knocked("refused: wrong token")
    forge = MemoryForge()
    asked = timed(forge, "forge", following)
    assert asked.open_merge_requests("main") == ()
    forge.weather.down = True
    with pytest.raises(Unavailable):
        asked.approvals(1)
    following.event_dropped()
    found = samples(following)
    assert found["cdl_gitops_webhooks_total", ("accepted",)] == 1
    assert found["cdl_gitops_webhooks_total", ("refused: wrong token",)] == 1
    assert found["cdl_gitops_forge_calls_total", ("ok", "open_merge_requests")] == 1
    assert found["cdl_gitops_forge_calls_total", ("Unavailable", "approvals")] == 1
    assert found["cdl_gitops_forge_call_seconds_count", ("approvals",)] == 1
    assert found["cdl_gitops_events_dropped_total", ()] == 1


def test_every_name_is_documented(following):
    page = (ROOT / "docs" / "how-to" / "gitops.md").read_text(encoding="utf-8")
    kinds = {"counter": "_total"}
    for family in following.registry.collect():
        if family.name.startswith("cdl_gitops"):
            assert f"`{family.name}{kinds.get(family.type, '')}" in page, family.name
