"""What nobody has approved with a signature is not served, whatever the deployment says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdl.testing.builders import signer
from tests.wire.serving.tiny_release import ROWS, TinyRelease

OURS, STRANGER = signer(1), signer(2)
INFER = "/v2/models/classifier/infer"
ROW = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}


def environ(release, approval, keys=OURS.trusted, **more):
    listed = json.dumps(release.parameters(ROWS))
    return {
        "PREDICTIVE_UNIT_PARAMETERS": listed,
        "CDL_APPROVAL_URI": approval,
        "CDL_APPROVAL_KEYS": keys,
    } | more


def test_an_approved_release_answers_and_the_log_says_who_approved_it(starter, tiny):
    running = starter.ready(environ(tiny, tiny.approve(OURS)))
    assert running.client.post(INFER, json=ROW).json()["outputs"][0]["data"] == [20.0, -20.0]
    assert "rows-3 was approved by maria at 2026-01-01T00:00:00Z" in running.log.read_text()


def test_signatures_of_any_of_several_keys_count(starter, tiny):
    running = starter.ready(environ(tiny, tiny.approve(OURS), keys=STRANGER.trusted + "and\n" + OURS.trusted))
    assert running.client.post(INFER, json=ROW).status_code == 200


def test_an_approval_that_has_expired_does_not_keep_a_server_from_starting_again(starter, tiny):
    long_ago = {"decision": "Approved", "by": "maria", "at": "2020-01-01T00:00:00Z", "expires": "2020-02-01T00:00:00Z"}
    running = starter.ready(environ(tiny, tiny.approve(OURS, predicate=long_ago)))
    assert running.client.post(INFER, json=ROW).status_code == 200


def test_without_a_key_the_log_says_that_nobody_looked(starter, tiny):
    running = starter.ready({"PREDICTIVE_UNIT_PARAMETERS": json.dumps(tiny.parameters(ROWS))})
    assert "it was not checked whether it is approved" in running.log.read_text()


def of_another_release(tiny):
    folder = tiny.folder / "other"
    folder.mkdir()
    return TinyRelease(folder, weight=9.0).write().approve(OURS)


def changed(tiny, **fields):
    address = tiny.approve(OURS)
    path = tiny.folder / "approval.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return address


def written(tiny, content):
    (tiny.folder / "approval.json").write_bytes(content)
    return f"file://{tiny.folder}/approval.json"


def provenance(tiny):
    return tiny.approve(OURS, predicateType="https://slsa.dev/provenance/v1")


REFUSED = {
    "none": (lambda tiny: "", "rows-3 comes without an approval"),
    "missing": (lambda tiny: f"file://{tiny.folder}/nowhere.json", "nowhere.json cannot be read: No such file"),
    "elsewhere": (lambda tiny: "https://example.test/a.json", "this server reads file:///absolute/path only"),
    "of another release": (of_another_release, "is about another release: sha256:"),
    "of another key": (lambda tiny: tiny.approve(STRANGER), "is not signed by a key that counts here"),
    "a rejection": (
        lambda tiny: tiny.approve(OURS, predicate={"decision": "Rejected", "by": "maria"}),
        "release rows-3 is not approved: the decision in",
    ),
    "a void decision": (lambda tiny: tiny.approve(OURS, predicate={"decision": "Void"}), "is 'Void'"),
    "no decision": (lambda tiny: tiny.approve(OURS, predicate={}), "is None"),
    "changed payload": (
        lambda tiny: changed(tiny, payload=json.loads(Path(of_another_release(tiny)[7:]).read_text())["payload"]),
        "or was changed afterwards",
    ),
    "changed type": (lambda tiny: changed(tiny, payloadType="text/plain"), "or was changed afterwards"),
    "without signatures": (lambda tiny: changed(tiny, signatures=[]), "is not signed by a key that counts here"),
    "provenance": (provenance, "is no approval: it holds 'https://slsa.dev/provenance/v1'"),
    "about nothing": (lambda tiny: tiny.approve(OURS, subject=[]), "is about another release: nothing"),
    "about two": (
        lambda tiny: tiny.approve(OURS, subject=[{"digest": {"sha256": tiny.digest[7:]}}] * 2),
        "is about another release",
    ),
    "about no digest": (lambda tiny: tiny.approve(OURS, subject=["x"]), "does not say which release it is about"),
    "no envelope": (lambda tiny: written(tiny, b"[]"), "is no DSSE envelope"),
    "no text": (lambda tiny: written(tiny, b"\xff"), "is no DSSE envelope"),
    "too large": (lambda tiny: written(tiny, b" " * ((1 << 20) + 1)), "is larger than 1 MiB"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_release_without_its_own_signed_approval_does_not_run(starter, tiny, tmp_path, what):
    make, words = REFUSED[what]
    proof = tmp_path / "the code ran"
    code, sentence = starter.refused(environ(tiny, make(tiny), CDL_TEST_PROOF=str(proof)))
    assert (code, words in sentence) == (3, True), sentence
    assert not proof.exists()


def test_an_approved_release_that_was_changed_afterwards_is_named_by_what_changed(starter, tiny):
    approval = tiny.approve(OURS)
    weights = tiny.folder / "checkpoint-1" / "weights.json"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert "'weights.json'" in starter.refused(environ(tiny, approval))[1]
    tiny.members["checkpoint"]["files"]["weights.json"] = "sha256:" + "0" * 64
    assert "checkpoint" in starter.refused(environ(tiny.seal(), approval))[1]


def test_a_set_that_was_rewritten_whole_is_not_what_was_approved(starter, tiny):
    approval = tiny.approve(OURS)
    tiny.weight = 7.0
    code, sentence = starter.refused(environ(tiny.write(), approval))  # document and deployment agree
    assert (code, "is about another release" in sentence) == (3, True)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("no key", "CDL_APPROVAL_KEYS holds no public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "a public key that cannot be read"),
    ],
)
def test_keys_that_are_none_are_a_bad_setting(starter, tiny, keys, words):
    code, sentence = starter.refused(environ(tiny, tiny.approve(OURS), keys=keys))
    assert (code, words in sentence) == (2, True), sentence


def test_a_parameter_cannot_say_which_keys_count(starter, tiny):
    stranger = {"approval_keys": ("STRING", STRANGER.trusted), "CDL_APPROVAL_KEYS": ("STRING", "")}
    listed = json.dumps(tiny.parameters(ROWS, **stranger))
    code, sentence = starter.refused(environ(tiny, tiny.approve(STRANGER), PREDICTIVE_UNIT_PARAMETERS=listed))
    assert (code, "is not signed by a key that counts here" in sentence) == (3, True)
