"""The Kubernetes paths, through the real Python client."""

from __future__ import annotations

import copy
import threading

import pytest
from kubernetes import watch
from kubernetes.client.exceptions import ApiException

from tests.wire.seldon.engine import GROUP, PLURAL, VERSION, deployment, predictor

PATH = f"/apis/{GROUP}/{VERSION}/namespaces/default/{PLURAL}"


def refused(code, call, *arguments, **named):
    with pytest.raises(ApiException) as caught:
        call(*arguments, **named)
    assert caught.value.status == code
    return caught.value.body


def idle(name):
    """An object that starts no process."""
    return deployment(name, predictor("one", replicas=0))


def test_an_object_is_created_read_listed_and_deleted(shared):
    made = shared.create(idle("first"))
    metadata = made["metadata"]
    assert (metadata["namespace"], metadata["generation"]) == ("default", 1)
    assert metadata["uid"]
    assert int(metadata["resourceVersion"]) > 0
    assert shared.get("first")["metadata"]["uid"] == metadata["uid"]
    listed = shared.objects.list_namespaced_custom_object(GROUP, VERSION, "default", PLURAL)
    assert listed["kind"] == "SeldonDeploymentList"
    assert "first" in [item["metadata"]["name"] for item in listed["items"]]
    everywhere = shared.objects.list_cluster_custom_object(GROUP, VERSION, PLURAL)
    assert len(everywhere["items"]) >= 1
    assert shared.objects.list_namespaced_custom_object(GROUP, VERSION, "other", PLURAL)["items"] == []
    by_name = shared.objects.list_namespaced_custom_object(
        GROUP, VERSION, "default", PLURAL, field_selector="metadata.name=first"
    )
    assert len(by_name["items"]) == 1
    assert "AlreadyExists" in refused(409, shared.create, idle("first"))
    shared.delete("first")
    assert "NotFound" in refused(404, shared.get, "first")
    refused(404, shared.delete, "first")


def test_a_replace_needs_the_newest_resource_version_and_counts_generations(shared):
    shared.create(idle("second"))
    made = shared.until("second")
    replace = shared.objects.replace_namespaced_custom_object
    old = copy.deepcopy(made)
    made["spec"]["predictors"][0]["labels"] = {"a": "b"}
    changed = replace(GROUP, VERSION, "default", PLURAL, "second", made)
    assert changed["metadata"]["generation"] == 2
    assert "object has been modified" in refused(409, replace, GROUP, VERSION, "default", PLURAL, "second", old)
    del old["metadata"]["resourceVersion"]
    assert "must be specified for an update" in refused(422, replace, GROUP, VERSION, "default", PLURAL, "second", old)
    labelled = shared.patch("second", {"metadata": {"labels": {"x": "y"}}})
    assert labelled["metadata"]["generation"] == 2  # only the spec counts
    latest = shared.until("second")
    same = shared.patch("second", {"metadata": {"labels": {"x": "y"}}})
    assert (
        same["metadata"]["resourceVersion"] == latest["metadata"]["resourceVersion"]
    )  # nothing changed, nothing written
    refused(409, shared.patch, "second", {"metadata": {"resourceVersion": "1", "labels": {"x": "z"}}})
    gone = shared.patch("second", {"metadata": {"labels": None}})
    assert "labels" not in gone["metadata"]
    by_label = shared.objects.list_namespaced_custom_object(GROUP, VERSION, "default", PLURAL, label_selector="x=y")
    assert by_label["items"] == []
    shared.delete("second")


def test_status_is_a_part_of_its_own(shared):
    shared.create(idle("third"))
    available = shared.until("third")
    forged = {**available, "status": {"state": "Failed"}}
    forged["metadata"]["labels"] = {"a": "b"}
    main = shared.objects.replace_namespaced_custom_object(GROUP, VERSION, "default", PLURAL, "third", forged)
    assert main["status"]["state"] == "Available"
    part = shared.objects.get_namespaced_custom_object_status(GROUP, VERSION, "default", PLURAL, "third")
    assert part["status"]["state"] == "Available"
    patched = shared.objects.patch_namespaced_custom_object_status(
        GROUP, VERSION, "default", PLURAL, "third", {"status": {"note": "x"}, "spec": {"predictors": []}}
    )
    assert patched["status"]["note"] == "x"
    assert patched["spec"]["predictors"]
    shared.delete("third")


