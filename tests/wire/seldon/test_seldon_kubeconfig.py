"""A kubeconfig is read as kubectl reads it, or refused in one sentence."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
import yaml

from cdl.embedded.seldon.kubeconfig import read
from tests.wire.seldon.engine import free_port


def command(folder):
    ports = ["--port", str(free_port()), "--router-port", str(free_port())]
    return [sys.executable, "-m", "cdl.embedded.seldon", "--data", str(folder / "data"), *ports]


def written(folder, cluster=None, user=None, **document):
    path = folder / "kubeconfig"
    whole = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **document,
    }
    path.write_text(yaml.safe_dump(whole))
    return path


def test_a_token_is_said_and_a_file_of_one_is_read_every_time(tmp_path):
    access = read(written(tmp_path, user={"token": "secret"}))
    assert (access.server, access.headers()) == ("https://127.0.0.1:6443", {"authorization": "Bearer secret"})
    (tmp_path / "token").write_text("first\n")
    access = read(written(tmp_path, user={"tokenFile": "token"}))
    assert access.headers() == {"authorization": "Bearer first"}
    (tmp_path / "token").write_text("second\n")
    assert access.headers() == {"authorization": "Bearer second"}
    assert read(written(tmp_path)).headers() == {}


def test_a_plain_address_has_no_certificates(tmp_path):
    assert read(written(tmp_path, {"server": "http://127.0.0.1:8080"})).context is None


WRONG = [
    ({"current-context": "there"}, "it has no context called 'there'"),
    ({"clusters": []}, "it has no cluster called 'c'"),
    ({"users": None}, "it has no user called 'u'"),
    ({"cluster": {"server": "127.0.0.1"}}, "its cluster has the server '127.0.0.1'; expected https://HOST:PORT"),
    ({"user": {"exec": {"command": "aws"}}}, "its user has exec, which is not understood"),
    ({"user": {"client-certificate-data": "%%%"}}, "its client-certificate-data is not base64"),
    ({"user": {"client-certificate": "nowhere.crt"}}, "nowhere.crt"),
    ({"cluster": {"certificate-authority-data": base64.b64encode(b"no").decode()}}, "cannot be used: "),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, change, words):
    path = written(tmp_path, **change)
    with pytest.raises(ValueError, match=r"^kubeconfig .*kubeconfig cannot be used: ") as caught:
        read(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "a: b: c", "\x00"])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(ValueError, match="cannot be used"):
        read(path)


def test_the_program_says_it_and_ends(tmp_path):
    words = [*command(tmp_path), "--kubeconfig", str(tmp_path / "nowhere")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"seldon: kubeconfig {tmp_path / 'nowhere'} cannot be used: ")
    assert done.stderr.count("\n") == 1


def test_another_address_than_loopback_must_be_meant(tmp_path):
    words = [*command(tmp_path), "--host", "192.0.2.1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "has no access control" in done.stderr) == (2, True)
    meant = subprocess.run(
        [*words, "--without-access-control"], capture_output=True, text=True, timeout=30, check=False
    )
    assert (meant.returncode, "cannot listen on 192.0.2.1" in meant.stderr) == (2, True)
