"""After a real run: what others are given is signed and whole, and the server that answers asked for the approval.

The tests of this module share one platform, in the order they are written; the last one breaks it.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey


@pytest.fixture(scope="module")
def ran(shared_place):
    shared_place.run()
    return shared_place


def exported(place, *words):
    done = place.cdl("export", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def servers(place):
    """The processes of the model server below this home."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, told = process.info["cmdline"] or [], process.info["environ"] or {}
        if "cdl.serving" in words and str(place.home) in told.get("CDL_APPROVAL_URI", ""):
            found.append(process)
    return found


def test_what_is_exported_is_about_what_answers_and_is_signed(ran):
    release = ran.get("release", "tiny-1")
    key = SSlibKey.from_crypto(load_pem_public_key(exported(ran, "--public-key").encode()))
    statements = []
    for line in exported(ran, "tiny", "--as", "intoto").splitlines():
        envelope = Envelope.from_dict(json.loads(line))
        envelope.verify([key], threshold=1)
        statements.append(json.loads(envelope.payload))
    made, decided = statements
    assert {s["subject"][0]["digest"]["sha256"] for s in statements} == {release["spec"]["digest"][7:]}
    files = release["spec"]["members"]["checkpoint"]["files"]
    assert {s["name"]: s["digest"]["sha256"] for s in made["subject"][1:]} == {n: d[7:] for n, d in files.items()}
    assert decided["predicate"]["by"] == "policy/Automatic"
    assert decided["predicate"]["metrics"] == release["spec"]["members"]["evaluation"]["metrics"]


def test_people_and_tools_are_told_what_was_installed_and_measured(ran):
    bom = json.loads(exported(ran, "tiny-1", "--as", "cyclonedx"))
    assert {c["name"] for c in bom["components"] if c["type"] == "library"} >= {"determined", "numpy"}
    card = exported(ran, "tiny-1", "--as", "model-card")
    assert "| accuracy |" in card
    assert "Approved by policy/Automatic" in card
    events = [json.loads(line) for line in exported(ran, "tiny-1", "--as", "openlineage").splitlines()]
    assert [e["eventType"] for e in events] == ["START", "COMPLETE"] * 2


def test_the_server_asked_for_the_approval(ran):
    assert "tiny-1 was approved by policy/Automatic" in ran.cdl("logs", "modeldeployment", "tiny").stdout


def test_a_server_whose_approval_was_replaced_does_not_come_back(ran):
    approval = ran.get("release", "tiny-1")["status"]["approval"]["attestation"]
    place = Path(urlsplit(approval).path)
    provenance = Path(urlsplit(ran.get("release", "tiny-1")["status"]["provenance"]).path)
    place.write_bytes(provenance.read_bytes())  # signed by the right key, and no approval
    [server] = servers(ran)
    server.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while "is no approval" not in ran.cdl("logs", "modeldeployment", "tiny").stdout:
        assert time.monotonic() < deadline, ran.cdl("logs", "modeldeployment", "tiny").stdout
        time.sleep(0.5)
    assert ran.cdl("verify", "tiny-1", "--offline").returncode == 1
