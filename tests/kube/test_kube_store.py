"""The resource contract, kept by a real API server: read directly, and through the cache of a watch."""

from __future__ import annotations

import json

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Experiment
from cdl.api.v1alpha1.experiment import BestTrial, ExperimentStatus
from cdl.kube import paths
from cdl.kube.cache import Cache
from cdl.kube.client import Api
from cdl.kube.store import KubeStore, Live, listed
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable, Unreadable
from cdl.testing.builders import experiment_document, pipeline, pipeline_document
from cdl.testing.resources_contract import ResourceStoreContract

KEY = Key("DataPipeline", "default", "news")


@pytest.fixture
def api(cluster):
    return Api.connect(cluster.kubeconfig)


@pytest.fixture(autouse=True)
def clean(api):
    """Every test begins and ends without resources."""
    sweep(api)
    yield
    sweep(api)


def sweep(api):
    for kind in ("DataPipeline", "Experiment", "Release"):
        for document in listed(api, kind)[0]:
            path = paths.collection(kind, document["metadata"]["namespace"]) + "/" + document["metadata"]["name"]
            api.merge_patch(path, {"metadata": {"finalizers": None}})
            api.delete(path)


class Watched(KubeStore):
    """A store over a cache, whose watch is the test."""

    def __init__(self, api):
        self.api, self.cache = api, Cache()
        super().__init__(api, self.cache)

    def saw(self, document):
        self.cache.put(document)


def apply(api, document):
    """Create, or change what a person would change; a server of 1.20 counts every apply on its side as a change."""
    meta, kind = document["metadata"], document["kind"]
    body = {"apiVersion": document["apiVersion"], "kind": kind, "spec": document["spec"]}
    body["metadata"] = {n: meta[n] for n in ("name", "namespace", "labels", "annotations", "finalizers") if meta.get(n)}
    collection = paths.collection(kind, meta["namespace"])
    if api.get(f"{collection}/{meta['name']}") is None:
        api.create(collection, body)  # the first write after this one stores the default of the status, and so counts
    return api.merge_patch(f"{collection}/{meta['name']}", body)


class OfAnApiServer(ResourceStoreContract):
    def apply(self, engine, resource):
        stored = apply(engine._api, resource.plain())
        engine._view.put(stored)

    def delete(self, engine, key):
        gone = engine._api.delete(paths.resource(key))
        now = engine._api.get(paths.resource(key))
        if now is not None:
            engine._view.put(now)
        else:
            meta = gone.get("metadata", {})
            engine._view.drop(key, meta.get("uid") or gone["details"]["uid"])


class TestLive(OfAnApiServer):
    @pytest.fixture
    def engine(self, api):
        return KubeStore(api, Live(api))


class TestCached(OfAnApiServer):
    @pytest.fixture
    def engine(self, api):
        return Watched(api)


def test_a_stale_cache_conflicts_and_knows_better_afterwards(api):
    store = Watched(api)
    store.saw(api.create(paths.collection("DataPipeline", "default"), pipeline_document()))
    seen = store.get(DataPipeline, "default", "news")
    api.merge_patch(paths.resource(KEY), {"metadata": {"labels": {"touched": "yes"}}})
    with pytest.raises(Conflict):
        store.write_status(KEY, seen.status.model_copy(update={"progress": "1/2"}), seen.metadata.resource_version)
    now = store.get(DataPipeline, "default", "news")
    assert now.metadata.labels["touched"] == "yes"
    store.write_status(KEY, now.status.model_copy(update={"progress": "1/2"}), now.metadata.resource_version)
    assert store.get(DataPipeline, "default", "news").status.progress == "1/2"


def test_a_status_leaves_nothing_of_the_one_before(api):
    store = Watched(api)
    store.saw(api.create(paths.collection("Experiment", "default"), experiment_document()))
    seen = store.get(Experiment, "default", "news")
    full = seen.status.model_copy(update={"progress": "1/2", "model_version": 3, "release": "news-3"})
    store.write_status(seen.key, full, seen.metadata.resource_version)
    seen = store.get(Experiment, "default", "news")
    assert (seen.status.model_version, seen.status.release) == (3, "news-3")
    store.write_status(seen.key, ExperimentStatus(), seen.metadata.resource_version)
    stored = Live(api).get(seen.key).document["status"]
    assert "modelVersion" not in stored
    assert stored["release"] == ""