def test_server_side_apply_creates_owns_disputes_and_lets_go(shared):
    wish = deployment("fourth", predictor("one", replicas=0), annotations={"mine": "1"})
    made = shared.apply(wish)
    assert made["metadata"]["generation"] == 1
    same = shared.apply(wish)
    assert same["metadata"]["generation"] == 1
    other = {
        "apiVersion": wish["apiVersion"],
        "kind": wish["kind"],
        "metadata": {"name": "fourth"},
        "spec": {"annotations": {"mine": "2", "theirs": "3"}},
    }
    body = refused(409, shared.apply, other, "somebody")
    assert "FieldManagerConflict" in body
    assert ".spec.annotations.mine" in body
    taken = shared.apply(other, "somebody", force=True)
    assert taken["spec"]["annotations"] == {"mine": "2", "theirs": "3"}
    del other["spec"]["annotations"]["theirs"]
    assert shared.apply(other, "somebody")["spec"]["annotations"] == {"mine": "2"}
    del wish["spec"]["annotations"]
    assert shared.apply(wish)["spec"]["annotations"] == {"mine": "2"}  # it is somebody else's now
    refused(422, shared.apply, wish, "")
    shared.delete("fourth")


def test_a_watch_sees_every_change_once_and_in_order(shared):
    start = shared.objects.list_namespaced_custom_object(GROUP, VERSION, "default", PLURAL)["metadata"][
        "resourceVersion"
    ]
    seen = []

    def look():
        stream = watch.Watch().stream(
            shared.objects.list_namespaced_custom_object,
            GROUP,
            VERSION,
            "default",
            PLURAL,
            resource_version=start,
            field_selector="metadata.name=fifth",
            timeout_seconds=20,
        )
        for event in stream:
            seen.append((event["type"], event["object"]["metadata"]["resourceVersion"]))
            if event["type"] == "DELETED":
                break

    looking = threading.Thread(target=look)
    looking.start()
    shared.create(idle("fifth"))
    shared.until("fifth")
    shared.patch("fifth", {"metadata": {"labels": {"a": "b"}}})
    shared.delete("fifth")
    looking.join(20)
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    versions = [int(version) for _, version in seen]
    assert versions == sorted(set(versions))


def test_a_watch_from_a_forgotten_version_is_told_to_list_again(shared):
    with shared.http.stream("GET", f"{PATH}?watch=true&resourceVersion=999999999") as reply:
        assert b'"code":410' in b"".join(reply.iter_bytes())
    assert shared.http.get(f"{PATH}?watch=true&resourceVersion=x").status_code == 400


def test_finalizers_hold_an_object_until_the_last_is_removed(shared):
    held = idle("sixth")
    held["metadata"]["finalizers"] = ["cdl.dev/test"]
    shared.create(held)
    shared.delete("sixth")
    marked = shared.get("sixth")
    assert marked["metadata"]["deletionTimestamp"]
    shared.patch("sixth", {"metadata": {"finalizers": None}})
    refused(404, shared.get, "sixth")


def test_a_dry_run_stores_nothing(shared):
    made = shared.objects.create_namespaced_custom_object(
        GROUP, VERSION, "default", PLURAL, idle("seventh"), dry_run="All"
    )
    assert made["metadata"]["uid"]
    refused(404, shared.get, "seventh")


def without(document, *path):
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return document


