"""What the API server is told of the admission server, and what is said of a document without any server."""

from __future__ import annotations

import base64
import json

import kopf
import pytest

from cdl.api.meta import APPLIED_BY_ANNOTATION
from cdl.api.v1alpha1 import KINDS
from cdl.kube.admission import ALONE, register
from cdl.kube.answers import guarded, judged
from cdl.kube.review import ACCEPTED, review
from cdl.kube.webhooks import at_address, at_service, configurations
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, release_document
from tests.unit.kube.rule_examples import EXAMPLES, RENAMED

PARTS = ["validate", "decide", "mutate", "sign"]


@pytest.mark.parametrize(
    ("server", "before"),
    [
        (at_address("https://127.0.0.1:9443/", b"PEM"), "https://127.0.0.1:9443/"),
        (at_service("cdl-system", "cdl-admission", b"PEM"), "/"),
    ],
    ids=["address", "service"],
)
def test_each_webhook_leads_to_its_own_handler(server, before):
    clients = [w["clientConfig"] for document in configurations(server) for w in document["webhooks"]]
    assert [c.get("url") or c["service"]["path"] for c in clients] == [f"{before}{part}" for part in PARTS]
    assert {base64.b64decode(c["caBundle"]) for c in clients} == {b"PEM"}
    registry = kopf.OperatorRegistry()
    register(registry, None)
    assert sorted(handler.id for handler in registry._webhooks.get_all_handlers()) + sorted(ALONE) == [
        *("decide", "sign"),
        *("mutate", "validate"),
    ]


def test_the_api_never_waits_long_and_stands_still_for_us_only_where_a_decision_is_signed():
    webhooks = [w for document in configurations(at_address("https://127.0.0.1:1", b"")) for w in document["webhooks"]]
    assert [w["failurePolicy"] for w in webhooks] == ["Ignore", "Fail", "Ignore", "Fail"]
    assert {w["sideEffects"] for w in webhooks} == {"None"}
    assert max(w["timeoutSeconds"] for w in webhooks) <= 3


def test_a_status_is_nobodys_question_and_a_wish_is_asked_about_once_and_only_releases_when_they_go():
    webhooks = [w for d in configurations(at_address("https://x", b"")) for w in d["webhooks"]]
    kinds = [f"{kind.lower()}s" for kind in KINDS]
    asked = [[(rule["resources"], rule["operations"]) for rule in w["rules"]] for w in webhooks]
    assert asked == [
        [(["releases"], ["CREATE", "UPDATE", "DELETE"])],
        [(["releases"], ["UPDATE"])],
        [([name for name in kinds if name != "releases"], ["CREATE", "UPDATE"])],
        [(["releases"], ["UPDATE"])],
    ]
    creates = [name for rules in asked for names, operations in rules if "CREATE" in operations for name in names]
    assert sorted(creates) == sorted(kinds)
    assert [w.get("reinvocationPolicy") for w in webhooks] == [None, None, "IfNeeded", None]


def question(new, old=None, **more):
    request = {"uid": "q-1", "object": new, "oldObject": old, "namespace": "default", **more}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def steps_of(answer):
    return json.loads(base64.b64decode(answer["response"]["patch"]))


def test_a_new_resource_is_guarded_and_judged_in_one_answer():
    right = guarded(question(deployment_document()))
    assert right == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "q-1", "allowed": True, "patchType": "JSONPatch", "patch": right["response"]["patch"]},
    }
    assert steps_of(right) == [{"op": "add", "path": "/metadata/finalizers", "value": ["cdl.dev/engines"]}]
    wrong = EXAMPLES["step without a program"][0]
    (fault,) = review(wrong).faults
    refused = {"uid": "q-1", "allowed": False, "status": {"message": fault, "code": 422}}
    assert guarded(question(wrong))["response"] == judged(question(wrong))["response"] == refused


def test_asked_again_it_adds_nothing_and_judges_what_others_made_of_it():
    guard = {"finalizers": ["x/y", "cdl.dev/engines"]}
    document = deployment_document()
    document["metadata"] |= guard
    assert guarded(question(document))["response"] == {"uid": "q-1", "allowed": True}
    changed = pipeline_document(steps=[{"name": "a"}])
    changed["metadata"] |= guard
    assert not guarded(question(changed))["response"]["allowed"]


def by(user, document, **notes):
    """A document that says this of itself, and the AdmissionReview of its create."""
    metadata = document["metadata"] | ({"annotations": notes} if notes else {})
    return document | {"metadata": metadata | {"finalizers": ["cdl.dev/engines"]}}, {"userInfo": {"username": user}}


def left(response, document):
    """The annotations that are stored."""
    notes = dict(document["metadata"].get("annotations") or {})
    for step in steps_of(response) if "patch" in response["response"] else ():
        name = step["path"].removeprefix("/metadata/annotations").removeprefix("/").replace("~1", "/")
        if step["op"] == "remove":
            del notes[name]
        elif name:
            notes[name] = step["value"]
        else:
            assert not notes, "annotations that were there are overwritten"
    return notes


