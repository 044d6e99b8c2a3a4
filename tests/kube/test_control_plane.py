"""The API server that the other tests of this folder stand on."""


def test_an_identity_is_who_it_says(api_server):
    reader = api_server.identity("ann", "readers")
    assert api_server.kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert api_server.kubectl("auth", "can-i", "get", "pods", as_=reader, check=False) == "no\n"
    api_server.kubectl("create", "clusterrolebinding", "readers", "--clusterrole=view", "--group=readers")
    api_server.until(
        "a new binding takes effect", lambda: api_server.run("auth", "can-i", "get", "pods", as_=reader).returncode == 0
    )
    assert api_server.kubectl("auth", "can-i", "delete", "pods", as_=reader, check=False) == "no\n"
