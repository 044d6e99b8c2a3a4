"""Kopf reaches the API server as our own client does, whoever we are to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from kubernetes import client
from kubernetes.config.incluster_config import InClusterConfigLoader

from cdl.kube.admission import connection
from cdl.kube.client import Api


@pytest.fixture
def account(tmp_path):
    (tmp_path / "token").write_text("secret-1")
    (tmp_path / "ca.crt").write_text("PEM")
    return tmp_path


def test_inside_a_cluster_it_is_the_service_account(account):
    """The library's own loader, so that a change of where it puts the token is noticed here."""
    made = client.Configuration()
    place = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    loader = InClusterConfigLoader(
        token_filename=str(account / "token"), cert_filename=str(account / "ca.crt"), environ=place
    )
    loader.load_and_set(made)
    made.ssl_ca_cert = None  # a real one is not at hand, and only its path is passed on
    known = connection(Api(made))
    assert (known.server, known.scheme.lower(), known.token) == ("https://10.0.0.1:443", "bearer", "secret-1")
    (account / "token").write_text("secret-2")
    loader.token_expires_at = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=1)
    assert connection(Api(made)).token == "secret-2", "a renewed token is read"


@pytest.mark.parametrize(
    ("prefix", "scheme"), [({"BearerToken": "Bearer"}, "Bearer"), ({}, "Bearer")], ids=["with its scheme", "bare"]
)
def test_a_token_of_a_kubeconfig_is_passed_on(prefix, scheme):
    made = client.Configuration(host="https://here", api_key={"BearerToken": "abc"}, api_key_prefix=prefix)
    known = connection(Api(made))
    assert (known.scheme, known.token) == (scheme, "abc")


def test_a_certificate_is_passed_on_and_no_token_is_made_up():
    made = client.Configuration(host="https://here")
    assert (connection(Api(made)).scheme, connection(Api(made)).token) == (None, None)
