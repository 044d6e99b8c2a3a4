"""What feeds the operator on a real API server: lists, what a watch tells, and what it does not tell."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict

import pytest

from cdl.api.meta import Key
from cdl.kube import paths
from cdl.kube.cache import Cache
from cdl.kube.client import Api
from cdl.kube.feed import KubeFeed
from cdl.testing.builders import pipeline_document

COUNTS = iter(range(1_000_000))


class Watched:
    """A feed that runs, and whose watch is the test: it is silent unless the test speaks."""

    def __init__(self, cluster, *namespaces, grace=0.2):
        self.api, self.cache = Api.connect(cluster.kubeconfig), Cache()
        self.lists, self.missed = 0, []
        self.told = defaultdict(list)
        self.api.requested = self._requested
        self.feed = KubeFeed(self.api, self.cache, namespaces, self.missed.append, relist=0.05, grace=grace)
        self.stop, self.until = threading.Event(), cluster.until
        self.thread = threading.Thread(target=self.feed.run, args=(self._saw, self.stop))

    def __enter__(self):
        self.thread.start()
        assert self.feed.primed.wait(60)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def _saw(self, key, stamp):
        self.told[key].append(stamp)

    def _requested(self, verb, status):
        self.lists += verb == "GET" and status == 200

    def listed_again(self, rounds=2):
        """Wait until everything was listed again from the beginning."""
        kinds_and_places = 4 * len(self.feed._places)
        wanted = self.lists + rounds * kinds_and_places
        self.until("a new list", lambda: self.lists >= wanted)


@pytest.fixture
def pipelines(cluster):
    """Create and delete pipelines without a word to the feed."""
    return Pipelines(Api.connect(cluster.kubeconfig))


class Pipelines:
    def __init__(self, api):
        self.api = api

    def create(self, namespace, name, **spec):
        document = pipeline_document(name, **spec)
        document["metadata"]["namespace"] = namespace
        return self.api.create(paths.collection("DataPipeline", namespace), document)

    def patch(self, namespace, name, **change):
        return self.api.merge_patch(paths.resource(Key("DataPipeline", namespace, name)), change)

    def delete(self, namespace, name):
        self.api.delete(paths.resource(Key("DataPipeline", namespace, name)))


def key(namespace, name):
    return Key("DataPipeline", namespace, name)


@pytest.fixture
def two_namespaces(cluster):
    made = [f"feed-{os.getpid()}-{next(COUNTS)}" for _ in range(2)]
    for name in made:
        cluster.kubectl("create", "namespace", name)
    yield made
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_what_there_is_is_told_before_anything_else(cluster, namespace, pipelines):
    pipelines.create(namespace, "old")
    with Watched(cluster, namespace) as watched:
        assert watched.told.keys() == {key(namespace, "old")}
        assert watched.cache.get(key(namespace, "old")).document["metadata"]["name"] == "old"
    assert watched.missed == []


def test_a_list_finds_what_a_silent_watch_did_not_tell_and_says_so(cluster, namespace, pipelines):
    with Watched(cluster, namespace) as watched:
        pipelines.create(namespace, "new")
        watched.until("what was created", lambda: watched.told[key(namespace, "new")])
        watched.until("a word of it", lambda: watched.missed)
        assert watched.missed == [
            f"the watch did not tell of 1 changes, {key(namespace, 'new')} among them",
        ]
        pipelines.patch(namespace, "new", spec={"suspend": True})
        watched.until("the change", lambda: len({s.wish for s in watched.told[key(namespace, "new")]}) == 2)
        assert watched.cache.get(key(namespace, "new")).document["spec"]["suspend"] is True
        watched.until("a word of it", lambda: len(watched.missed) == 2)


def test_what_was_deleted_while_nobody_watched_is_told_as_gone(cluster, namespace, pipelines):
    pipelines.create(namespace, "old")
    with Watched(cluster, namespace) as watched:
        pipelines.delete(namespace, "old")
        watched.until("its end", lambda: watched.told[key(namespace, "old")][-1] is None)
        assert watched.cache.get(key(namespace, "old")) is None
        watched.until("a word of it", lambda: watched.missed)


def test_what_was_made_again_under_its_name_is_told_as_it_is_now(cluster, namespace, pipelines):
    first = pipelines.create(namespace, "twice")
    with Watched(cluster, namespace) as watched:
        pipelines.delete(namespace, "twice")
        second = pipelines.create(namespace, "twice")
        known = lambda: watched.cache.get(key(namespace, "twice")).document["metadata"]["uid"]  # noqa: E731 - asked twice
        assert first["metadata"]["uid"] != second["metadata"]["uid"]
        watched.until("the second", lambda: known() == second["metadata"]["uid"])
        watched.listed_again()
        assert known() == second["metadata"]["uid"]


def test_a_watch_that_is_only_slower_than_a_list_is_not_called_silent(cluster, namespace, pipelines):
    with Watched(cluster, namespace, grace=30) as watched:
        document = pipelines.create(namespace, "late")
        watched.listed_again(rounds=1)
        watched.feed.event(deleted=False, document={"kind": "DataPipeline", **document})
        watched.listed_again()
        assert watched.missed == []


def test_a_watch_that_is_late_but_goes_on_telling_is_not_called_silent(cluster, namespace, pipelines):
    grace, pause, names = 4, 2.5, ("first", "second", "third")
    with Watched(cluster, namespace, grace=grace) as watched:
        documents = [{"kind": "DataPipeline", **pipelines.create(namespace, name)} for name in names]
        for document in documents:
            time.sleep(pause)
            watched.feed.event(deleted=False, document=document)
        watched.listed_again()
        assert watched.missed == []


def test_what_came_and_went_during_a_list_is_not_called_untold(cluster, namespace, pipelines):
    with Watched(cluster, namespace, grace=6) as watched:
        document = {"kind": "DataPipeline", **pipelines.create(namespace, "brief")}
        watched.listed_again(rounds=1)  # a round that shows it has begun
        pipelines.delete(namespace, "brief")
        watched.feed.event(deleted=False, document=document)
        watched.feed.event(deleted=True, document=document)
        watched.listed_again()
        assert watched.missed == []
        assert watched.told[key(namespace, "brief")][-1] is None
        assert watched.cache.get(key(namespace, "brief")) is None


def test_of_two_namespaces_everything_is_told_and_of_a_third_nothing(cluster, namespace, two_namespaces, pipelines):
    for place in (namespace, *two_namespaces):
        pipelines.create(place, "there")
    with Watched(cluster, *two_namespaces) as watched:
        assert watched.told.keys() == {key(place, "there") for place in two_namespaces}
        for place in (namespace, *two_namespaces):
            pipelines.create(place, "later")
        for place in two_namespaces:
            watched.until("what was created", lambda place=place: watched.told.get(key(place, "later")))
            pipelines.delete(place, "there")
            watched.until("its end", lambda place=place: watched.told[key(place, "there")][-1] is None)
        assert {k.namespace for k in watched.told} == set(two_namespaces)


def test_nothing_is_told_before_the_api_server_answers_and_everything_afterwards(cluster, namespace, pipelines):
    pipelines.create(namespace, "old")
    told, stop, feed = [], threading.Event(), None
    cluster.kill("kube-apiserver")
    try:
        feed = KubeFeed(Api.connect(cluster.kubeconfig), Cache(), (namespace,), told.append)
        thread = threading.Thread(target=feed.run, args=(lambda key, stamp: told.append(key), stop))
        thread.start()
        assert not feed.primed.wait(1.5)
        assert told == []
    finally:
        cluster.start()
    assert feed.primed.wait(60)
    stop.set()
    thread.join()
    assert told == [key(namespace, "old")]
