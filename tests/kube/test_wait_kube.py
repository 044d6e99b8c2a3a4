"""`cdl wait` on an API server: what it says agrees with what kubectl and Flux read there."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cdl.cli import main
from cdl.kube.client import Api
from tests.kube.test_kstatus import place, plain
from tests.unit.reconcile.every_status import EVERY, written
from tests.unit.reconcile.kstatus import CURRENT, FAILED, IN_PROGRESS

ENDS = {CURRENT: 0, IN_PROGRESS: 3, FAILED: 1}


@pytest.fixture
def api(cluster):
    return Api.connect(cluster.kubeconfig)


@pytest.fixture
def wait(cluster, namespace, tmp_path):
    """Look once, as the cluster's admin; give how it ended and what it said."""

    def once(*words):
        where = {"CDL_KUBECONFIG": str(cluster.kubeconfig), "CDL_HOME": str(tmp_path)}
        answer = CliRunner().invoke(main, ["wait", *words, "-n", namespace, "--timeout", "0"], env=where)
        return answer.exit_code, answer.output

    return once


@pytest.mark.parametrize("reading", ENDS)
def test_it_ends_as_the_status_reads(api, namespace, wait, reading):
    resource, status, reason, _ = next(r for r in EVERY if r[3] == reading and r[0].kind == "Experiment")
    api.create(place(resource, namespace), plain(resource, "one"))
    assert wait("experiment", "one")[0] == 3, "nobody looked at it"
    api.merge_patch(place(resource, namespace, "one", "status"), {"status": written(resource, status)["status"]})
    ended, said = wait("experiment", "one")
    assert ended == ENDS[reading], said
    assert (str(reason) in said) == (ended != 0)
    api.merge_patch(place(resource, namespace, "one"), {"spec": {"timeout": "1h"}})
    assert wait("experiment", "one")[0] == 3, "the spec is newer"


def test_what_was_deleted_is_waited_for_too(api, namespace, wait):
    resource = next(r for r, *_ in EVERY if r.kind == "DataPipeline")
    api.create(place(resource, namespace), plain(resource, "one"))
    assert wait("datapipeline", "one", "--for", "delete") == (
        3,
        f"Error: DataPipeline {namespace}/one: not deleted after 0 s: it is still there\n",
    )
    api.delete(place(resource, namespace, "one"))
    assert wait("datapipeline", "one", "--for", "delete")[0] == 0
    assert wait("datapipeline", "one")[0] == 1
