"""Where the server listens is told in the words of Seldon's containers, or of MLServer's."""

from __future__ import annotations

import re

import httpx
import pytest

SELDON = {
    "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": "0",
    "PREDICTIVE_UNIT_METRICS_ENDPOINT": "/prometheus",
    "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "0",
}
MLSERVER = {"MLSERVER_METRICS_PORT": "0", "MLSERVER_METRICS_ENDPOINT": "/of/mine", "MLSERVER_GRPC_PORT": "0"}


@pytest.mark.parametrize(("environ", "path"), [(SELDON, "/prometheus"), (MLSERVER, "/of/mine")])
def test_metrics_have_a_port_and_a_path_of_their_own(starter, tiny, environ, path):
    running = starter.serve(tiny, **environ)
    log = running.log.read_text()
    metrics = re.search(r"metrics too at (\S+)", log)[1]
    assert metrics != str(running.client.base_url).rstrip("/")
    reply = httpx.get(metrics + path)
    assert reply.status_code == 200
    assert 'cdl_release_info{deployment_name="news"' in reply.text
    assert re.search(r"ready for gRPC at 127\.0\.0\.1:[1-9]\d*", log)


def test_where_no_port_is_told_there_is_none_but_that_for_requests(rows):
    log = rows.log.read_text()
    assert "gRPC" not in log
    assert "metrics too" not in log
