"""Argo CD's reading of our kinds, by the scripts that are shipped, in the Lua that Argo CD has."""

from __future__ import annotations

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1 import KINDS
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, release
from tests.unit.kube.argocd import CLOSED, SCRIPTS, application, health, runtime
from tests.unit.reconcile.every_status import EVERY, NAMES, written
from tests.unit.reconcile.kstatus import CURRENT, FAILED, IN_PROGRESS

A_PERSONS_TURN = {Reason.SUSPENDED, Reason.WAITING_FOR_APPROVAL}
HEALTH = {CURRENT: "Healthy", IN_PROGRESS: "Progressing", FAILED: "Degraded"}


@pytest.fixture(scope="module")
def lua():
    return runtime()


def test_every_kind_has_a_script_and_those_with_conditions_have_the_same():
    assert list(SCRIPTS) == list(KINDS)
    assert len({SCRIPTS[kind] for kind in KINDS if kind != "Release"}) == 1


@pytest.mark.parametrize(("resource", "status", "reason", "reading"), EVERY, ids=NAMES)
def test_every_status_is_read_as_it_is_meant(lua, resource, status, reason, reading):
    told, message = health(lua, written(resource, status))
    assert told == ("Suspended" if reason in A_PERSONS_TURN else HEALTH[reading])
    assert message.startswith(f"{reason}: ")


@pytest.mark.parametrize(("resource", "status", "reason", "reading"), EVERY, ids=NAMES)
def test_an_older_answer_is_no_answer(lua, resource, status, reason, reading):
    document = written(resource, status)
    document["metadata"]["generation"] = 2
    assert health(lua, document)[0] == "Progressing"


@pytest.mark.parametrize("document", [pipeline_document(), experiment_document(), deployment_document()])
@pytest.mark.parametrize("status", [{}, {"status": {"observedGeneration": -1}}], ids=["none", "the default"])
def test_what_nobody_looked_at_is_waited_for(lua, document, status):
    document["metadata"]["generation"] = 1
    assert health(lua, document | status) == ("Progressing", "nobody has looked at it yet")


def test_a_release_is_healthy_and_says_what_was_decided(lua):
    plain = release().plain()
    assert health(lua, plain) == ("Healthy", "Pending")
    plain["status"]["approval"] = {"state": "Rejected"}
    assert health(lua, plain) == ("Healthy", "Rejected")
    del plain["status"]
    assert health(lua, plain) == ("Healthy", "Pending")


def test_the_scripts_get_by_with_what_argo_cd_lets_them_use(lua):
    assert [name for name in CLOSED if lua.globals()[name] is not None] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "Release"])
def test_what_is_going_is_waited_for_and_what_needs_a_person_shows_in_the_application(lua, kind):
    rows = {reason: written(r, s) for r, s, reason, _ in EVERY if r.kind == kind}
    done, failed = rows[Reason.SUCCEEDED], rows[Reason.INVALID_SPEC]
    assert application(lua, [done]) == "Healthy"
    assert application(lua, [done, rows[Reason.SUSPENDED]]) == "Suspended"
    assert application(lua, [done, rows[Reason.SUSPENDED], rows[Reason.ENGINE_UNAVAILABLE]]) == "Progressing"
    assert application(lua, [failed, done]) == "Degraded"
    going = {**done, "metadata": {**done["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert application(lua, [done, going]) == "Progressing"
