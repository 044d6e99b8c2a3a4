"""One Lease for each kind, against a real API server."""

from __future__ import annotations

import threading

from cdl.kube.client import Api
from cdl.kube.leadership import Leadership

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


def test_who_leads_one_kind_keeps_an_operator_of_all_kinds_out(cluster, namespace):
    api = Api.connect(cluster.kubeconfig)
    stop = threading.Event()
    one = Leadership(api, namespace, ["Experiment"])
    every = Leadership(api, namespace, ["ModelDeployment", "DataPipeline", "Experiment"])
    assert one.acquire(stop)
    waiting = threading.Thread(target=every.acquire, args=(stop,))
    waiting.start()

    def holders():
        items = api.list(LEASES.format(namespace))["items"]
        return {i["metadata"]["name"]: i["spec"].get("holderIdentity") for i in items}

    cluster.until("the other leads what is free", lambda: len(holders()) == 2)
    assert one.held()
    assert not every.held()
    assert holders()["cdl-datapipeline"] != holders()["cdl-experiment"]
    one.release()
    assert not one.held()
    waiting.join(30)
    cluster.until("the other leads everything", every.held)
    assert len(set(holders().values())) == 1
    every.release()
    assert set(holders().values()) == {""}
    assert not every.lost.is_set()


def test_one_lease_lost_is_all_lost(cluster, namespace):
    api = Api.connect(cluster.kubeconfig)
    both = Leadership(api, namespace, ["Experiment", "DataPipeline"])
    assert both.acquire(threading.Event())
    path = f"{LEASES.format(namespace)}/cdl-experiment"
    api.merge_patch(path, {"spec": {"holderIdentity": "somebody-else"}})
    assert both.lost.wait(30)
    assert not both.held()
    both.release()
    assert api.get(path)["spec"]["holderIdentity"] == "somebody-else"
