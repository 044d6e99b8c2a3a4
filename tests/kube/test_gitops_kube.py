"""`cdl gitops` on a cluster: applied on the server's side as a manager of its own, pruned by label, drift corrected."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from cdl.kube import rbac
from cdl.kube.client import Api
from cdl.kube.store import listed
from cdl.reconcile.gitops import ORDER
from tests.unit.gitops.gitops_rig import Origin, project_in


@pytest.fixture
def origin(tmp_path):
    made = Origin(tmp_path)
    project_in(made)
    return made


def followed(cluster, namespace, origin, home, *words, as_=None, status=0, **told):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CDL_HOME": str(home),
        "CDL_KUBECONFIG": str(as_ or cluster.kubeconfig),
        **told,
    }
    command = [sys.executable, "-m", "cdl.cli", "gitops", "--repo", origin.url, "--once", "-n", namespace, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def there(cluster, namespace):
    api = Api.connect(cluster.kubeconfig)
    found = [item for kind in ORDER for item in listed(api, kind, namespace)[0]]
    return {item["kind"]: item for item in found}


def test_a_branch_becomes_resources_and_nothing_else(cluster, namespace, origin, tmp_path):
    commit = origin.push()
    assert followed(cluster, namespace, origin, tmp_path).startswith(f"Applied: {commit[:12]}")
    found = there(cluster, namespace)
    assert set(found) == {"DataPipeline", "Experiment", "ModelDeployment"}
    for item in found.values():
        assert item["metadata"]["annotations"]["cdl.dev/revision"] == commit
        managers = {(f["manager"], f["operation"]) for f in item["metadata"]["managedFields"]}
        assert ("cdl-gitops", "Apply") in managers

    again = followed(cluster, namespace, origin, tmp_path)
    assert len(again.splitlines()) == 1
    assert {k: i["metadata"]["resourceVersion"] for k, i in there(cluster, namespace).items()} == {
        k: i["metadata"]["resourceVersion"] for k, i in found.items()
    }

    edit = '{"spec":{"interval":"99m"}}'
    cluster.run("patch", "cdlexp", "tiny", "-n", namespace, "--type=merge", "-p", edit)
    assert "spec.interval changed outside git; corrected" in followed(cluster, namespace, origin, tmp_path)
    assert there(cluster, namespace)["Experiment"]["spec"].get("interval", "10m") == "10m"

    (origin.work / "resources" / "modeldeployment.yaml").unlink()
    origin.push()
    assert f"ModelDeployment {namespace}/tiny pruned" in followed(cluster, namespace, origin, tmp_path)
    assert set(there(cluster, namespace)) == {"DataPipeline", "Experiment"}


def test_what_is_done_is_an_event_on_what_it_is_done_to(cluster, namespace, origin, tmp_path):
    def events():
        items = json.loads(cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
        return {(i["involvedObject"]["kind"], i["reason"], i["source"]["component"], i["message"]) for i in items}

    first = origin.push()
    followed(cluster, namespace, origin, tmp_path)
    cluster.run("patch", "cdlexp", "tiny", "-n", namespace, "--type=merge", "-p", '{"spec":{"interval":"99m"}}')
    followed(cluster, namespace, origin, tmp_path)
    (origin.work / "resources" / "modeldeployment.yaml").unlink()
    second = origin.push()
    followed(cluster, namespace, origin, tmp_path)
    origin.change("resources/experiment.yaml", "kind: Experiment", "kind: Experience")
    third = origin.push()
    said = followed(cluster, namespace, origin, tmp_path, status=1)
    told = events()
    kinds = ("DataPipeline", "Experiment", "ModelDeployment")
    assert told >= {(kind, "Applied", "cdl-gitops", f"as commit {first[:12]} says") for kind in kinds}
    strayed = [message for kind, reason, _, message in told if (kind, reason) == ("Experiment", "DriftCorrected")]
    assert strayed == ["spec.interval changed outside git; corrected"]
    assert ("ModelDeployment", "Pruned", "cdl-gitops", f"commit {second[:12]} does not have it") in told
    [refused] = [message for kind, reason, _, message in told if (kind, reason) == ("Namespace", "Refused")]
    assert refused.startswith(third[:12])
    assert refused in said


# --- with the rights of its service account


def granted(cluster, namespace, rules=None):
    """A service account that follows into a namespace, with the rules of the table or others; its kubeconfig."""
    documents = rbac.followed("tiny", namespace, namespace)
    if rules is not None:
        documents[0] = {**documents[0], "rules": rules}
    cluster.apply(yaml.safe_dump_all(documents))
    return cluster.account(namespace, "cdl-gitops-tiny")


def test_every_right_is_used_and_none_is_missed(cluster, namespace, origin, tmp_path):
    account = granted(cluster, namespace)
    origin.push()
    followed(cluster, namespace, origin, tmp_path, as_=account)
    for kind in ("cdldp", "cdlexp", "cdlmd"):
        assert cluster.kubectl("get", kind, "tiny", "-n", namespace, "--no-headers").startswith("tiny")
    edit = '{"spec":{"interval":"99m"}}'
    cluster.kubectl("patch", "cdlexp", "tiny", "-n", namespace, "--type=merge", "-p", edit)
    assert "corrected" in followed(cluster, namespace, origin, tmp_path, as_=account)
    for name in ("datapipeline", "experiment", "modeldeployment"):
        (origin.work / "resources" / f"{name}.yaml").unlink()
    origin.push()
    assert followed(cluster, namespace, origin, tmp_path, "--allow-empty", as_=account).count("pruned") == 3
    assert there(cluster, namespace) == {}

    name = f"system:serviceaccount:{namespace}:cdl-gitops-tiny"
    asked = [event for event in cluster.audit() if event["user"]["username"] == name]
    assert {event["responseStatus"]["code"] for event in asked} <= {200, 201, 404}
    rows = [(event, rbac.covers("gitops", event)) for event in asked if "resource" in event.get("objectRef", {})]
    assert [event["requestURI"] for event, row in rows if row is None] == []
    used = {(event["objectRef"]["resource"], event["verb"]) for event, _ in rows}
    assert {"pods", "secrets"}.isdisjoint({resource for resource, _ in used})
    here = [row for row in rbac.TABLE["gitops"] if row.where is rbac.Where.RESOURCES]
    pairs = {(resource, verb) for row in here for resource in row.resources for verb in row.verbs}
    # An apply that makes something is told as `patch`, and needs `create` all the same: the next test. The forge is
    # told of a Release: test_gitops_reviews_kube.
    # What is said again while it runs is counted on the event that is there, for which none of these runs stays long.
    again = {("events", "patch")}
    assert pairs - used == {(kind, "create") for kind in rbac.WISHES} | {("releases", "get")} | again


@pytest.mark.parametrize("verb", ["get", "list", "create", "patch"])
def test_without_one_of_its_rights_nothing_is_made_and_the_reason_is_said(cluster, namespace, origin, tmp_path, verb):
    rows = [row for row in rbac.GITOPS if row.where is rbac.Where.RESOURCES]
    rules = [{**row.rule, "verbs": [word for word in row.verbs if word != verb]} for row in rows]
    account = granted(cluster, namespace, [rule for rule in rules if rule["verbs"]])
    origin.push()
    said = followed(cluster, namespace, origin, tmp_path, as_=account, status=1)
    assert said.startswith("Waiting: ")
    assert "datapipelines" in said
    assert "is forbidden" in said
    assert there(cluster, namespace) == {}
    granted(cluster, namespace)
    assert followed(cluster, namespace, origin, tmp_path, as_=account).startswith("Applied: ")
    assert len(there(cluster, namespace)) == 3


def test_a_repository_reaches_no_other_namespace(cluster, namespace, origin, tmp_path):
    account, elsewhere = granted(cluster, namespace), f"{namespace}-other"
    cluster.kubectl("create", "namespace", elsewhere)
    origin.push()
    assert "forbidden" in followed(cluster, elsewhere, origin, tmp_path, as_=account, status=1)
    assert there(cluster, elsewhere) == {}
