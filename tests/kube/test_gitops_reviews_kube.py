"""Merge requests on a cluster: namespaces of their own, made with the rights of the chart, and a forge that is told."""

import json
import shutil

import pytest
import yaml

from cdl.kube import rbac
from cdl.kube.client import Api
from cdl.testing import builders
from tests.kube.test_gitops_kube import followed, there
from tests.unit.gitops.gitops_rig import PROJECT
from tests.unit.reconcile.every_status import EVERY, written
from tests.wire.forge.forges import ForgeServer, git, token


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = ForgeServer(tmp_path_factory.mktemp("forge") / "state").start()
    yield started
    assert started.stop() == 0


class Project:
    """A project at the forge, with a clone to work in; the name of its inventory is the cluster's only one."""

    def __init__(self, server, folder, name):
        self.server, self.work, self.name = server, folder / "clone", name
        people = server.client("validator")
        people.projects.create({"name": name, "namespace_path": "team"})
        people.session.close()
        shutil.copytree(PROJECT, self.work, ignore=shutil.ignore_patterns("__pycache__"))
        git(self.work, "init", "-q", "-b", "main")
        git(self.work, "remote", "add", "origin", server.address(f"team/{name}", "validator"))
        self.push("main")

    @property
    def url(self):
        return self.server.address(f"team/{self.name}", "platform")

    def push(self, branch):
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "-m", "Change")
        git(self.work, "push", "-q", "origin", f"HEAD:{branch}")
        return git(self.work, "rev-parse", "HEAD").stdout.strip()

    def proposed(self, branch, before, after):
        path = self.work / "resources" / "experiment.yaml"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
        sha = self.push(branch)
        self.asked(
            lambda p: p.mergerequests.create({"source_branch": branch, "target_branch": "main", "title": branch})
        )
        return sha

    def asked(self, question):
        """Ask the forge about the project, as a person."""
        people = self.server.client("validator")
        try:
            return question(people.projects.get(f"team/{self.name}"))
        finally:
            people.session.close()

    def statuses(self, sha):
        return {s.name: s.status for s in self.asked(lambda p: p.commits.get(sha).statuses.list(get_all=True))}


@pytest.fixture
def project(server, tmp_path, namespace):
    return Project(server, tmp_path, namespace)


@pytest.fixture
def look(cluster, namespace, project, tmp_path, monkeypatch):
    """`cdl gitops --once` with the rights that the chart gives for merge requests."""
    text = yaml.safe_dump_all(rbac.followed(namespace, namespace, namespace, previews=True))
    cluster.apply(text)
    account = cluster.account(namespace, f"cdl-gitops-{namespace}")
    forge = {"FORGE": project.server.url, "FORGE_TOKEN": token("platform"), "FORGE_PROJECTS": f"team/{namespace}"}
    words = ("--name", namespace, "--forge-project", f"team/{namespace}", "--merge-requests")
    # As in a pod: nobody names a kubeconfig, and the cluster around us is kubectl's.
    told = {f"CDL_{name}": value for name, value in forge.items()} | {"CDL_KUBECONFIG": "", "CDL_IN_CLUSTER": "true"}
    yield lambda: followed(cluster, namespace, project, tmp_path, *words, KUBECONFIG=str(account), **told)
    cluster.kubectl("delete", "-f", "-", input=text)


def test_a_merge_request_gets_a_namespace_is_told_and_leaves_only_its_record(cluster, namespace, project, look):
    room = f"{namespace}-mr-1"
    sha = project.proposed("wider", "epochs: 4", "epochs: 5")
    look()
    labels = json.loads(cluster.kubectl("get", "namespace", room, "-o", "json"))["metadata"]["labels"]
    assert labels["cdl.dev/managed-by"] == room
    assert set(there(cluster, room)) == {"DataPipeline", "Experiment"}, "a merge request serves nobody"
    assert there(cluster, room)["Experiment"]["spec"]["config"]["hyperparameters"]["epochs"] == 5
    assert there(cluster, namespace)["Experiment"]["spec"]["config"]["hyperparameters"]["epochs"] == 4
    assert f"cdl/{room}/Experiment/tiny" in project.statuses(sha)

    released(cluster, room)
    look()
    assert project.statuses(sha)[f"cdl/{room}/Experiment/tiny"] == "success"

    def closed(found):
        request = found.mergerequests.get(1)
        request.state_event = "close"
        request.save()

    project.asked(closed)
    look()
    assert there(cluster, room) == {}
    releases = json.loads(cluster.kubectl("get", "releases.cdl.dev", "-n", room, "-o", "json"))["items"]
    assert len(releases) == 1, "the record stays"
    assert there(cluster, namespace).keys() == {"DataPipeline", "Experiment", "ModelDeployment"}

    who = f"system:serviceaccount:{namespace}:cdl-gitops-{namespace}"
    mine = [event for event in cluster.audit() if event["user"]["username"] == who]
    asked = [event for event in mine if "resource" in event.get("objectRef", {})]
    assert [e["requestURI"] for e in asked if e["responseStatus"]["code"] == 403] == []
    assert [e["requestURI"] for e in asked if rbac.covers("gitops", e) is None] == []
    used = {(event["objectRef"]["resource"], event["verb"]) for event in asked}
    assert {("namespaces", "get"), ("namespaces", "create"), ("releases", "get"), ("releases", "list")} <= used
    cluster.let_go("-n", room)
    cluster.kubectl("delete", "namespace", room, "--wait=false")


def released(cluster, namespace):
    """Let an Experiment have led to a Release, as an operator says it."""
    api = Api.connect(cluster.kubeconfig)
    place = f"/apis/cdl.dev/v1alpha1/namespaces/{namespace}"
    done = next(written(r, s)["status"] for r, s, reason, _ in EVERY if (r.kind, reason) == ("Experiment", "Succeeded"))
    document = builders.release_document()
    api.create(f"{place}/releases", document)
    api.merge_patch(f"{place}/experiments/tiny/status", {"status": {**done, "release": document["metadata"]["name"]}})


def test_a_namespace_of_somebody_else_is_not_taken(cluster, namespace, project, look):
    room = f"{namespace}-mr-1"
    cluster.kubectl("create", "namespace", room)
    project.proposed("wider", "epochs: 4", "epochs: 6")
    assert "is somebody else's" in look()
    assert there(cluster, room) == {}
    cluster.kubectl("delete", "namespace", room, "--wait=false")
