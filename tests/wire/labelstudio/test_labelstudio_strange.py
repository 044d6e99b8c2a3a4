"""What answers in Label Studio's place, and an environment that cannot be made: one sentence each."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cdl.embedded.labelstudio import environment
from cdl.engines.labelstudio import LabelStudio
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.testing.builders import owner

HTML = "<!doctype html><p>We are being updated.</p>"
LISTED = {"id": 1, "meta": {}, "annotations": []}
PROJECT = {"id": 3, "parsed_label_config": {}}


@pytest.fixture
def stranger():
    """A server that answers everybody alike; a test says how."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body, head = self.server.answer
            sent = body.encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(sent)), **head}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def engine_of(stranger, status, body, **head):
    stranger.answer = (status, body if isinstance(body, str) else json.dumps(body), head)
    return LabelStudio(f"http://127.0.0.1:{stranger.server_port}/", "token")


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        (200, HTML, Unavailable, "does not speak as Label Studio does"),
        (200, "[" * 100_000, Unavailable, "does not speak as Label Studio does"),
        (200, [], Unavailable, "does not speak as Label Studio does: there is no total"),
        (200, PROJECT, Unavailable, "there is no total"),
        (200, {"total": 1, "tasks": 5}, Unavailable, "there is no list of tasks"),
        (200, {"total": 1, "tasks": [5]}, Unavailable, "there is no list of tasks"),
        (200, {"total": True, "tasks": []}, Unavailable, "there is no total"),
        (200, {"total": 9, "tasks": [LISTED]}, Unavailable, "they change while they are listed"),
        (500, HTML, Unavailable, "it answers 500"),
        (429, {"detail": "slow down"}, Unavailable, "slow down"),
        (403, {"detail": "not yours"}, NotPermitted, "answers 403: not yours"),
        (401, HTML, NotPermitted, "answers 401: wrong token"),
        (404, {"detail": "no project"}, Conflict, "no project"),
        (400, {"validation_errors": {"query": ["is odd"]}}, Rejected, "query: is odd"),
        (400, {"validation_errors": "odd", "detail": "x" * 9000}, Rejected, "x" * 500),
        (400, "5", Rejected, "it answers 400"),
    ],
)
def test_a_strange_answer_is_told_in_one_sentence(stranger, status, body, error, sentence):
    engine = engine_of(stranger, status, body)
    with pytest.raises(error) as told:
        engine.annotations("3")
    assert sentence in str(told.value)
    assert str(told.value).startswith("annotations of labelling project 3: ")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 700


def test_an_address_that_leads_elsewhere_is_told(stranger):
    engine = engine_of(stranger, 302, "", Location="https://login.example.test/")
    with pytest.raises(Rejected, match=r"sends us to https://login\.example\.test/; name the address"):
        engine.annotations("3")


def test_nobody_there_is_told():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(Unavailable, match=f"Label Studio at {url} does not answer"):
            LabelStudio(url, "token").forget(owner("DataPipeline"))


def test_a_project_that_is_no_number_is_not_there():
    with pytest.raises(Conflict, match="by numbers"):
        LabelStudio("http://127.0.0.1:1", "token").annotations("../users")


def test_a_server_whose_port_is_taken_ends_and_says_so(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = ("--data", tmp_path / "data", "--port", str(port))
        command = [sys.executable, "-I", environment.PROGRAM, *told]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"port {port} cannot be had: Address already in use\n"


def test_an_environment_that_cannot_be_made_is_told_and_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"file://{tmp_path}/index")
    monkeypatch.setattr(environment, "PINS", tmp_path / "requirements.txt")
    hashes = f"--hash=sha256:{'0' * 64}"
    environment.PINS.write_text(f"cdl-is-nowhere @ file://{tmp_path}/nowhere.whl {hashes}\n")
    heard = []
    for _ in range(2):
        with pytest.raises(environment.LabelStudioError, match=r"^Label Studio's environment cannot be made"):
            environment.make(heard.append)
        assert not environment.made()
    assert [line.split(" in ")[0] for line in heard] == ["making Label Studio's environment"] * 2


def test_pins_name_one_version_and_hashes_each():
    lines = environment.PINS.read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", " "))]
    assert len(pins) > 100
    assert [line for line in pins if "==" not in line or not line.endswith("\\")] == []
