"""A team's day with kubectl: apply, look, edit, suspend, ask, delete; on a real API server, with real operators.

The tests of this module share one namespace and follow one another.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
import yaml

from tests.kube.platform_up import KINDS, answered, ask, asked_all_the_time, tiny_project

NAMESPACE = "story"
OVER = {"COMPLETED", "CANCELED", "ERROR"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tiny_project(tmp_path_factory.mktemp("story") / "tiny", NAMESPACE)


@pytest.fixture(scope="module")
def story(platform, project):
    """The platform, with the tiny project applied and Ready."""
    platform.kubectl("create", "namespace", NAMESPACE)
    platform.apply(platform.rendered(project), "-n", NAMESPACE)
    platform.wait(NAMESPACE)
    return platform


def hyperparameters(**more):
    return {"config": {"hyperparameters": more}}


def states(platform):
    return {run.id: run.state for run in platform.runs(NAMESPACE)}


def released(platform):
    return platform.resource("experiment", NAMESPACE)["status"]["release"]


def test_what_is_applied_comes_to_a_prediction_of_the_release_it_made(story):
    url = story.url(NAMESPACE)
    release = story.resource("release", NAMESPACE, "story-1")
    assert answered(url, "prices are rising and soaring") == "up"
    assert answered(url, "the stone is falling") == "down"
    assert ask(url).json()["meta"]["tags"]["digest"] == release["spec"]["digest"]
    assert release["status"]["approval"]["by"] == "policy/Automatic"
    assert [run.state for run in story.runs(NAMESPACE)] == ["COMPLETED"]
    assert story.servers(NAMESPACE) == ["tiny"]


def test_a_second_apply_changes_nothing_and_runs_nothing(story, project):
    held, jobs = story.held(NAMESPACE), story.jobs(NAMESPACE)
    before = {kind: story.resource(kind, NAMESPACE)["metadata"]["resourceVersion"] for kind in KINDS}
    said = story.apply(story.rendered(project), "-n", NAMESPACE)
    assert said.count(" unchanged") == len(KINDS), said
    story.looked_at("modeldeployment", NAMESPACE)
    assert (story.held(NAMESPACE), story.jobs(NAMESPACE)) == (held, jobs)
    quiet = {kind: story.resource(kind, NAMESPACE)["metadata"]["resourceVersion"] for kind in KINDS[:2]}
    assert quiet == {kind: before[kind] for kind in KINDS[:2]}


def test_get_shows_what_came_of_it(story):
    for kind, ready in (("datapipeline", "6/6"), ("experiment", "3/3"), ("modeldeployment", "1/1")):
        head, row = story.kubectl("get", kind, "-n", NAMESPACE).splitlines()
        assert head.split() == ["NAME", "READY", "STATUS", "PROGRESS", "REVISION", "AGE"]
        assert row.split()[:4] == ["tiny", "True", "Succeeded", ready]
    _, row = story.kubectl("get", "release", "-n", NAMESPACE).splitlines()
    assert row.split()[:4] == ["story-1", "story", "1", "Approved"]
    wide = story.kubectl("get", "cdl", "-n", NAMESPACE, "-o", "wide")
    dataset = story.resource("datapipeline", NAMESPACE)["status"]["dataset"]["version"]
    for told in (dataset, story.url(NAMESPACE), "49 train and 16 test files, 2 rejected", "story-1 approved"):
        assert told in wide


@pytest.mark.parametrize(
    ("kind", "conditions", "events"),
    [
        ("datapipeline", {"Ready": "Succeeded", "DataReady": "DatasetReady"}, ["DatasetReady", "Succeeded"]),
        (
            "experiment",
            {
                "Ready": "Succeeded",
                "Trained": "TrainingDone",
                "GatesPassed": "GatesMet",
                "Released": "ReleaseWritten",
                "Approved": "ApprovedByPolicy",
            },
            ["TrainingDone", "ApprovedByPolicy", "GatesMet", "ReleaseWritten", "Succeeded"],
        ),
        ("modeldeployment", {"Ready": "Succeeded", "Serving": "Available"}, ["Available"]),
    ],
)
def test_describe_tells_the_story(story, kind, conditions, events):
    found = story.resource(kind, NAMESPACE)["status"]["conditions"]
    assert {c["type"]: c["reason"] for c in found} == conditions
    assert {c["status"] for c in found} == {"True"}

    def told():
        text = story.kubectl("describe", kind, "tiny", "-n", NAMESPACE).partition("\nEvents:")[2]
        return re.findall(r"(Normal|Warning) +(\w+) +\S+ +cdl-operator +\S", text)

    story.until("the last event", lambda: any(reason == events[-1] for _, reason in told()))
    assert [reason for _, reason in told() if reason in events] == events
    assert {kind for kind, _ in told()} == {"Normal"}


def test_an_edited_running_experiment_starts_afresh_and_nothing_else_does(story, tmp_path):
    hold = tmp_path / "hold"
    hold.touch()
    jobs, first, url = story.jobs(NAMESPACE), set(states(story)), story.url(NAMESPACE)
    story.patch("experiment", NAMESPACE, hyperparameters(hold=str(hold)))
    (old,) = story.until("a second run", lambda: set(states(story)) - first)
    story.is_for("experiment", NAMESPACE, "Training")
    assert answered(url) == "up"
    story.edit("experiment", NAMESPACE, "maxval: 2\n", "maxval: 1.25\n")
    (new,) = story.until("a third run", lambda: set(states(story)) - first - {old})
    story.until("the end of the second run", lambda: states(story)[old] == "CANCELED")
    assert states(story)[new] not in OVER
    hold.unlink()
    story.wait(NAMESPACE, "experiment/tiny")
    story.until(
        "the new release", lambda: story.resource("modeldeployment", NAMESPACE)["status"]["release"] == "story-2"
    )
    assert states(story) == {**dict.fromkeys(first, "COMPLETED"), old: "CANCELED", new: "COMPLETED"}
    assert story.jobs(NAMESPACE) == jobs
    assert released(story) == "story-2"
    assert story.resource("release", NAMESPACE, "story-3") is None
    assert answered(story.url(NAMESPACE)) == "up"


def test_a_suspended_experiment_runs_nothing_and_goes_on_afterwards(story):
    before = states(story)
    story.patch("experiment", NAMESPACE, {"suspend": True})
    assert "suspend" in story.is_for("experiment", NAMESPACE, "Suspended")["message"]
    story.patch("experiment", NAMESPACE, hyperparameters(epochs=2))
    story.looked_at("experiment", NAMESPACE)
    story.is_for("experiment", NAMESPACE, "Suspended")
    assert states(story) == before
    assert " Suspended " in story.kubectl("get", "experiment", "-n", NAMESPACE)
    story.patch("experiment", NAMESPACE, {"suspend": False})
    story.is_for("experiment", NAMESPACE, "Succeeded")
    assert len(states(story)) == len(before) + 1
    assert released(story) == "story-3"
    story.until("its servers", lambda: ask(story.url(NAMESPACE)).json()["meta"]["tags"]["release"] == "story-3")


def test_what_is_taken_away_behind_our_back_comes_back_unless_suspended(story):
    story.wait(NAMESPACE, "modeldeployment/tiny")
    story.patch("modeldeployment", NAMESPACE, {"suspend": True})
    story.is_for("modeldeployment", NAMESPACE, "Suspended")
    story.remove_server(NAMESPACE)
    story.looked_at("modeldeployment", NAMESPACE)
    assert story.servers(NAMESPACE) == []
    story.patch("modeldeployment", NAMESPACE, {"suspend": False})
    story.until("its servers", lambda: (url := story.url(NAMESPACE)) and ask(url).status_code == 200)


def test_no_request_fails_while_somebody_with_the_right_goes_back(story, project):
    story.wait(NAMESPACE)
    for user, role in (("dora", "devops-engineer"), ("sid", "data-scientist")):
        bound = (f"--clusterrole=cdl-{role}", f"--user={user}", "-n", NAMESPACE)
        story.kubectl("create", "rolebinding", user, *bound)
    dora, sid = (str(story.identity(user)) for user in ("dora", "sid"))
    refused = story.cdl("rollback", "tiny", "-n", NAMESPACE, CDL_KUBECONFIG=sid)
    assert refused.returncode == 1
    assert "sid" in refused.stderr
    assert "Traceback" not in refused.stderr
    with asked_all_the_time(story.url(NAMESPACE)) as statuses:
        story.until("answers", lambda: statuses)
        done = story.cdl("rollback", "tiny", "--to", 1, "--reason", "better", "-n", NAMESPACE, CDL_KUBECONFIG=dora)
    assert done.returncode == 0, done.stderr
    print(done.stdout.splitlines()[0])
    assert set(statuses) == {200}
    assert ask(story.url(NAMESPACE)).json()["meta"]["tags"]["release"] == "story-1"
    notes = story.resource("modeldeployment", NAMESPACE)["metadata"]["annotations"]
    assert notes["cdl.dev/rollback-reason"] == "story-1: better"
    assert notes["cdl.dev/applied-by"] == "dora"


def test_a_rollback_lasts_until_somebody_ends_it(story, project):
    again = story.run("apply", "-n", NAMESPACE, "-f", "-", input=story.rendered(project))
    assert "version goes with policy: Pinned" in again.stderr
    assert story.resource("modeldeployment", NAMESPACE)["spec"]["model"]["version"] == 1
    done = story.cdl("rollback", "tiny", "--latest", "-n", NAMESPACE)
    assert done.returncode == 0, done.stderr
    assert ask(story.url(NAMESPACE)).json()["meta"]["tags"]["release"] == "story-3"
    assert "version" not in story.resource("modeldeployment", NAMESPACE)["spec"]["model"]


def test_an_annotation_asks_for_a_look_at_once(story):
    asked = datetime.now(UTC).isoformat()
    story.kubectl("annotate", "datapipeline", "tiny", "-n", NAMESPACE, f"cdl.dev/requestedAt={asked}", "--overwrite")
    story.until(
        "the answer",
        lambda: story.resource("datapipeline", NAMESPACE)["status"]["lastHandledRequestedAt"] == asked,
    )
    assert story.condition("datapipeline", NAMESPACE)["reason"] == "Succeeded"


def test_what_is_orphaned_stays_and_answers(story, project):
    url, held = story.url(NAMESPACE), story.held(NAMESPACE)
    for kind in KINDS:
        story.patch(kind, NAMESPACE, {"deletionPolicy": "Orphan"})
        story.kubectl("delete", kind, "tiny", "-n", NAMESPACE, "--timeout=60s")
        assert story.resource(kind, NAMESPACE) is None
    assert story.held(NAMESPACE) == held
    assert answered(url) == "up"


def test_what_is_deleted_takes_along_what_it_made(story, project):
    story.apply(story.rendered(project), "-n", NAMESPACE)  # finds again what was orphaned
    story.wait(NAMESPACE)
    url = story.url(NAMESPACE)
    assert answered(url) == "up"
    serving = story.resource("modeldeployment", NAMESPACE)["status"]["release"]
    refused = story.run("delete", "releases.cdl.dev", serving, "-n", NAMESPACE)
    assert f"Release {serving}: it is served by tiny; delete what serves it first" in refused.stderr
    done = story.kubectl("delete", "-n", NAMESPACE, "--wait=false", "-f", "-", input=story.rendered(project))
    assert done.count("deleted") == len(KINDS)
    assert "story-1" in story.is_for("datapipeline", NAMESPACE, "PinnedByRelease", "Stalled")["message"]
    for kind in ("modeldeployment", "experiment"):
        story.until(f"no {kind}", lambda gone=kind: story.resource(gone, NAMESPACE) is None)
    assert ask(url).status_code == 404
    kept = json.loads(story.kubectl("get", "release", "-n", NAMESPACE, "-o", "json"))["items"]
    assert {item["metadata"]["name"] for item in kept} >= {"story-1", "story-2", "story-3"}
    assert all(item["status"].get("servedBy", []) == [] for item in kept), yaml.safe_dump(kept)
    assert story.held(NAMESPACE) != set()
    story.let_go(NAMESPACE)
    story.until("no datapipeline", lambda: story.resource("datapipeline", NAMESPACE) is None)
    assert story.held(NAMESPACE) == set()
