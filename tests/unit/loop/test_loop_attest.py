"""Statements about a Release: signed by us, kept once, and found by their address in its status."""

from __future__ import annotations

import json

import pytest

from cdl.api.canonical import canonical, digest
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop.attest import attest, attest_provenance
from cdl.loop.release import AT_ONCE, Releases
from cdl.ports.errors import Rejected
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_BY
from cdl.reconcile.release.statement import PAYLOAD_TYPE
from cdl.testing.builders import release, release_document, signer
from cdl.testing.weather import Crash
from cdl.testing.world import World
from tests.unit.deciding import attend, decide, forge, note


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def put(world, **annotations):
    document = release_document()
    document["metadata"]["annotations"] = annotations
    return world.resources.put(Release.read(document))


def opened(world, address):
    """The statement at an address, if it is signed by the world's key."""
    envelope = json.loads(world.artifacts.contents[address])
    return json.loads(world.signer.opened(envelope, PAYLOAD_TYPE))


def the_release(world):
    (found,) = world.resources.list(Release)
    return found


def decision(of, state=ApprovalState.APPROVED, **more):
    return ApprovalStatus(state=state, by="maria", digest=of.spec.digest, reason="better than 0.9", **more)


def settled(world):
    drive = Releases(world.engines, lambda: world.now)
    while drive.turn("default", "news-1") == AT_ONCE:
        pass
    world.clear_up()
    return the_release(world)


def test_a_new_release_says_where_the_signed_statement_of_its_making_lies(world):
    put(world)
    now = settled(world)
    said = opened(world, now.status.provenance)
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert said["subject"] == [{"name": "news-1", "digest": {"sha256": now.spec.digest.removeprefix("sha256:")}}]
    assert list(world.artifacts.contents) == [now.status.provenance]


def test_an_approval_is_kept_signed_with_what_was_known(world):
    made = put(world)
    put(world, **{APPROVED_DIGEST: made.spec.digest, DECIDED_BY: "maria"})
    approval = settled(world).status.approval
    said = opened(world, approval.attestation)
    assert said["predicateType"] == "https://cdl.dev/attestations/approval/v1"
    assert said["subject"][0]["digest"] == {"sha256": made.spec.digest.removeprefix("sha256:")}
    known = said["predicate"]
    assert (known["decision"], known["by"], known["at"]) == ("Approved", "maria", "2026-01-01T00:00:00Z")
    assert known.keys() >= {"reason", "metrics", "production", "expires", "model", "version"}


def test_a_rejection_is_signed_too_and_is_another_statement(world):
    put(world)
    decide(world, approve=False)
    said = opened(world, the_release(world).status.approval.attestation)
    assert said["predicate"]["decision"] == "Rejected"


def test_a_decision_that_is_void_keeps_its_statement_and_gets_no_other(world):
    put(world)
    signed = decide(world).attestation
    note(world, **{APPROVED_DIGEST: None})
    void = attend(world).status.approval
    assert (void.state, void.attestation) == (ApprovalState.VOID, signed)
    assert len(world.artifacts.contents) == 2


def test_what_was_approved_and_not_signed_is_signed_at_the_next_look(world):
    put(world)
    signed = decide(world).attestation
    forge(world, by="maria", attestation="")
    assert attend(world).status.approval.attestation == signed
    forge(world, by="mallory", attestation="")
    note(world, **{APPROVED_DIGEST: None})
    assert attend(world).status.approval.attestation == "", "what nobody noted is never signed"


def test_a_statement_made_twice_is_one_file(world):
    made = release()
    first = attest(world.signer, world.artifacts, made, decision(made))
    assert attest(world.signer, world.artifacts, made, decision(made)) == first
    assert attest_provenance(world.signer, world.artifacts, made) == attest_provenance(
        world.signer, world.artifacts, made
    )
    assert len(world.artifacts.contents) == 2
    assert world.artifacts.contents[first] == canonical(json.loads(world.artifacts.contents[first]))


def test_a_decision_about_other_members_is_never_signed(world):
    other = decision(release()).model_copy(update={"digest": digest("something else")})
    with pytest.raises(ValueError, match=r"the decision is about sha256:.*, the release is sha256:"):
        attest(world.signer, world.artifacts, release(), other)
    assert world.artifacts.contents == {}


def test_another_key_does_not_open_it(world):
    made = release()
    address = attest(world.signer, world.artifacts, made, decision(made))
    with pytest.raises(Rejected, match="not signed by a key that counts"):
        signer(7).opened(json.loads(world.artifacts.contents[address]), PAYLOAD_TYPE)


def test_an_operator_that_dies_at_any_moment_ends_with_the_same_two_statements(tmp_path):
    calm = World(tmp_path)
    made = put(calm)
    put(calm, **{APPROVED_DIGEST: made.spec.digest, DECIDED_BY: "maria"})
    wanted = settled(calm).status
    crashed = True
    moment = 0
    while crashed:
        world, crashed = World(tmp_path), False
        put(world, **{APPROVED_DIGEST: made.spec.digest, DECIDED_BY: "maria"})
        world.sky.crash_in = moment
        try:
            settled(world)
        except Crash:
            crashed = True
            settled(world)
        now = the_release(world).status
        assert (now.provenance, now.approval) == (wanted.provenance, wanted.approval), moment
        assert world.artifacts.contents == calm.artifacts.contents
        moment += 1
    assert moment > 8
