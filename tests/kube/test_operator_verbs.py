"""The verbs of `cdl` in the home of a cluster: about the API server's resources, not about a local file."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from tests.kube.platform_up import tiny_project

NAMESPACE = "default"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tiny_project(tmp_path_factory.mktemp("verbs") / "tiny")


@pytest.fixture(scope="module")
def verbs(platform, project):
    """The command line, with a project applied by it whose release waits for a person."""
    path = next(p for p in (project / "resources").iterdir() if "kind: Experiment" in p.read_text())
    documents = list(yaml.safe_load_all(path.read_text()))
    for document in documents:
        if document["kind"] == "Experiment":
            document["spec"]["approval"] = {"policy": "Manual"}
    path.write_text(yaml.safe_dump_all(documents))
    done = platform.cdl("apply", project, "--yes")
    assert done.returncode == 0, done.stderr
    kinds = kinds_of(project)
    assert done.stdout.splitlines()[-len(kinds) :] == [f"{kind} default/tiny created" for kind in kinds]

    def cdl(*words):
        done = platform.cdl(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    platform.until("a release that waits", lambda: "tiny-1" in cdl("get", "release"))
    yield cdl
    for kind in ("modeldeployment", "experiment"):
        cdl("delete", kind, "tiny")
    for release in json.loads(cdl("get", "release", "-o", "json", "-n", NAMESPACE)):
        cdl("delete", "release", release["metadata"]["name"])
    cdl("delete", "datapipeline", "tiny")
    platform.kubectl("delete", "rolebinding", "verbs-vera", "-n", NAMESPACE, "--ignore-not-found")


def kinds_of(project):
    paths = sorted((project / "resources").iterdir())
    return [d["kind"] for p in paths for d in yaml.safe_load_all(p.read_text()) if d]


def test_applying_again_changes_nothing(verbs, platform, project):
    *_, first, second, third = verbs("apply", project, "--yes").splitlines()
    assert {line.split()[-1] for line in (first, second, third)} == {"unchanged"}
    assert not (platform.home / "resources.db").exists()


def test_a_release_of_a_cluster_is_verified(verbs):
    (judged,) = json.loads(verbs("verify", "tiny-1", "-o", "json"))
    states = {f"{f['member']} {f['path']}": f["state"] for f in judged["findings"]}
    assert {what for what, state in states.items() if state != "intact"} <= {"git commit"}
    assert {"release document", "release provenance", "data files", "checkpoint registry"} <= states.keys()


def test_a_plan_of_what_rests_runs_nothing(platform, verbs, project):
    told = json.loads(verbs("plan", project, "-o", "json", "--detailed-exitcode"))
    verdicts = {s["name"]: s["verdict"] for r in told["resources"] for s in r["stages"]}
    assert set(verdicts.values()) == {"reuse", "wait"}
    assert (verdicts["approve"], verdicts["rollout"]) == ("wait", "wait")
    assert all(r["asked"] for r in told["resources"])


def test_a_plan_from_elsewhere_asks_the_cluster_alone(platform, verbs, project, tmp_path):
    there = {"CDL_HOME": str(tmp_path / "elsewhere"), "CDL_KUBECONFIG": str(platform.home / "kubeconfig")}
    done = platform.cdl("plan", project, "-o", "json", **there)
    assert done.returncode == 0, done.stderr
    resources = {r["kind"]: r for r in json.loads(done.stdout)["resources"]}
    assert [resources[kind]["asked"] for kind in ("DataPipeline", "Experiment")] == [False, False]
    assert resources["ModelDeployment"]["asked"]
    assert {s["verdict"] for s in resources["DataPipeline"]["stages"]} == {"reuse"}
    stages = {s["name"]: s for s in resources["Experiment"]["stages"]}
    assert (stages["train"]["verdict"], stages["evaluate"]["verdict"]) == ("reuse", "reuse")
    assert stages["release"]["reasons"][0].startswith("code.archive.uri: "), "code would be kept elsewhere"


def test_a_plan_of_another_hyperparameter_trains(platform, verbs, project, tmp_path):
    other = shutil.copytree(project, tmp_path / "other")
    path = next(p for p in (other / "resources").iterdir() if "kind: Experiment" in p.read_text())
    path.write_text(path.read_text().replace("maxval: 2.0", "maxval: 1.5"))
    told = verbs("plan", other, "-o", "markdown")
    assert "| train | run | hyperparameters.weight.maxval: 2" in told


def test_a_decision_is_signed_by_who_the_api_server_knows_and_is_no_authors(verbs, platform):
    own = platform.cdl("approve", "tiny-1", "--reason", "mine")
    assert "cdl-admin is an author of it (cdl-admin), so another validator must approve it" in own.stderr
    binding = ("rolebinding", "vera", "--clusterrole=cdl-model-validator", "--user=vera", "-n", NAMESPACE)
    platform.kubectl("create", *binding)
    vera = {"CDL_KUBECONFIG": str(platform.identity("vera"))}
    done = platform.cdl("approve", "tiny-1", "--reason", "looks right", **vera)
    assert done.returncode == 0, done.stderr
    assert "release tiny-1 approved at sha256:" in done.stdout
    approval = platform.resource("release", NAMESPACE, "tiny-1")["status"]["approval"]
    assert (approval["state"], approval["reason"]) == ("Approved", "looks right")
    assert approval["by"] == "vera"


def test_everything_behind_a_prediction_is_found(verbs, platform, tmp_path):
    platform.wait(NAMESPACE)
    rows = verbs("get")
    assert rows.count("True") >= 3
    (tmp_path / "text.txt").write_text("prices are rising")
    assert "tiny-1" in verbs("predict", "tiny", tmp_path / "text.txt")
    assert "tiny-1" in verbs("lineage", "tiny")
    assert "Conditions" in verbs("describe", "experiment", "tiny")
    assert verbs("logs", "experiment", "tiny")
    assert "readyz" in verbs("logs", "kube-apiserver") or verbs("logs", "etcd")


def test_what_is_needed_is_not_deleted(platform, verbs):
    served = platform.cdl("delete", "release", "tiny-1")
    assert served.stderr.startswith("Error: Release default/tiny-1: it is served by tiny;")
    named = platform.cdl("delete", "datapipeline", "tiny")
    assert named.stderr.startswith("Error: DataPipeline default/tiny: tiny-1 was made from commits of its repositories")
    assert "deletionTimestamp" not in platform.resource("datapipeline", NAMESPACE)["metadata"]


def test_what_is_not_there_is_said_in_one_sentence(platform, verbs):
    done = platform.cdl("describe", "experiment", "absent")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == ["Error: Experiment absent: not found in namespace default"]
