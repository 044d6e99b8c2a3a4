"""A recorded run: the operator uses every right it is given, is refused nothing, and so do admission's."""

from __future__ import annotations

import json

import pytest

from cdl.kube import rbac
from tests.kube.platform_up import answered, tiny_project

NAMESPACE = "recorded"
ACCOUNTS = {f"system:serviceaccount:{rbac.SYSTEM}:cdl-{role}": role for role in ("operator", "admission")}


@pytest.fixture(scope="module")
def recorded(platform, tmp_path_factory):
    """What both accounts asked of the API server from their start to the end of a project's life."""
    platform.environment["CDL_AUDIT"] = "true"
    platform.up()
    platform.end("operator")
    platform.kubectl("delete", "leases", "--all", "-n", rbac.SYSTEM)
    log = platform.home / "control-plane" / "audit.log"
    before = log.stat().st_size  # an API server that has just started refuses those whose rights it has not read yet
    platform.up()
    project = tiny_project(tmp_path_factory.mktemp("recorded") / "tiny", "recorded")
    platform.kubectl("create", "namespace", NAMESPACE)
    platform.apply(platform.rendered(project), "-n", NAMESPACE)
    platform.wait(NAMESPACE)
    for suspend in (True, False, True, False):  # the same events twice, and a look that finds other servers wished for
        reason = "Suspended" if suspend else "Succeeded"
        platform.patch("modeldeployment", NAMESPACE, {"suspend": suspend})
        platform.until(reason, lambda wanted=reason: platform.is_for("modeldeployment", NAMESPACE, wanted))
    platform.patch("modeldeployment", NAMESPACE, {"deletionPolicy": "Orphan"})
    platform.patch("modeldeployment", NAMESPACE, {"deletionPolicy": "Delete"})
    platform.wait(NAMESPACE)
    assert answered(platform.url(NAMESPACE)) == "up"
    decide(platform)
    platform.delete(NAMESPACE)
    platform.end("operator")  # a watch is noted when it ends
    yield [json.loads(line) for line in log.read_bytes()[before:].splitlines()]
    del platform.environment["CDL_AUDIT"]
    platform.up()


def decide(platform):
    """Have somebody decide who is no administrator, so that admission has to ask whether they may."""
    person = platform.identity("validator")
    role = ("create", "rolebinding", "v", "--clusterrole=cdl-model-validator", "--user=validator", "-n", NAMESPACE)
    platform.kubectl(*role)
    release = platform.resource("release", NAMESPACE, "recorded-1")
    note = f"cdl.dev/rejected-digest={release['spec']['digest']}"
    platform.kubectl("annotate", "release.cdl.dev", "recorded-1", note, "-n", NAMESPACE, as_=person)
    decided = "{.status.approval.state}"
    get = ("get", "release.cdl.dev", "recorded-1", "-n", NAMESPACE, "-o", f"jsonpath={decided}")
    platform.until("the operator's word", lambda: platform.kubectl(*get) == "Rejected")


def asked_by(events, role):
    return [event for event in events if ACCOUNTS.get(event["user"]["username"]) == role]


@pytest.mark.parametrize("role", ["operator", "admission"])
def test_nothing_is_asked_for_that_is_not_granted(recorded, role):
    beyond = {
        (event["verb"], event["requestURI"].partition("?")[0])
        for event in asked_by(recorded, role)
        if event.get("objectRef", {}).get("resource") and rbac.covers(role, event) is None
    }
    assert beyond == set()
    refused = [e["requestURI"] for e in asked_by(recorded, role) if e.get("responseStatus", {}).get("code") == 403]
    assert refused == []


@pytest.mark.parametrize("role", ["operator", "admission"])
def test_every_right_is_used(recorded, role):
    granted = {(row, resource, verb) for row in rbac.TABLE[role] for resource in row.resources for verb in row.verbs}
    used = set()
    for event in asked_by(recorded, role):
        row = rbac.covers(role, event)
        if row is not None:
            ref = event["objectRef"]
            resource = "/".join(ref[part] for part in ("resource", "subresource") if ref.get(part))
            used.add((row, resource, event["verb"]))
    unused = sorted(f"{verb} {resource}" for _, resource, verb in granted - used)
    assert not unused, f"granted and never used: {unused}"
