"""Events on a real API server, as `kubectl describe` and `kubectl get events` show them."""

from __future__ import annotations

import json
import re

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import ModelDeployment
from cdl.kube.client import Api
from cdl.kube.events import Note
from cdl.kube.recorder import Recorder
from cdl.reconcile.summary import busy, fact, settled
from cdl.testing.builders import deployment_document

DEPLOYMENTS = "/apis/cdl.dev/v1alpha1/namespaces/{}/modeldeployments"


@pytest.fixture
def api(cluster):
    return Api.connect(cluster.kubeconfig)


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def recorder(api, dropped):
    made = Recorder(api, "cdl-operator", dropped=lambda: dropped.append(1))
    yield made
    made.close()


@pytest.fixture
def deployment(api, namespace):
    document = deployment_document()
    document["metadata"]["namespace"] = namespace
    return api.create(DEPLOYMENTS.format(namespace), document)


def write(api, document, *conditions, message=""):
    """Write conditions as the status of a resource and give both states."""
    plain = [
        c.model_dump(mode="json", by_alias=True, exclude_none=True)
        for c in settled(conditions, 1, Reason.SUCCEEDED, message)
    ]
    path = f"{DEPLOYMENTS.format(document['metadata']['namespace'])}/{document['metadata']['name']}/status"
    return document, api.merge_patch(path, {"status": {"conditions": plain}})


def events(cluster, namespace):
    return json.loads(cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]


def test_describe_tells_the_story_in_order(cluster, api, namespace, recorder, deployment, dropped):
    recorder.told(*write(api, deployment, busy(Reason.DEPLOYING, "bringing news-1 up")))
    recorder.told(*write(api, deployment, busy(Reason.ENGINE_UNAVAILABLE, "Seldon does not answer")))
    serving = fact(ConditionType.SERVING, holds=True, reason=Reason.AVAILABLE, message="news-1 answers at http://x")
    recorder.told(*write(api, deployment, serving, message="news-1 is served"))
    recorder.close()
    name = deployment["metadata"]["name"]
    told = cluster.kubectl("describe", "modeldeployment", name, "-n", namespace).partition("\nEvents:")[2]
    assert re.findall(r"(Normal|Warning) +(\w+) +\S+ +cdl-operator +(.+)", told) == [
        ("Warning", "EngineUnavailable", "Seldon does not answer"),
        ("Normal", "Available", "news-1 answers at http://x"),
        ("Normal", "Succeeded", "news-1 is served"),
    ]
    assert dropped == []


def test_an_event_is_about_one_state_of_one_resource(cluster, namespace, recorder, deployment):
    recorder.record(deployment, (Note("Warning", "RunFailed", "x" * 5000),))
    recorder.close()
    (event,) = events(cluster, namespace)
    meta = deployment["metadata"]
    assert event["involvedObject"] == {
        "apiVersion": "cdl.dev/v1alpha1",
        "kind": "ModelDeployment",
        "name": meta["name"],
        "namespace": namespace,
        "uid": meta["uid"],
        "resourceVersion": meta["resourceVersion"],
    }
    assert len(event["message"].encode()) == 1024


def test_what_is_said_again_is_one_event_with_a_count(cluster, namespace, recorder, deployment):
    for _ in range(4):
        recorder.record(deployment, (Note("Warning", "EngineUnavailable", "Seldon does not answer"),))
    recorder.close()
    (event,) = events(cluster, namespace)
    assert event["count"] == 4


def test_an_event_that_was_deleted_is_posted_again(cluster, namespace, recorder, deployment):
    note = Note("Warning", "EngineUnavailable", "Seldon does not answer")
    recorder.record(deployment, (note,))
    recorder._queue.join()
    cluster.kubectl("delete", "events", "--all", "-n", namespace)
    recorder.record(deployment, (note,))
    recorder.close()
    assert [event["count"] for event in events(cluster, namespace)] == [1]


def test_who_may_not_post_loses_events_and_nothing_else(cluster, namespace, deployment, dropped):
    nobody = Api.connect(cluster.identity("nobody"))
    recorder = Recorder(nobody, "cdl-operator", dropped=lambda: dropped.append(1))
    recorder.record(deployment, (Note("Normal", "Succeeded", "done"),))
    recorder.close()
    assert events(cluster, namespace) == []
    assert dropped == [1]


def test_what_a_change_leads_to_is_an_event(cluster, namespace, recorder, deployment, dropped):
    resource = ModelDeployment.read(deployment)
    recorder.planned(resource, "rollout is rolled out: predictor.replicas: 1 -> 2")
    recorder.close()
    (event,) = events(cluster, namespace)
    assert (event["type"], event["reason"]) == ("Normal", "Planned")
    assert event["message"] == "rollout is rolled out: predictor.replicas: 1 -> 2"
    assert event["involvedObject"]["uid"] == resource.metadata.uid
    assert dropped == []
