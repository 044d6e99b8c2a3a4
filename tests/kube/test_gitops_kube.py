"""`cdl gitops` on a cluster: applied on the server's side as a manager of its own, pruned by label, drift corrected."""

import os
import subprocess
import sys

import pytest

from cdl.kube.client import Api
from cdl.kube.store import listed
from cdl.reconcile.gitops import ORDER
from tests.unit.gitops.gitops_rig import Origin, project_in


@pytest.fixture
def origin(tmp_path):
    made = Origin(tmp_path)
    project_in(made)
    return made


def followed(cluster, namespace, origin, home, *words):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CDL_HOME": str(home),
        "CDL_KUBECONFIG": str(cluster.kubeconfig),
    }
    command = [sys.executable, "-m", "cdl.cli", "gitops", "--repo", origin.url, "--once", "-n", namespace, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
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
