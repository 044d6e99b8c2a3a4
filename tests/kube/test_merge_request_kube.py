"""What approval by merge request and adoption need of a real API server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cdl.api.v1alpha1 import Experiment, Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, MergeRequestRef
from cdl.kube import paths
from cdl.kube.cache import Cache
from cdl.kube.client import Api
from cdl.kube.cluster import ClusterStore
from cdl.kube.store import KubeStore, listed
from cdl.loop.review import everywhere
from cdl.ports.errors import NotPermitted
from cdl.testing.builders import experiment_document, release_document

REQUEST = MergeRequestRef(url="https://gitlab.example.test/team/news/-/merge_requests/3", number=3, sha="a" * 40)


@pytest.fixture
def operator(cluster):
    return Api.connect(cluster.kubeconfig)


@pytest.fixture
def preview(cluster, namespace):
    """A second namespace."""
    name = f"{namespace}-mr-3"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def releases(operator, namespace, preview):
    """The same Release in both namespaces, as the operator wrote it."""
    for place in (namespace, preview):
        document = release_document("adopted")
        document["metadata"]["namespace"] = place
        operator.create(paths.collection("Release", place), document)
    return namespace, preview


def store(operator, *places):
    """What an operator sees that watches these namespaces."""
    cache = Cache()
    for place in places:
        for document in listed(operator, "Release", place)[0]:
            cache.put(document)
    return KubeStore(operator, cache)


def wanted(namespace):
    document = experiment_document("adopted")
    return Experiment.read({**document, "metadata": {"name": "adopted", "namespace": namespace}})


def names(found):
    return sorted((r.metadata.namespace, r.metadata.name) for r in found)


def test_an_operator_sees_the_releases_of_the_namespaces_it_watches_and_no_others(operator, releases):
    own, other = releases
    both = sorted([(own, "adopted-1"), (other, "adopted-1")])
    assert names(everywhere(store(operator, own, other), wanted(own))) == both
    assert names(everywhere(store(operator, own), wanted(own))) == [(own, "adopted-1")]


def test_who_may_see_one_namespace_only_plans_with_that(cluster, releases):
    own, _ = releases
    user = f"someone@{own}"
    cluster.kubectl("create", "role", "sees", "--verb=get,list", "--resource=releases.cdl.dev", "-n", own)
    cluster.kubectl("create", "rolebinding", "sees", "--role=sees", f"--user={user}", "-n", own)
    limited = ClusterStore(cluster.identity(user))

    def seen():
        try:
            return names(limited.list(Release, own)) == [(own, "adopted-1")]
        except NotPermitted:  # the binding is a moment old
            return False

    cluster.until("the role is bound", seen)
    with pytest.raises(NotPermitted):
        limited.list(Release)
    assert names(everywhere(limited, wanted(own))) == [(own, "adopted-1")]


def test_the_merge_request_behind_an_approval_is_kept_and_found_again(operator, releases):
    own, _ = releases
    here = store(operator, own)
    [release] = here.list(Release, own)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    approval = ApprovalStatus(
        state=ApprovalState.APPROVED, by="vera", at=at, digest=release.spec.digest, merge_request=REQUEST
    )
    told = release.status.model_copy(update={"approval": approval})
    here.write_status(release.key, told, release.metadata.resource_version)
    [stored] = store(operator, own).list(Release, own)
    assert stored.status.approval == approval
    plain = listed(operator, "Release", own)[0][0]["status"]["approval"]["mergeRequest"]
    assert plain == {"url": REQUEST.url, "number": 3, "sha": "a" * 40, "open": False}


def test_what_an_earlier_version_wrote_is_read_as_none(operator, releases):
    own, _ = releases
    document = listed(operator, "Release", own)[0][0]
    document["status"] = {"approval": {"state": "Approved", "mergeRequest": ""}}
    assert Release.read(document).status.approval.merge_request is None
