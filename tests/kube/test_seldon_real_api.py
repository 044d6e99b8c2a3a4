"""The embedded Seldon looks after the SeldonDeployments of a real API server."""

from __future__ import annotations

import os
import signal

import pytest

from tests.kube.seldons import KIND, Kubernetes, Seldon, eventually, silence
from tests.wire.seldon.engine import INFER, deployment, predictor, released
from tests.wire.serving.tiny_release import TinyRelease


@pytest.fixture(scope="module")
def seldon(cluster, tmp_path_factory):
    made = Seldon(
        tmp_path_factory.mktemp("seldon"), cluster.kubeconfig, router_url="https://models.example.test/"
    ).start()
    eventually(made.ready)
    yield made
    made.close()


@pytest.fixture
def objects(cluster, namespace):
    return Kubernetes(cluster, namespace)


@pytest.fixture
def tiny(tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    return TinyRelease(folder).write()


def test_apply_edit_and_delete(seldon, objects, tiny, namespace):
    objects.apply(deployment("news", released("v3", tiny)))
    status = objects.until("news")["status"]
    assert status["replicas"] == 1
    assert status["address"]["url"] == f"https://models.example.test/seldon/{namespace}/news/api/v1.0/predictions"
    path = f"/seldon/{namespace}/news/v2/models/model/infer"
    reply = seldon.router.post(path, json=INFER)
    assert reply.json()["outputs"][0]["data"] == [20.0, -20.0]
    assert reply.headers["x-cdl-release"] == "rows-3"
    listed = objects.cluster.kubectl("-n", namespace, "get", "sdep")
    assert listed.splitlines()[0].split() == ["NAME", "STATE", "REPLICAS", "URL", "AGE"]
    assert "Available" in listed.splitlines()[1]

    folder = tiny.folder / "v4"
    folder.mkdir()
    objects.apply(deployment("news", released("v4", TinyRelease(folder, version=4).write())))
    objects.until("news")
    assert seldon.router.post(path, json=INFER).headers["x-cdl-release"] == "rows-4"
    eventually(lambda: len(seldon.processes("news")) == 1)
    printed = seldon.http.get(f"/apis/machinelearning.seldon.io/v1/namespaces/{namespace}/seldondeployments/news/log")
    assert "ready at http://127.0.0.1" in printed.text

    objects.delete("news")
    eventually(lambda: seldon.processes("news") == [])
    assert seldon.router.post(path, json=INFER).status_code == 404


def test_a_status_is_written_only_when_it_differs(seldon, objects):
    objects.apply(deployment("calm", predictor("a")))
    before = objects.until("calm")
    objects.cluster.kubectl("-n", objects.namespace, "annotate", KIND, "calm", "looked=at")
    version = objects.get("calm")["metadata"]["resourceVersion"]
    objects.apply(deployment("calm2", predictor("a")))
    objects.until("calm2")  # what came later was looked at by now
    after = objects.get("calm")
    assert after["metadata"]["resourceVersion"] == version
    assert after["status"] == before["status"]
    assert after["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "spec.predictors is empty; expected at least one predictor"),
        ({"predictors": "many"}, "spec.predictors is empty; expected at least one predictor"),
        ({"predictors": [{"name": "A_b"}]}, "spec.predictors[0].name is 'A_b'"),
        ({"predictors": [predictor("a", 30)]}, "traffic 30; expected 100 or none"),
        ({"predictors": [predictor("a", replicas="two")]}, "spec.predictors[0].replicas is 'two'"),
        ({"predictors": [predictor("a", image="nobody/knows:1")]}, "image 'nobody/knows:1' has no local command"),
    ],
)
def test_what_nobody_refused_is_failed_with_its_fault(seldon, objects, spec, words):
    objects.apply({**deployment("wrong"), "spec": spec})
    status = objects.until("wrong", "Failed")["status"]
    assert words in status["description"]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "False"
    objects.apply(deployment("wrong", predictor("a")))
    assert "description" not in objects.until("wrong")["status"]


def test_a_wrong_edit_leaves_what_was_served(seldon, objects):
    objects.apply(deployment("kept", predictor("a")))
    objects.until("kept")
    pid = seldon.answer(objects.namespace, "kept").json()["pid"]
    objects.apply(deployment("kept", predictor("a", 30)))
    objects.until("kept", "Failed")
    assert seldon.answer(objects.namespace, "kept").json()["pid"] == pid


