"""What is not the release is never run; a stop loses nothing."""

from __future__ import annotations

import io
import json
import signal
import socket
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.wire.serving.tiny_release import ROWS, SERVE_CODE, packed, sha256

INFER = "/v2/models/classifier/infer"


def infer(first=1):
    return {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [first, 2, 3, 4]}]}


def environ(release, interface=ROWS, **more):
    return {"PREDICTIVE_UNIT_PARAMETERS": json.dumps(release.parameters(interface)), **more}


def appended(path):
    path.write_bytes(path.read_bytes() + b"\0")


TAMPERINGS = {
    "document": (lambda r: r.members["git"].update(commit="other") or r.save(), "members"),
    "code.model": (lambda r: appended(r.folder / "model.tar.gz"), "code.model"),
    "code.serve": (
        lambda r: (r.folder / "serve.tar.gz").write_bytes(packed({"serve.py": SERVE_CODE + "\n# evil"})),
        "code.serve",
    ),
    "checkpoint file": (lambda r: appended(r.folder / "checkpoint-1" / "weights.json"), "'weights.json'"),
    "checkpoint file below": (lambda r: appended(r.folder / "checkpoint-1" / "sub" / "more.bin"), "'sub/more.bin'"),
    "checkpoint list": (
        lambda r: r.members["checkpoint"]["files"].update({"weights.json": "sha256:" + "0" * 64}) or r.seal(),
        "checkpoint",
    ),
}


@pytest.mark.parametrize("member", TAMPERINGS)
def test_a_changed_member_is_named_and_no_code_of_the_release_runs(starter, tiny, tmp_path, member):
    tamper, named = TAMPERINGS[member]
    tamper(tiny)
    proof = tmp_path / "the code ran"
    code, sentence = starter.refused(environ(tiny, CDL_TEST_PROOF=str(proof)))
    assert code == 3
    assert named in sentence
    assert sentence.count("sha256:") == 2  # expected and found
    assert not proof.exists()


def test_the_proof_above_proves_something(starter, tiny, tmp_path):
    proof = tmp_path / "the code ran"
    starter.serve(tiny, CDL_TEST_PROOF=str(proof))
    assert proof.exists()


def test_another_digest_than_the_deployment_names_is_refused(starter, tiny):
    tiny.digest, honest = "sha256:" + "1" * 64, tiny.digest
    wish = environ(tiny)
    tiny.digest = honest
    tiny.save()
    code, sentence = starter.refused(wish)
    assert (code, "from the deployment" in sentence, honest in sentence) == (3, True, True)


def test_missing_members_are_named(starter, tiny):
    (tiny.folder / "checkpoint-1" / "sub" / "more.bin").unlink()
    assert "'sub/more.bin' cannot be read" in starter.refused(environ(tiny))[1]
    (tiny.folder / "serve.tar.gz").unlink()
    assert "code.serve cannot be read" in starter.refused(environ(tiny))[1]
    (tiny.folder / "release.json").write_text("{")
    assert "is not JSON" in starter.refused(environ(tiny))[1]
    (tiny.folder / "release.json").unlink()
    assert "cannot be read" in starter.refused(environ(tiny))[1]


