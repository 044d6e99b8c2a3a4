"""Where a followed project goes on a cluster: a namespace that is missing is made, one that is there stays as it is."""

import json

import pytest

from cdl.cli.platform.installation import have_namespaces
from cdl.cli.refusal import Refusal


def found(cluster, name):
    """A namespace as it stands; None: there is none."""
    done = cluster.run("get", "namespace", name, "-o", "json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_what_is_missing_is_made_and_what_is_there_stays_as_it_is(cluster, namespace):
    cluster.kubectl("label", "namespace", namespace, "team=news")
    before = found(cluster, namespace)
    new = f"{namespace}-new"
    try:
        for _ in range(2):
            have_namespaces(cluster.kubeconfig, [new, namespace, new])
            after = found(cluster, namespace)
            assert (after["spec"], after["metadata"]["labels"]) == (before["spec"], before["metadata"]["labels"])
            assert found(cluster, new)["status"]["phase"] == "Active"
    finally:
        cluster.kubectl("delete", "namespace", new, "--wait=false")


def test_who_may_not_make_one_is_told(cluster, namespace):
    nobody = cluster.identity("somebody")
    with pytest.raises(Refusal, match="namespaces"):
        have_namespaces(nobody, [f"{namespace}-never"])
    assert found(cluster, f"{namespace}-never") is None