@pytest.mark.parametrize("forged", [{}, {APPLIED_BY_ANNOTATION: "the pope"}, {"team": "a"}])
def test_who_makes_a_resource_is_written_over_whatever_was_sent(forged):
    document, who = by("ada", experiment_document(), **forged)
    assert left(guarded(question(document, **who)), document) == forged | {APPLIED_BY_ANNOTATION: "ada"}


@pytest.mark.parametrize("forged", [{}, {APPLIED_BY_ANNOTATION: "the pope"}])
def test_only_who_changes_the_spec_is_its_author_from_then_on(forged):
    old, _ = by("ada", experiment_document(), **{APPLIED_BY_ANNOTATION: "ada", "team": "a"})
    same, who = by("bob", experiment_document(), **forged, team="b")
    assert left(guarded(question(same, old, **who)), same) == {APPLIED_BY_ANNOTATION: "ada", "team": "b"}
    changed, who = by("bob", experiment_document("news", 0.5), **forged)
    assert left(guarded(question(changed, old, **who)), changed) == {APPLIED_BY_ANNOTATION: "bob"}


def test_nobody_becomes_the_author_of_what_nobody_signed():
    old, _ = by("ada", experiment_document())
    forged, who = by("bob", experiment_document(), **{APPLIED_BY_ANNOTATION: "the pope"})
    assert left(guarded(question(forged, old, **who)), forged) == {}


def test_a_change_is_judged_and_gets_no_finalizer():
    old = deployment_document()
    assert guarded(question(old, old))["response"] == {"uid": "q-1", "allowed": True}
    wrong = pipeline_document(steps=[{"name": "a"}])
    assert not guarded(question(wrong, pipeline_document()))["response"]["allowed"]


def test_doubts_go_with_the_finalizer():
    response = guarded(question(pipeline_document(interval="1s")))["response"]
    assert response["allowed"]
    assert len(response["warnings"]) == 2
    assert "patch" in response


def test_a_name_that_is_still_to_be_made_up_is_not_held_against_a_new_resource():
    document = deployment_document()
    document["metadata"] = {"generateName": "news-"}
    assert guarded(question(document))["response"]["allowed"]
    document["metadata"] = {"generateName": "News-"}
    assert "metadata.name" in guarded(question(document))["response"]["status"]["message"]


@pytest.mark.parametrize("status", [{}, None, {"servedBy": None}, {"servedBy": []}])
def test_a_deletion_is_answered_with_yes(status):
    for old in (deployment_document() | {"status": status}, release_document() | {"status": status}, None):
        assert judged(question(None, old))["response"] == {"uid": "q-1", "allowed": True}


def test_a_release_that_is_served_stays_unless_its_whole_namespace_goes():
    served = release_document() | {"status": {"servedBy": ["shop"]}}
    said = judged(question(None, served, name="news-1", userInfo={"username": "ann"}))["response"]
    assert (said["allowed"], said["status"]["code"]) == (False, 409)
    assert said["status"]["message"].startswith("Release news-1: it is served by shop; delete what serves it first")
    sweeper = {"username": "system:serviceaccount:kube-system:namespace-controller"}
    assert judged(question(None, served, userInfo=sweeper))["response"]["allowed"]


def test_a_document_is_judged_with_every_fault_and_doubted_only_when_it_is_right():
    wrong = pipeline_document(steps=[{"name": "a"}], interval="1s", surprise=1)
    assert len(review(wrong).faults) == 2
    assert review(wrong).doubts == ()
    assert [d.partition(":")[0] for d in review(pipeline_document(interval="1s")).doubts] == [
        "spec.interval",
        "spec.sources[0]",
    ]


def test_the_kind_of_a_document_is_judged_too():
    (sentence,) = review({"kind": "Pipeline"}).faults
    assert sentence.startswith("kind: found 'Pipeline', allowed: ")


def test_what_is_stored_is_never_held_against_another_change():
    wrong = EXAMPLES["step without a program"][0]
    relabelled = wrong | {"metadata": wrong["metadata"] | {"labels": {"team": "news"}}}
    assert review(relabelled, wrong) == ACCEPTED
    assert review(wrong).faults
    going = pipeline_document(steps=[]) | {
        "metadata": {"name": "news", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}
    }
    assert review(going | {"spec": wrong["spec"]}, going) == ACCEPTED
    assert review(wrong | {"spec": wrong["spec"] | {"interval": "1h"}}, wrong).faults


def test_a_status_nobody_can_read_does_not_stop_a_change():
    old = deployment_document() | {"status": {"conditions": "of another version"}}
    assert review(old | {"spec": old["spec"] | {"interval": "1h"}}, old) == ACCEPTED


def test_a_change_that_may_never_be_is_refused():
    new = experiment_document(model={"name": "other"})
    assert review(new).faults == ()
    assert review(new, experiment_document()).faults == (f"spec.model.name: {RENAMED}",)
