"""The API server that the other tests of this folder stand on: who is who, what is locked, and what is tidied up."""

import http.client
import json
import ssl
import urllib.error
import urllib.request

import pytest

OWNED = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}}}]
"""


def asked(url, authority, pair=None):
    """Give the status of an answer, or what the connection ended with."""
    context = ssl.create_default_context(cafile=authority)
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__


def test_an_identity_is_who_it_says(api_server):
    reader = api_server.identity("ann", "readers")
    assert api_server.kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert api_server.kubectl("auth", "can-i", "get", "pods", as_=reader, check=False) == "no\n"
    api_server.kubectl("create", "clusterrolebinding", "readers", "--clusterrole=view", "--group=readers")
    api_server.until(
        "a new binding takes effect", lambda: api_server.run("auth", "can-i", "get", "pods", as_=reader).returncode == 0
    )
    assert api_server.kubectl("auth", "can-i", "delete", "pods", as_=reader, check=False) == "no\n"


def test_who_says_nothing_may_see_that_it_is_well_and_no_more(api_server):
    authority = api_server.plane.authority.certificate
    assert asked(f"{api_server.server}/readyz", authority) == 200
    assert asked(f"{api_server.server}/api/v1/secrets", authority) == 403


def test_the_storage_lets_in_the_api_server_and_nobody_who_is_somebody_there(api_server):
    plane = api_server.plane
    trusted = plane.storage_authority.certificate
    administrator = plane.authority.pair("cdl-admin", groups=("system:masters",))
    for at in (plane.ports["etcd"], plane.ports["etcd-peer"]):
        for pair in (None, administrator):
            refused = {"SSLError", "URLError", "ConnectionResetError", "RemoteDisconnected"}
            assert asked(f"https://127.0.0.1:{at}/version", trusted, pair) in refused
    own = plane.storage_authority.pair("kube-apiserver")
    assert asked(f"https://127.0.0.1:{plane.ports['etcd']}/version", trusted, own) == 200


def test_a_service_account_is_itself_by_certificate_and_by_token(cluster, namespace):
    cluster.kubectl("create", "serviceaccount", "robot", "-n", namespace)
    cluster.kubectl(
        "create", "rolebinding", "robot", "--clusterrole=view", f"--serviceaccount={namespace}:robot", "-n", namespace
    )
    by_certificate = cluster.account(namespace, "robot")
    cluster.until(
        "a new binding takes effect",
        lambda: cluster.run("get", "configmaps", "-n", namespace, as_=by_certificate).returncode == 0,
    )
    token = cluster.kubectl("create", "token", "robot", "-n", namespace).strip()
    nobody = cluster.identity("nobody")
    words = (
        f"--token={token}",
        f"--server={cluster.server}",
        f"--certificate-authority={cluster.plane.authority.certificate}",
    )
    config = cluster.home / "identities" / "empty"
    config.write_text("")
    assert cluster.kubectl("get", "configmaps", "-n", namespace, *words, as_=config) is not None
    assert "cannot list" in cluster.kubectl("get", "secrets", "-n", namespace, *words, as_=config, check=False)
    assert "cannot list" in cluster.kubectl("get", "configmaps", "-n", namespace, as_=nobody, check=False)
    seen = [event for event in cluster.audit() if event["user"]["username"].endswith(f":{namespace}:robot")]
    about = [event for event in seen if "objectRef" in event]  # the others ask what kinds there are
    assert {(one["verb"], one["objectRef"]["resource"], one["responseStatus"]["code"]) for one in about} >= {
        ("list", "configmaps", 200),
        ("list", "secrets", 403),
    }
    assert all(event["user"]["username"].startswith("system:serviceaccount:") for event in cluster.audit())


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_what_is_owned_goes_with_its_owner(cluster, namespace, cascade):
    cluster.kubectl("create", "configmap", "owner", "-n", namespace)
    owner = json.loads(cluster.kubectl("get", "configmap", "owner", "-n", namespace, "-o", "json"))
    cluster.apply(OWNED.format(uid=owner["metadata"]["uid"]), "-n", namespace)
    cluster.kubectl("delete", "configmap", "owner", "-n", namespace, f"--cascade={cascade}", "--timeout=60s")
    assert cluster.until(
        "the owned is gone",
        lambda: "NotFound" in cluster.kubectl("get", "configmap", "owned", "-n", namespace, check=False),
    )


def test_a_namespace_goes_with_all_that_is_in_it(cluster):
    cluster.kubectl("create", "namespace", "passing")
    cluster.kubectl("create", "configmap", "note", "-n", "passing")
    cluster.kubectl("delete", "namespace", "passing", "--timeout=60s")
    assert "NotFound" in cluster.kubectl("get", "namespace", "passing", check=False)


def test_cdls_kinds_are_explained_down_to_their_fields(cluster):
    told = cluster.until(
        "the kinds are in the API's description",
        lambda: cluster.run("explain", "experiment.spec").stdout,
    )
    assert "FIELDS:" in told