def test_a_number_json_cannot_say_is_left_out(api):
    store = Watched(api)
    store.saw(api.create(paths.collection("Experiment", "default"), experiment_document()))
    seen = store.get(Experiment, "default", "news")
    best = BestTrial(id=1, metric=0.5, hparams={"lr": float("inf"), "layers": [1.0, float("nan")]})
    status = ExperimentStatus(best_trial=best)
    store.write_status(seen.key, status, seen.metadata.resource_version)
    assert Live(api).get(seen.key).document["status"]["bestTrial"] == {
        "id": 1,
        "metric": 0.5,
        "hparams": {"layers": [1]},
    }


def test_what_the_schema_lets_through_and_the_model_does_not_is_unreadable(api):
    document = experiment_document()
    document["spec"]["config"] = {"searcher": {"name": "no such searcher"}}
    document["spec"]["interval"] = "10m"
    stored = api.create(paths.collection("Experiment", "default"), document)
    stored["spec"]["suspend"] = "perhaps"
    store = Watched(api)
    store.saw(stored)
    with pytest.raises(Unreadable, match=r"spec\.suspend: found 'perhaps'") as caught:
        store.get(Experiment, "default", "news")
    assert caught.value.reason is Reason.INVALID_SPEC
    assert caught.value.document["metadata"]["name"] == "news"
    assert store.list(Experiment) == ()


def test_who_does_not_lead_writes_nothing(api):
    store = KubeStore(api, Live(api), may_write=lambda: False)
    with pytest.raises(Unavailable, match="does not lead"):
        store.create(pipeline())
    assert listed(api, "DataPipeline")[0] == ()


def test_each_status_that_was_written_is_told_once(api):
    heard = []
    store = KubeStore(api, Live(api), told=lambda before, after: heard.append((before, after)))
    api.create(paths.collection("DataPipeline", "default"), pipeline_document())
    for _ in range(2):
        seen = store.get(DataPipeline, "default", "news")
        told = seen.status.model_copy(update={"progress": "1/2"})
        store.write_status(KEY, told, seen.metadata.resource_version)
    (pair,) = heard
    assert [document["status"].get("progress") for document in pair] == [None, "1/2"]


@pytest.fixture
def stranger(cluster):
    return Api.connect(cluster.identity("nobody"))


def test_every_answer_of_the_server_has_a_home(api, stranger, cluster, tmp_path):
    with pytest.raises(NotPermitted, match="cannot list"):
        stranger.list(paths.collection("DataPipeline"))
    with pytest.raises(Unavailable, match=r"could not find|does not know|not found"):
        api.list("/apis/cdl.dev/v1alpha1/nothings")
    bad = pipeline_document()
    bad["spec"]["suspend"] = 7
    with pytest.raises(Rejected, match=r"spec\.suspend") as caught:
        api.create(paths.collection("DataPipeline", "default"), bad)
    assert caught.value.reason is Reason.INVALID_SPEC
    api.create(paths.collection("DataPipeline", "default"), pipeline_document())
    with pytest.raises(Conflict, match="already exists"):
        api.create(paths.collection("DataPipeline", "default"), pipeline_document())
    assert api.get(paths.resource(Key("DataPipeline", "default", "absent"))) is None
    nowhere = json.loads(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "x"}))
    nowhere["clusters"] = [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}]
    nowhere["contexts"] = [{"name": "x", "context": {"cluster": "x", "user": "x"}}]
    nowhere["users"] = [{"name": "x", "user": {}}]
    (tmp_path / "kubeconfig").write_text(json.dumps(nowhere))
    with pytest.raises(Unavailable, match="does not answer"):
        Api.connect(tmp_path / "kubeconfig").list("/api")
    with pytest.raises(Rejected, match=r"kubeconfig .*absent cannot be used"):
        Api.connect(tmp_path / "absent")


def test_a_long_list_comes_page_by_page(api):
    for number in range(3):
        document = pipeline_document()
        document["metadata"]["name"] = f"p{number}"
        api.create(paths.collection("DataPipeline", "default"), document)
    documents, version = listed(api, "DataPipeline", page=2)
    assert [d["metadata"]["name"] for d in documents] == ["p0", "p1", "p2"]
    assert version >= max(int(d["metadata"]["resourceVersion"]) for d in documents)
    assert {d["kind"] for d in documents} == {"DataPipeline"}
    assert ConditionType.READY not in documents[0].get("status", {}).get("conditions", [])
