"""Every status we can say, through a real API server and back, read as Flux and others read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cdl.kube.client import Api
from cdl.testing.builders import release_document
from tests.unit.reconcile.every_status import EVERY, written
from tests.unit.reconcile.kstatus import CURRENT, FAILED, IN_PROGRESS, TERMINATING, read

KINDS = ("DataPipeline", "Experiment", "ModelDeployment")


@pytest.fixture
def api(cluster):
    return Api.connect(cluster.kubeconfig)


def plain(resource, name):
    document = written(resource, type(resource).model_fields["status"].default)
    del document["status"]
    return document | {"metadata": {"name": name}}


def place(resource, namespace, name="", part=""):
    collection = f"/apis/cdl.dev/v1alpha1/namespaces/{namespace}/{resource.kind.lower()}s"
    return "/".join(word for word in (collection, name, part) if word)


@pytest.mark.parametrize("kind", KINDS)
def test_every_status_survives_the_server_and_is_read_as_it_is_meant(api, namespace, kind):
    rows = [(r, s, reason, reading) for r, s, reason, reading in EVERY if r.kind == kind]
    for number, (resource, status, reason, reading) in enumerate(rows):
        name = f"of-{number}"
        made = api.create(place(resource, namespace), plain(resource, name))
        assert read(made) == IN_PROGRESS, "nobody looked at it"
        told = written(resource, status)["status"]
        there = api.merge_patch(place(resource, namespace, name, "status"), {"status": told})
        assert there["status"] == told
        assert type(resource).read(there).status == status
        assert read(there) == reading, reason
        change = {"spec": {"timeout": "1h"}}
        assert read(api.merge_patch(place(resource, namespace, name), change)) == IN_PROGRESS, "the spec is newer"
    assert {reading for *_, reading in rows} == {CURRENT, IN_PROGRESS, FAILED}


def test_what_is_going_is_terminating_until_it_is_gone(api, namespace):
    resource, status, _, _ = next(row for row in EVERY if row[3] == CURRENT)
    document = plain(resource, "going")
    document["metadata"]["finalizers"] = ["cdl.dev/engines"]
    api.create(place(resource, namespace), document)
    api.merge_patch(place(resource, namespace, "going", "status"), {"status": written(resource, status)["status"]})
    api.delete(place(resource, namespace, "going"))
    assert read(api.get(place(resource, namespace, "going"))) == TERMINATING
    api.merge_patch(place(resource, namespace, "going"), {"metadata": {"finalizers": None}})
    assert api.get(place(resource, namespace, "going")) is None


def test_a_release_is_current_with_and_without_a_decision(api, namespace):
    collection = f"/apis/cdl.dev/v1alpha1/namespaces/{namespace}/releases"
    assert read(api.create(collection, release_document())) == CURRENT
    approval = {"status": {"observedGeneration": 1, "approval": {"state": "Rejected", "by": "ada"}}}
    assert read(api.merge_patch(f"{collection}/news-1/status", approval)) == CURRENT


def test_kubectl_waits_through_the_same_states(cluster, namespace):
    """`kubectl wait` needs no kstatus, but it must not be fooled either: Ready of an older spec is not Ready."""
    folder = Path(__file__).parents[2] / "use_cases" / "bbc_news" / "resources"
    document = yaml.safe_load((folder / "modeldeployment.yaml").read_text(encoding="utf-8"))
    name = document["metadata"]["name"]
    cluster.apply(yaml.safe_dump(document), "-n", namespace)
    ready = {"type": "Ready", "status": "True", "reason": "Succeeded", "observedGeneration": 1}
    status = {"status": {"observedGeneration": 1, "conditions": [ready]}}
    what = ("modeldeployment", name, "-n", namespace)
    cluster.kubectl("patch", *what, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    waiting = ("wait", "--for=condition=Ready", f"modeldeployment/{name}", "-n", namespace)
    cluster.kubectl(*waiting, "--timeout=10s")
    cluster.kubectl("patch", *what, "--type=merge", "-p", '{"spec":{"interval":"1h"}}')
    assert cluster.run(*waiting, "--timeout=0.2s").returncode != 0
