"""SeldonEngine at a real API server, with the embedded Seldon behind it."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import pytest
import yaml

from cdl.api.meta import Key
from cdl.engines.seldon import SeldonEngine
from cdl.kube.client import Api
from cdl.ports.errors import Conflict, NotPermitted, Unavailable
from cdl.reconcile.modeldeployment import ServingPhase
from cdl.testing.serving_contract import ServingEngineContract
from tests.contract.pulses import ServingPulse
from tests.kube.seldons import Kubernetes, Seldon, eventually, silence
from tests.wire.drivers.wishes import ROW, Servings, releases_below
from tests.wire.drivers.wishes import serving as wish_of

RESOURCE = "modeldeployments.cdl.dev"


def client(kubeconfig):
    """Who a kubeconfig says we are, as the driver takes it."""
    return Api.connect(kubeconfig).library


class Insistent:
    """An engine whose caller looks again when Seldon was faster with a status, as the loop does."""

    def __init__(self, engine):
        self.engine = engine

    def __getattr__(self, name):
        call = getattr(self.engine, name)

        def insist(*words, **how):
            for _ in range(20):
                try:
                    return call(*words, **how)
                except Conflict:
                    time.sleep(0.05)
            return call(*words, **how)

        return insist


@pytest.fixture(scope="module")
def seldon(cluster, tmp_path_factory):
    made = Seldon(tmp_path_factory.mktemp("seldon"), cluster.kubeconfig).start()
    eventually(made.ready)
    yield made
    made.close()


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    return releases_below(tmp_path_factory.mktemp("releases"))


def resource(cluster, key):
    """Have there be a ModelDeployment, and give its uid."""
    metadata = {"name": key.name, "namespace": key.namespace}
    spec = {"model": {"name": "rows"}}
    document = {"apiVersion": "cdl.dev/v1alpha1", "kind": "ModelDeployment", "metadata": metadata, "spec": spec}
    cluster.apply(yaml.safe_dump(document))
    return cluster.kubectl("-n", key.namespace, "get", RESOURCE, key.name, "-o", "jsonpath={.metadata.uid}")


class TestSeldonAtAnApiServer(Servings, ServingEngineContract):
    @pytest.fixture
    def engine(self, seldon, releases, cluster):
        self.releases, self.cluster = releases, cluster
        return Insistent(SeldonEngine(client(cluster.kubeconfig), image="cdl/serving:test"))

    def settle(self, engine, key):
        def look():
            seen = engine.look(key)
            return seen if seen.phase is not ServingPhase.CREATING else None

        return eventually(look)

    def born(self, engine, key):
        return resource(self.cluster, key)

    def bury(self, engine, key):
        self.cluster.kubectl("-n", key.namespace, "delete", RESOURCE, key.name)


class TestSeldonPulseAtAnApiServer(Servings, ServingPulse):
    @pytest.fixture
    def engine(self, seldon, releases, cluster):
        self.releases = releases
        return Insistent(SeldonEngine(client(cluster.kubeconfig), image="cdl/serving:test"))

    def later(self, engine):
        time.sleep(0.02)


def test_what_belongs_to_a_resource_goes_with_it_and_what_was_let_go_stays(seldon, releases, cluster, namespace):
    engine = Insistent(SeldonEngine(client(cluster.kubeconfig), image="cdl/serving:test"))
    taken, left = (Key("ModelDeployment", namespace, name) for name in ("taken", "left"))
    for key in (taken, left):
        engine.serve(key, replace(wish_of(releases[1]), owner=resource(cluster, key)))
    engine.let_go(left)
    (reference,) = Kubernetes(cluster, namespace).get("taken")["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["controller"]) == ("ModelDeployment", "taken", True)
    for key in (taken, left):
        cluster.kubectl("-n", namespace, "delete", RESOURCE, key.name)
    eventually(lambda: engine.look(taken) is None)
    eventually(lambda: seldon.processes("taken") == [])
    kept = eventually(lambda: (s := engine.look(left)) and s.phase is ServingPhase.AVAILABLE and s)
    assert httpx.post(kept.url, json=ROW).status_code == 200
    engine.remove(left)


def test_made_again_a_resource_adopts_what_it_finds_and_restarts_nothing(seldon, releases, cluster, namespace):
    engine = Insistent(SeldonEngine(client(cluster.kubeconfig), image="cdl/serving:test"))
    key = Key("ModelDeployment", namespace, "found")
    engine.serve(key, wish_of(releases[1]))
    eventually(lambda: engine.look(key).phase is ServingPhase.AVAILABLE)
    before = {process.pid for process in seldon.processes("found")}
    owned = replace(wish_of(releases[1]), owner=resource(cluster, key))
    engine.serve(key, owned)
    seen = engine.look(key)
    assert (seen.key, seen.phase) == (owned.key, ServingPhase.AVAILABLE)
    assert {process.pid for process in seldon.processes("found")} == before
    engine.remove(key)


def test_a_beat_is_of_the_namespaces_that_were_named(seldon, releases, cluster, namespace):
    inside, outside = Key("ModelDeployment", namespace, "here"), Key("ModelDeployment", "default", "there")
    everywhere = Insistent(SeldonEngine(client(cluster.kubeconfig), image="cdl/serving:test"))
    here = SeldonEngine(client(cluster.kubeconfig), image="cdl/serving:test", namespaces=(namespace,))
    for key in (inside, outside):
        everywhere.serve(key, wish_of(releases[1]))
    assert {inside, outside} <= everywhere.beat().keys()
    assert set(here.beat()) == {inside}
    for key in (inside, outside):
        everywhere.remove(key)


def test_errors_say_what_must_happen_next(seldon, releases, cluster, namespace):
    key = Key("ModelDeployment", namespace, "news")
    stranger = SeldonEngine(client(cluster.identity("nobody", "strangers")), image="x")
    with pytest.raises(NotPermitted, match=r"looking at ModelDeployment news: .*forbidden"):
        stranger.look(key)
    with pytest.raises(NotPermitted, match=r"asking for what changed: .*forbidden"):
        stranger.beat()
    engine = SeldonEngine(client(cluster.kubeconfig), image="x")
    with silence(cluster), pytest.raises(Unavailable, match="the API server does not answer"):
        engine.look(key)
    assert engine.look(key) is None
