"""Between SeldonDeployment objects and ours."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import pytest
from kubernetes.client import exceptions as sdk
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from cdl.api.conditions import Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1.modeldeployment import ModelDeploymentSpec
from cdl.engines.seldon import door, translate
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable
from cdl.reconcile.modeldeployment import ReleaseSeen, ServingPhase, ServingWish

OWNER = Key("ModelDeployment", "team", "news")
RELEASE = ReleaseSeen("news-3", 3, "sha256:aa", approved=True, document="file:///r.json", attestation="file:///a.json")


def wish(**spec) -> ServingWish:
    return ServingWish(RELEASE, ModelDeploymentSpec.model_validate({"model": {"name": "bbc"}, **spec}))


def through(error: BaseException) -> PortError:
    with pytest.raises(PortError) as caught, door.door("doing it"):
        raise error
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_exception_of_the_client_has_a_home():
    own = [c for _, c in inspect.getmembers(sdk, inspect.isclass) if c.__module__ == sdk.__name__]
    assert {c for c in own if issubclass(c, Exception)} == door.SAYS_NO.keys()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, NotPermitted),
        (403, NotPermitted),
        (404, Conflict),
        (409, Conflict),
        (422, Rejected),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_an_answer_is_judged_by_its_status_and_keeps_its_words(status, kind):
    error = through(sdk.ApiException(status, "R", body=json.dumps({"message": "it is so"})))
    assert type(error) is kind
    assert str(error) == "doing it: it is so"


@pytest.mark.parametrize("body", [None, "", "<html>", "[]"])
def test_an_answer_without_words_says_its_status(body):
    assert str(through(sdk.ApiException(502, "Bad Gateway", body=body))).endswith("answered 502 Bad Gateway")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MaxRetryError(None, "/x"), Unavailable),
        (ReadTimeoutError(None, "/x", "late"), Unavailable),
        (sdk.ApiValueError("name is missing"), Rejected),
    ],
)
def test_every_error_leaves_as_one_of_ours(error, kind):
    assert type(through(error)) is kind


def test_the_wish_is_one_predictor_called_by_its_version():
    made = translate.manifest(OWNER, wish(predictor={"replicas": 2, "resources": {"cpu": 0.5, "gpu": 1}}), "i:1")
    (predictor,) = made["spec"]["predictors"]
    assert (predictor["name"], predictor["traffic"], predictor["replicas"]) == ("v3", 100, 2)
    (container,) = predictor["componentSpecs"][0]["spec"]["containers"]
    assert (container["name"], container["image"]) == (predictor["graph"]["name"], "i:1")
    assert container["resources"] == {"requests": {"cpu": "0.5"}, "limits": {"cpu": "0.5", "nvidia.com/gpu": "1"}}
    parameters = {p["name"]: p["value"] for p in predictor["graph"]["parameters"]}
    assert {p["type"] for p in predictor["graph"]["parameters"]} == {"STRING"}
    assert (parameters["release_uri"], parameters["release_digest"]) == ("file:///r.json", "sha256:aa")


def test_the_interface_is_written_as_the_server_reads_it():
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
    made = translate.manifest(OWNER, wish(interface={"inputs": [tensor]}), "i:1")
    parameters = {p["name"]: p["value"] for p in made["spec"]["predictors"][0]["graph"]["parameters"]}
    assert json.loads(parameters["interface"]) == {"inputs": [tensor], "outputs": []}


@pytest.mark.parametrize(("protocols", "spoken"), [(["v2", "seldon"], None), (["seldon"], None), (["v2"], "v2")])
def test_the_protocol_is_v2_only_when_nothing_else_is_wanted(protocols, spoken):
    made = translate.manifest(OWNER, wish(predictor={"protocols": protocols}), "i:1")
    assert made["spec"].get("protocol") == spoken


def live(status=None, generation=2, **more) -> dict:
    made = translate.manifest(OWNER, wish(), "i:1")
    meta = {**made["metadata"], "generation": generation, "resourceVersion": "7", **more}
    return {**made, "metadata": meta, **({"status": status} if status is not None else {})}


def test_the_whole_object_goes_back_with_the_version_that_was_read():
    old = live(labels={"team": "a"}, annotations={"note": "b", translate.KEY: "old"})
    made = translate.replacing(old, translate.manifest(OWNER, wish(), "i:2"))
    assert made["metadata"]["resourceVersion"] == "7"
    assert made["metadata"]["labels"]["team"] == "a"
    assert (made["metadata"]["annotations"]["note"], translate.notes(made)[translate.KEY]) == ("b", wish().key)


@pytest.mark.parametrize("state", ["Available", "Creating", "Failed"])
def test_a_state_about_this_generation_is_believed(state):
    status = {"state": state, "observedGeneration": 2, "replicas": 1, "description": "so"}
    seen = translate.serving_seen(live({**status, "address": {"url": "http://x/predict"}}))
    assert (seen.phase.value, seen.message, seen.url, seen.ready, seen.desired) == (
        state,
        "so",
        "http://x/predict",
        1,
        1,
    )
    assert (seen.key, seen.release) == (wish().key, "news-3")


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"state": "Available", "observedGeneration": 1, "replicas": 1},
        {"state": "Failed", "observedGeneration": 1, "description": "old trouble"},
        {"state": "Available", "deploymentStatus": {"news-v2-0-bbc": {}}, "replicas": 1},
    ],
)
def test_a_state_about_what_was_before_is_not(status):
    seen = translate.serving_seen(live(status))
    assert (seen.phase, seen.ready, seen.message) == (ServingPhase.CREATING, 0, "")


def test_without_a_generation_the_names_of_the_deployments_tell():
    status = {"state": "Available", "deploymentStatus": {"news-v3-0-bbc": {}}, "replicas": 1}
    assert translate.serving_seen(live(status)).phase is ServingPhase.AVAILABLE


def test_every_phase_of_ours_has_a_state_of_seldons():
    assert set(translate.PHASE_OF.values()) == set(ServingPhase)


def test_a_state_nobody_knows_is_not_taken_for_ready():
    assert translate.serving_seen(live({"state": "Odd", "observedGeneration": 2})).phase is ServingPhase.CREATING


def environment(made):
    (container,) = made["spec"]["predictors"][0]["componentSpecs"][0]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_the_server_is_told_where_the_approval_lies_and_whose_signature_counts():
    told = environment(translate.manifest(OWNER, wish(), "i:1", "a key"))
    assert told == {"CDL_APPROVAL_URI": "file:///a.json", "CDL_APPROVAL_KEYS": "a key"}
    parameters = translate.manifest(OWNER, wish(), "i:1", "a key")["spec"]["predictors"][0]["graph"]["parameters"]
    assert "a key" not in json.dumps(parameters)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"approved": False}, "news-3 is not approved; only approved releases are served"),
        ({"attestation": ""}, "news-3 has no signed approval; only what a signature approves is served"),
    ],
)
def test_what_nobody_has_approved_with_a_signature_is_never_written(change, sentence):
    wanted = wish()
    with pytest.raises(Rejected, match=f"^{sentence}$") as caught:
        translate.manifest(OWNER, replace(wanted, release=replace(RELEASE, **change)), "i:1", "a key")
    assert caught.value.reason is Reason.NOT_APPROVED


def test_an_approval_at_another_place_is_another_wish():
    assert replace(wish(), release=replace(RELEASE, attestation="file:///b.json")).key != wish().key
