"""The command line: one line when ready, one sentence when not."""

import signal
import subprocess
import sys

import grpc
import pytest
from pachyderm_sdk.api import pfs


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "cdl.embedded.pachd", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_port_in_use_is_one_sentence(own_pachd, tmp_path):
    port = own_pachd().address.rsplit(":", 1)[-1]
    status, out, err = run("--data", str(tmp_path / "other"), "--port", port)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"127.0.0.1:{port}" in err


def test_a_second_server_on_one_folder_is_one_sentence(own_pachd):
    server = own_pachd()
    status, out, err = run("--data", str(server.folder), "--port", "0")
    assert (status, out) == (2, "")
    assert err == f"pachd: another pachd is already using {server.folder}; stop it, or give --data another folder\n"
    server.client.get_version()


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = run("--data", str(tmp_path / "file" / "below"), "--port", "0")
    assert (status, err.count("\n")) == (2, 1)
    assert str(tmp_path / "file" / "below") in err


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "pachd.sqlite").write_text("this is not a database, however long it may be " * 100)
    status, _, err = run("--data", str(tmp_path), "--port", "0")
    assert (status, err.count("\n"), "pachd.sqlite" in err) == (2, 1, True)


@pytest.mark.parametrize(("option", "value"), [("--map", "opt=x"), ("--map", "/opt"), ("--workers", "0")])
def test_wrong_options_are_refused(tmp_path, option, value):
    status, _, err = run("--data", str(tmp_path), option, value)
    assert (status, value in err) == (2, True)


def test_it_stops_with_a_client_listening(own_pachd):
    server = own_pachd()
    repo = server.repo()
    commit = server.put(repo, {"/a": b"1"})
    stream = server.client.pfs.subscribe_commit(repo=repo, state=pfs.CommitState.FINISHED)
    assert next(stream).commit.id == commit.id
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError):
        next(stream)
    assert server.end() == 0
    assert server.errors == ""
