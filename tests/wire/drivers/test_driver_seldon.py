"""SeldonEngine against the embedded Seldon, with real model servers."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from kubernetes import client as kubernetes

from cdl.api.meta import Key
from cdl.engines.seldon import SeldonEngine
from cdl.ports.errors import Rejected, Unavailable
from cdl.reconcile.modeldeployment import ServingPhase
from cdl.testing.builders import signer
from tests.wire.serving.tiny_release import TinyRelease

from .conftest import eventually, free_port
from .wishes import ROW, released
from .wishes import serving as wish

NUMBERS = itertools.count()
GROUP = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}


@pytest.fixture
def engine(seldon):
    return SeldonEngine(f"http://{seldon.address}", image="cdl/serving:test", trusted=signer().trusted)


@pytest.fixture
def objects(seldon):
    return kubernetes.CustomObjectsApi(kubernetes.ApiClient(kubernetes.Configuration(host=f"http://{seldon.address}")))


@pytest.fixture
def owner():
    return Key("ModelDeployment", "default", f"rows{next(NUMBERS)}")


@pytest.fixture
def release(tmp_path):
    """Releases whose answers tell them apart: each scales by its own weight."""

    return lambda version, *how: released(tmp_path / f"r{version}", version, *how)


def settled(engine, owner):
    return eventually(lambda: engine.look(owner), lambda s: s.phase is not ServingPhase.CREATING)


def scaled(url: str) -> float:
    return httpx.post(url, json=ROW).raise_for_status().json()["data"]["ndarray"][0][0] / 10


def test_serving_twice_changes_nothing(engine, owner, objects, release):
    wanted = wish(release(3, 2.0))
    engine.serve(owner, wanted)
    settled(engine, owner)
    before = objects.get_namespaced_custom_object(**GROUP, namespace="default", name=owner.name)
    engine.serve(owner, wanted)
    assert objects.get_namespaced_custom_object(**GROUP, namespace="default", name=owner.name) == before


def test_what_others_noted_on_the_object_stays(engine, owner, objects, release):
    engine.serve(owner, wish(release(3, 2.0)))
    noted = {"metadata": {"annotations": {"team": "news"}}}
    objects.patch_namespaced_custom_object(
        **GROUP, namespace="default", name=owner.name, body=noted, _content_type="application/merge-patch+json"
    )
    engine.serve(owner, wish(release(4, 5.0)))
    live = objects.get_namespaced_custom_object(**GROUP, namespace="default", name=owner.name)
    assert live["metadata"]["annotations"]["team"] == "news"
    assert [p["name"] for p in live["spec"]["predictors"]] == ["v4"]


def test_an_object_of_somebody_else_is_left_alone(engine, owner, objects, release):
    container = {"name": "m", "image": "cdl/serving:test"}
    theirs = {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": owner.name},
        "spec": {
            "predictors": [
                {"name": "p", "graph": {"name": "m"}, "componentSpecs": [{"spec": {"containers": [container]}}]}
            ]
        },
    }
    objects.create_namespaced_custom_object(**GROUP, namespace="default", body=theirs)
    assert engine.look(owner) is None
    with pytest.raises(Rejected, match="was not made by cdl"):
        engine.serve(owner, wish(release(3, 2.0)))
    engine.remove(owner)
    left = objects.get_namespaced_custom_object(**GROUP, namespace="default", name=owner.name)
    assert [p["name"] for p in left["spec"]["predictors"]] == ["p"]
    objects.delete_namespaced_custom_object(**GROUP, namespace="default", name=owner.name)


def test_what_the_api_server_refuses_is_one_sentence(seldon, owner, release):
    engine = SeldonEngine(f"http://{seldon.address}", image="")
    with pytest.raises(Rejected, match=r"^serving rows-3: .*image") as caught:
        engine.serve(owner, wish(release(3, 2.0)))
    assert "\n" not in str(caught.value)


def test_nobody_answering_is_unavailable(owner):
    with pytest.raises(Unavailable, match="the API server does not answer"):
        SeldonEngine(f"http://127.0.0.1:{free_port()}", image="x").look(owner)


def test_the_interface_reaches_the_server(engine, owner, release):
    engine.serve(owner, wish(release(3, 2.0)))
    url = settled(engine, owner).url
    answer = httpx.post(url, json={"data": {"ndarray": [[1, 2]]}})
    assert answer.status_code in {400, 422}
    assert "x" in json.dumps(answer.json())


def place_of(release):
    return Path(urlsplit(release.document).path).parent


def stranger_approves(release):
    digest = {"sha256": release.digest.removeprefix("sha256:")}
    return TinyRelease(place_of(release)).approve(signer(9), subject=[{"name": release.name, "digest": digest}])


def other_approval(release):
    return TinyRelease(place_of(release), digest="sha256:" + "0" * 64).approve(signer())


def flipped(release):
    weights = place_of(release) / "checkpoint-1" / "weights.json"
    weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    return release


TAMPERED = {
    "of a stranger's key": (lambda r: replace(r, attestation=stranger_approves(r)), "not signed by a key that counts"),
    "of another release": (lambda r: replace(r, attestation=other_approval(r)), "is about another release"),
    "not there any more": (lambda r: replace(r, attestation=r.attestation + ".gone"), "cannot be read"),
    "of a release changed since": (flipped, "'weights.json'"),
}


@pytest.mark.parametrize("approval", TAMPERED)
def test_what_is_not_what_was_approved_never_answers_and_says_why(engine, owner, release, approval):
    good, bad = release(3, 2.0), release(4, 5.0)
    tamper, words = TAMPERED[approval]
    engine.serve(owner, wish(good))
    url = settled(engine, owner).url
    engine.serve(owner, wish(tamper(bad)))
    seen = settled(engine, owner)
    assert (seen.phase, words in seen.message) == (ServingPhase.FAILED, True), seen.message
    assert scaled(url) == 2.0, "what was approved goes on answering"
    engine.remove(owner)
