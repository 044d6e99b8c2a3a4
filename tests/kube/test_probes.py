"""The page that a kubelet and Prometheus ask."""

from __future__ import annotations

import socket
import time

import httpx
import pytest

from cdl.kube.metrics import Metrics
from cdl.kube.probes import AT_ONCE, Probes


class Asked:
    """What the probes are answered with."""

    def __init__(self):
        self.healthy, self.ready = (True, ""), (False, "")


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def url(asked, metrics):
    def healthy():
        if isinstance(asked.healthy, Exception):
            raise asked.healthy
        return asked.healthy

    probes = Probes(metrics.registry, "127.0.0.1", 0, healthy, lambda: asked.ready)
    yield f"http://127.0.0.1:{probes.port}"
    probes.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{probes.port}/healthz")


def test_who_counts_nothing_answers_probes_alone():
    probes = Probes(None, "127.0.0.1", 0, lambda: (True, "following"), lambda: (True, ""))
    try:
        answers = [httpx.get(f"http://127.0.0.1:{probes.port}/{page}") for page in ("healthz", "readyz", "metrics")]
        assert [answer.status_code for answer in answers] == [200, 200, 404]
        assert answers[0].text == "following\n"
    finally:
        probes.close()


def test_yes_is_200_and_no_is_503_with_the_sentence(url, asked):
    assert httpx.get(f"{url}/healthz").status_code == 200
    asked.ready = (False, "the cache lags 90 s behind the API server")
    answer = httpx.get(f"{url}/readyz?verbose")
    assert (answer.status_code, answer.text) == (503, "the cache lags 90 s behind the API server\n")
    asked.ready = (True, "leading")
    answer = httpx.get(f"{url}/readyz")
    assert (answer.status_code, answer.text) == (200, "leading\n")


def test_a_question_that_fails_is_a_no(url, asked):
    asked.healthy = ZeroDivisionError("secret")
    answer = httpx.get(f"{url}/healthz")
    assert (answer.status_code, answer.text) == (503, "the question itself failed: ZeroDivisionError\n")
    asked.healthy = (True, "")
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_the_metrics_are_served_in_the_form_that_is_asked_for(url, metrics):
    metrics.event_dropped()
    plain = httpx.get(f"{url}/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "\ncdl_events_dropped_total 1.0\n" in plain.text
    modern = httpx.get(f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")


def test_a_metric_that_fails_is_said(url, metrics):
    metrics.queue("Experiment", lambda: 1 // 0, lambda: 0.0)
    answer = httpx.get(f"{url}/metrics")
    assert (answer.status_code, answer.text) == (500, "a metric could not be read: ZeroDivisionError\n")


def test_other_paths_and_methods_are_refused(url):
    assert httpx.get(f"{url}/").status_code == 404
    assert httpx.post(f"{url}/healthz").status_code == 501
    head = httpx.head(f"{url}/healthz")
    assert (head.status_code, head.text) == (200, "")


def test_who_says_nothing_does_not_keep_the_others_waiting(url):
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    silent = [socket.create_connection(address) for _ in range(AT_ONCE - 1)]
    try:
        assert httpx.get(f"{url}/healthz").status_code == 200
        silent += [socket.create_connection(address) for _ in range(4)]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:  # those who came too late are turned away, and the silent ones in their turn
                if httpx.get(f"{url}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        else:
            pytest.fail("the silent callers kept every place")
    finally:
        for connection in silent:
            connection.close()