WRONG = {
    "no spec": (without(idle("w"), "spec"), "spec"),
    "no predictors": (deployment("w"), "spec.predictors"),
    "predictors is an object": ({**idle("w"), "spec": {"predictors": {}}}, "spec.predictors"),
    "predictor is a text": (deployment("w", "one"), "spec.predictors[0]"),
    "same name twice": (deployment("w", predictor("a", 50), predictor("a", 50)), "spec.predictors[1].name"),
    "no name": (deployment("w", without(predictor("a"), "name")), "spec.predictors[0].name"),
    "a path as a name": (deployment("w", predictor("../../etc")), "spec.predictors[0].name"),
    "no graph": (deployment("w", without(predictor("a"), "graph")), "spec.predictors[0].graph"),
    "no such container": (deployment("w", predictor("a", graph={"name": "x"})), "spec.predictors[0].graph.name"),
    "no image": (deployment("w", predictor("a", image="")), "containers[0]"),
    "sum is not 100": (deployment("w", predictor("a", 50), predictor("b", 40)), "50 + 40 = 90"),
    "single with 50": (deployment("w", predictor("a", 50)), "spec.predictors"),
    "negative": (deployment("w", predictor("a", -1), predictor("b", 101)), "spec.predictors[0].traffic"),
    "traffic is a text": (deployment("w", predictor("a", "100")), "spec.predictors[0].traffic"),
    "only a shadow": (deployment("w", predictor("a", shadow=True)), "only a shadow"),
    "two shadows": (
        deployment("w", predictor("a"), predictor("b", shadow=True), predictor("c", shadow=True)),
        "more than one shadow",
    ),
    "server without model": (
        deployment("w", predictor("a", graph={"name": "m", "implementation": "SKLEARN_SERVER"})),
        "graph.modelUri",
    ),
    "logger without mode": (
        deployment("w", predictor("a", graph={"name": "model", "logger": {"url": "x"}})),
        "graph.logger.mode",
    ),
    "parameter without type": (
        deployment("w", predictor("a", graph={"name": "model", "parameters": [{"name": "n", "value": "1"}]})),
        "graph.parameters[0].type",
    ),
    "protocol": (deployment("w", predictor("a"), protocol="open-inference"), "spec.protocol"),
    "kafka without broker": (deployment("w", predictor("a"), serverType="kafka"), "KAFKA_BROKER"),
    "kind": ({**idle("w"), "kind": "Deployment"}, "kind"),
    "version": ({**idle("w"), "apiVersion": "v2"}, "apiVersion"),
    "name": (idle("Not A Name"), "metadata.name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_object_is_refused_with_the_field(shared, case):
    document, words = WRONG[case]
    reply = shared.http.post(PATH, json=document)
    status = reply.json()
    assert (reply.status_code, status["kind"], status["reason"], status["code"]) == (422, "Status", "Invalid", 422)
    assert words in status["message"]
    assert status["details"]["causes"]
    assert not [
        item
        for item in shared.http.get(PATH).json()["items"]
        if item["metadata"]["name"] == document["metadata"]["name"]
    ]


def test_an_update_to_something_invalid_changes_nothing(shared):
    shared.create(idle("eighth"))
    before = shared.until("eighth")
    body = refused(422, shared.patch, "eighth", {"spec": {"predictors": []}})
    assert "spec.predictors" in body
    assert shared.get("eighth") == before
    shared.delete("eighth")


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", PATH, b"{", 400),
        ("POST", PATH, b"[]", 400),
        ("POST", PATH, b"[" * 100_000, 400),
        ("POST", PATH, b" " * (4 << 20), 413),
        ("PUT", PATH, b"{}", 405),
        ("POST", f"{PATH}/x", b"{}", 405),
        ("DELETE", PATH, b"", 405),
        ("GET", "/apis/apps/v1/deployments", b"", 404),
        ("GET", f"{PATH}/nobody/log", b"", 404),
        ("GET", f"{PATH}?labelSelector=a+in+(b)", b"", 400),
    ],
)
def test_requests_that_make_no_sense_get_a_status_object(shared, method, path, body, code):
    reply = shared.http.request(method, path, content=body)
    assert (reply.status_code, reply.json()["kind"], reply.json()["code"]) == (code, "Status", code)


def test_unknown_patch_formats_are_named(shared):
    shared.create(idle("ninth"))
    reply = shared.http.patch(f"{PATH}/ninth", content=b"[]", headers={"content-type": "application/json-patch+json"})
    assert (reply.status_code, "merge-patch" in reply.json()["message"]) == (415, True)
    shared.delete("ninth")


def test_discovery_pages_are_there(shared):
    assert shared.http.get("/readyz").text == "ok"
    assert shared.http.get("/version").json()["major"] == "1"
    assert shared.http.get("/apis").json()["groups"][0]["name"] == GROUP
    resources = shared.http.get(f"/apis/{GROUP}/{VERSION}").json()["resources"]
    assert [resource["name"] for resource in resources] == [PLURAL, f"{PLURAL}/status"]
    assert shared.http.get("/api").json()["versions"] == ["v1"]