def archive_with(name, **attributes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        for key, value in attributes.items():
            setattr(entry, key, value)
        archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return buffer.getvalue()


HOSTILE = {
    "parent": archive_with("../outside.py"),
    "hidden parent": archive_with("a/../../outside.py"),
    "absolute": archive_with("/tmp/outside.py"),
    "symbolic link": archive_with("link", type=tarfile.SYMTYPE, linkname="/etc"),
    "hard link": archive_with("link", type=tarfile.LNKTYPE, linkname="serve.py"),
    "device": archive_with("device", type=tarfile.CHRTYPE),
    "fifo": archive_with("fifo", type=tarfile.FIFOTYPE),
    "no archive": b"this is text",
    "cut archive": packed({"serve.py": SERVE_CODE})[:-300],
    "empty": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_with_the_right_digest_is_refused(starter, tiny, kind):
    tiny.serve = HOSTILE[kind]
    if kind == "empty":
        tiny.write()
        (tiny.folder / "serve.tar.gz").write_bytes(b"")
        tiny.members["code"]["serve"]["digest"] = sha256(b"")
        tiny.seal()
    code, sentence = starter.refused(environ(tiny.write() if kind != "empty" else tiny))
    assert (code, "code.serve" in sentence) == (3, True)
    assert not list(tiny.folder.parent.rglob("outside.py"))


def test_a_checkpoint_path_that_leaves_the_folder_is_refused(starter, tiny):
    files = tiny.members["checkpoint"]["files"]
    files["../release.json"] = "sha256:" + "0" * 64
    code, sentence = starter.refused(environ(tiny.seal()))
    assert (code, "'../release.json'" in sentence) == (3, True)


@pytest.mark.parametrize(
    ("entrypoint", "interface", "wrong", "words"),
    [
        ("serve:Nobody", ROWS, "", "no class Nobody"),
        ("nowhere:Rows", ROWS, "", "importing nowhere failed with ModuleNotFoundError"),
        ("serve:Mute", ROWS, "", "no method predict"),
        ("serve:Odd", ROWS, "load", "load() failed with OSError: no such weights"),
        ("serve:Odd", ROWS, "predict", "warm-up request failed: the model's predict failed with KeyError"),
        ("serve:Odd", ROWS, "shape", "output 'scores' of shape [1, 3]; its interface declares [-1, 2]"),
        ("serve:Odd", None, "", "Odd() failed with TypeError"),
    ],
)
def test_a_model_that_cannot_serve_does_not_listen(starter, tiny, entrypoint, interface, wrong, words):
    tiny.entrypoint = entrypoint
    parameters = tiny.write().parameters(interface, **({"wrong": ("STRING", wrong)} if wrong else {}))
    code, sentence = starter.refused({"PREDICTIVE_UNIT_PARAMETERS": json.dumps(parameters)})
    assert (code, words in sentence) == (4, True), sentence


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "release_uri"),
        ({"PREDICTIVE_UNIT_PARAMETERS": "["}, "PREDICTIVE_UNIT_PARAMETERS is not JSON"),
        ({"PREDICTIVE_UNIT_PARAMETERS": '[{"name": "n", "value": "x", "type": "INT"}]'}, "not of type INT"),
        ({"PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "http"}, "expected a number"),
        ({"CDL_CONCURRENCY": "0"}, "CDL_CONCURRENCY is '0'"),
        ({"interface": "{"}, "interface is not JSON"),
        ({"interface": '{"inputs": [{"name": "x", "datatype": "FLOAT", "shape": [1]}]}'}, "'FLOAT'"),
        ({"interface": '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [0]}]}'}, "inputs[0].shape"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(starter, tiny, variables, words):
    if "interface" in variables:
        listed = [*tiny.parameters(None), {"name": "interface", "value": variables["interface"], "type": "STRING"}]
        variables = {"PREDICTIVE_UNIT_PARAMETERS": json.dumps(listed)}
    given = variables if "PREDICTIVE_UNIT_PARAMETERS" in variables or not variables else {**environ(tiny), **variables}
    code, sentence = starter.refused(given)
    assert (code, words in sentence) == (2, True), sentence


def test_a_port_in_use_is_one_sentence(starter, tiny):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, sentence = starter.refused(environ(tiny), taken.getsockname()[1])
    assert (code, "cannot listen on 127.0.0.1" in sentence) == (2, True)


def test_parameters_reach_the_class_with_their_types(starter, tiny):
    parameters = tiny.parameters(ROWS, factor=("INT", "10"), unknown=("BOOL", "true"))
    client = starter.ready({"PREDICTIVE_UNIT_PARAMETERS": json.dumps(parameters)}).client
    assert client.post(INFER, json=infer()).json()["outputs"][0]["data"] == [200.0, -200.0]


def test_a_file_changed_after_the_start_is_not_what_is_served(starter, tiny):
    running = starter.serve(tiny)
    scratch = starter.folder / "tmp-0"
    copies = list(scratch.glob("cdl-serving-*/checkpoint/weights.json"))
    assert len(copies) == 1
    appended(tiny.folder / "checkpoint-1" / "weights.json")
    assert json.loads(copies[0].read_text()) == {"weight": 2.0}
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    assert list(scratch.iterdir()) == []


def test_sigterm_finishes_what_is_in_flight_and_leaves_with_0(starter, tiny):
    running = starter.serve(tiny, CDL_DRAIN_SECONDS="0.5")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.client.post, INFER, json=infer(2200))  # 1.2 seconds
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        with httpx.Client(base_url=running.client.base_url) as other:
            assert other.get("/v2/health/ready").status_code == 503
            assert other.get("/v2/health/live").status_code == 200
        assert slow.result().status_code == 200
    assert running.wait() == 0


def test_a_stuck_model_does_not_keep_the_process_alive(starter, tiny):
    running = starter.serve(tiny, CDL_TIMEOUT_SECONDS="0.3")
    assert running.client.post(INFER, json=infer(61000)).status_code == 504  # a minute
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    assert list((starter.folder / "tmp-0").iterdir()) == []


def test_sigterm_while_loading_ends_the_process(starter, tiny):
    tiny.serve = packed({"serve.py": "import time\nprint('loading', flush=True)\ntime.sleep(60)\n"})
    running = starter.process(environ(tiny.write()))
    deadline = time.monotonic() + 10
    while "loading" not in running.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(httpx.ConnectError):
        running.client.get("/v2/health/live")
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    assert list((starter.folder / "tmp-0").iterdir()) == []
