"""What `cdl gitops` applies with its service account's rights is what the operators of `cdl up` work on."""

import pytest
import yaml

from cdl.kube import rbac
from tests.kube.platform_up import answered
from tests.unit.gitops.gitops_rig import Origin, git, project_in

NAMESPACE = "followed"


@pytest.fixture
def origin(platform, tmp_path):
    """A repository that is followed into a namespace of the platform, and is cleared away afterwards."""
    made = Origin(tmp_path)
    project_in(made)
    platform.up()
    platform.kubectl("create", "namespace", NAMESPACE)
    platform.apply(yaml.safe_dump_all(rbac.followed("tiny", NAMESPACE)))
    yield made
    platform.delete(NAMESPACE)
    platform.kubectl("delete", "namespace", NAMESPACE)


def test_a_commit_is_trained_and_served_a_removal_ends_it_and_a_revert_trains_nothing(platform, origin):
    account = platform.account(rbac.SYSTEM, "cdl-gitops-tiny")

    def look(status=0):
        words = ("gitops", "--repo", origin.url, "--once", "-n", NAMESPACE, "--name", "tiny")
        done = platform.cdl(*words, CDL_KUBECONFIG=str(account))
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    first = origin.push()
    assert look().count("created") == 3
    platform.wait(NAMESPACE)
    listed = platform.kubectl("get", "cdl", "-n", NAMESPACE)
    assert all(f"{kind}.cdl.dev/tiny" in listed for kind in ("datapipeline", "experiment", "modeldeployment"))
    assert answered(platform.url(NAMESPACE)) == "up"
    runs = platform.runs(NAMESPACE)
    release = platform.resource("release", NAMESPACE, "tiny-1")
    assert first in str(release["spec"])

    (origin.work / "resources" / "modeldeployment.yaml").unlink()
    origin.push()
    assert f"ModelDeployment {NAMESPACE}/tiny pruned" in look()
    platform.until("the end of serving", lambda: platform.servers(NAMESPACE) == [])
    platform.until("the end of the resource", lambda: platform.resource("modeldeployment", NAMESPACE) is None)
    (origin.work / "resources" / "datapipeline.yaml").unlink()
    origin.push()
    assert "tiny-1" in look(), "the data that a Release needs stays, and that is said"
    assert platform.resource("datapipeline", NAMESPACE)

    git(origin.work, "revert", "--no-edit", "HEAD", "HEAD~1")
    origin.push()
    assert f"ModelDeployment {NAMESPACE}/tiny created" in look()
    platform.wait(NAMESPACE)
    assert answered(platform.url(NAMESPACE)) == "up"
    assert platform.runs(NAMESPACE) == runs
    assert platform.resource("release", NAMESPACE, "tiny-1")["spec"] == release["spec"]