def test_what_its_owner_takes_along_ends_its_process(seldon, objects, cluster):
    cluster.kubectl("-n", objects.namespace, "create", "configmap", "owner")
    uid = cluster.kubectl("-n", objects.namespace, "get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}")
    owned = deployment("owned", predictor("a"))
    owned["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]
    objects.apply(owned)
    objects.until("owned")
    cluster.kubectl("-n", objects.namespace, "delete", "configmap", "owner")
    eventually(lambda: seldon.processes("owned") == [])
    assert seldon.answer(objects.namespace, "owned").status_code == 404


def test_a_namespace_that_goes_takes_its_processes(seldon, cluster):
    name = f"gone-{os.getpid()}"
    cluster.kubectl("create", "namespace", name)
    objects = Kubernetes(cluster, name)
    objects.apply(deployment("inside", predictor("a")))
    objects.until("inside")
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    assert eventually(lambda: seldon.processes("inside") == [])


def test_an_object_made_again_under_its_name_is_another(seldon, objects):
    objects.apply(deployment("twice", predictor("a")))
    objects.until("twice")
    pid = seldon.answer(objects.namespace, "twice").json()["pid"]
    objects.delete("twice")
    objects.apply(deployment("twice", predictor("a")))
    objects.until("twice")
    assert seldon.answer(objects.namespace, "twice").json()["pid"] != pid
    eventually(lambda: len(seldon.processes("twice")) == 1)


def test_it_serves_and_hears_again_when_the_api_server_comes_back(seldon, objects, cluster):
    objects.apply(deployment("steady", predictor("a")))
    objects.until("steady")
    pid = seldon.answer(objects.namespace, "steady").json()["pid"]
    with silence(cluster):
        os.kill(pid, signal.SIGKILL)  # a status that cannot be written now
        back = eventually(
            lambda: (r := seldon.answer(objects.namespace, "steady")).status_code == 200 and r.json()["pid"]
        )
        assert back != pid
    objects.apply(deployment("steady", predictor("a", env={"NEW": "1"})))
    objects.until("steady")
    eventually(lambda: seldon.answer(objects.namespace, "steady").json()["pid"] not in (pid, back))
    assert seldon.process.poll() is None


def test_after_kill_9_what_was_served_is_served_again_even_without_an_api_server(seldon, objects, cluster, namespace):
    objects.apply(deployment("again", predictor("a")))
    eventually(lambda: seldon.answer(namespace, "again").status_code == 200)
    old = {process.pid for process in seldon.processes()}
    seldon.kill()
    with silence(cluster):
        seldon.start()
        eventually(lambda: seldon.answer(namespace, "again").status_code == 200)
        assert not old & {process.pid for process in seldon.processes()}
        assert seldon.http.get("/readyz").status_code == 503
    eventually(seldon.ready)
    objects.apply(deployment("again", predictor("a"), annotations={"looked": "at"}))
    objects.until("again")
    assert seldon.answer(namespace, "again").json()["pid"] in {process.pid for process in seldon.processes("again")}
    objects.delete("again")
    eventually(lambda: seldon.processes("again") == [])


def test_what_was_deleted_while_it_was_dead_is_not_served(seldon, objects, namespace):
    objects.apply(deployment("late", predictor("a")))
    eventually(lambda: seldon.answer(namespace, "late").status_code == 200)
    seldon.kill()
    objects.delete("late")
    seldon.start()
    eventually(seldon.ready)
    assert eventually(lambda: seldon.answer(namespace, "late").status_code == 404)
    assert eventually(lambda: seldon.processes("late") == [])


RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: embedded-seldon}
rules:
- {apiGroups: [machinelearning.seldon.io], resources: [seldondeployments], verbs: [get, list, watch]}
- {apiGroups: [machinelearning.seldon.io], resources: [seldondeployments/status], verbs: [update]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [get, create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: embedded-seldon}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: embedded-seldon}
subjects: [{kind: User, name: embedded-seldon, apiGroup: rbac.authorization.k8s.io}]
"""


def test_it_needs_few_rights_and_waits_for_them(seldon, objects, cluster, tmp_path):
    seldon.terminate()  # one at a time
    modest = Seldon(tmp_path / "seldon", cluster.identity("embedded-seldon")).start()
    try:
        assert modest.http.get("/readyz").status_code == 503
        cluster.apply(RIGHTS)
        eventually(modest.ready)
        objects.apply(deployment("modest", predictor("a")))
        url = objects.until("modest")["status"]["address"]["url"]
        assert url.startswith(f"http://127.0.0.1:{modest.router_port}/seldon/{objects.namespace}/modest/")
        objects.delete("modest")
        eventually(lambda: modest.processes() == [])
    finally:
        modest.close()
        seldon.start()
