"""The table of rights, read as a table: no server is needed to see that it gives nothing away."""

from itertools import product

import pytest
import yaml

from cdl.api.v1alpha1 import KINDS
from cdl.kube import rbac
from tests.architecture.tree import ROOT

CHART_COPY = ROOT / "charts" / "cdl" / "files" / "rbac.yaml"
ROWS = [(role, row) for role, rows in rbac.TABLE.items() for row in rows]
WRITING = {"create", "update", "patch", "delete", "deletecollection"}


def roles_with(verb, resource):
    return {role for role, row in ROWS if verb in row.verbs and resource in row.resources}


def test_the_chart_holds_the_table_as_it_is():
    assert CHART_COPY.read_text() == rbac.render(), "run `python -m cdl.kube.rbac` and commit charts/cdl/files"


def test_the_table_speaks_of_every_kind():
    assert set(rbac.ALL) == {f"{kind.lower()}s" for kind in KINDS}


def test_nothing_is_given_wholesale():
    words = [word for _, row in ROWS for word in (row.group, *row.resources, *row.verbs, *row.names)]
    assert [word for word in words if "*" in word] == []
    assert {"bind", "escalate", "impersonate", "deletecollection"}.isdisjoint(words)


def test_every_row_says_why():
    assert [row for _, row in ROWS if len(row.reason) < 15] == []


def test_no_row_repeats_another_of_its_role():
    for role, rows in rbac.TABLE.items():
        given = [(row.group, *pair) for row in rows for pair in product(row.resources, row.verbs)]
        assert len(given) == len(set(given)), role


@pytest.mark.parametrize("status", rbac.STATUSES)
def test_only_the_operator_writes_a_status(status):
    assert {role for role, row in ROWS if status in row.resources} == {"operator"}


def test_nobody_rewrites_or_removes_a_release():
    assert roles_with("create", "releases") == {"operator"}
    assert roles_with("update", "releases") == set()
    assert roles_with("delete", "releases") == set()


def test_only_the_validator_decides():
    assert roles_with("approve", "releases") == {"model-validator"}
    assert roles_with("patch", "releases") == {"model-validator"}


def test_a_validator_writes_nothing_else():
    written = [row.resources for row in rbac.PEOPLE["model-validator"] if WRITING & set(row.verbs)]
    assert written == [("releases",)]


def test_nobody_reads_secrets_but_by_name():
    assert [role for role, row in ROWS if "secrets" in row.resources and not row.names] == []


def test_a_limited_installation_has_roles_only_where_it_is_limited_to():
    made = rbac.documents("platform", ("one", "two"))
    limited = [d for d in made if d["metadata"]["name"] != "cdl-admission-platform"]
    assert len(made) == len(limited) + 2
    assert {d["kind"] for d in limited} == {"Role", "RoleBinding"}
    assert {d["metadata"]["namespace"] for d in limited} == {"platform", "one", "two"}
    groups = {group for d in limited for rule in d.get("rules", ()) for group in rule["apiGroups"]}
    assert "apiextensions.k8s.io" not in groups


def test_every_binding_is_to_an_account_of_the_platform():
    bindings = [d for d in rbac.documents("platform") if d["kind"].endswith("Binding")]
    subjects = {(s["kind"], s["name"], s["namespace"]) for d in bindings for s in d["subjects"]}
    assert subjects == {("ServiceAccount", "cdl-operator", "platform"), ("ServiceAccount", "cdl-admission", "platform")}


def test_documents_are_plain_yaml():
    made = rbac.documents()
    assert list(yaml.safe_load_all(yaml.safe_dump_all(made))) == made


def event(verb, resource, *, group="cdl.dev", namespace="team", subresource=""):
    ref = {"apiGroup": group, "resource": resource, "namespace": namespace, "name": "x"}
    return {"verb": verb, "objectRef": ref | ({"subresource": subresource} if subresource else {})}


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("operator", event("patch", "releases", subresource="status")),
        ("operator", event("update", "leases", group="coordination.k8s.io", namespace="cdl-system")),
        ("model-validator", event("patch", "releases")),
        ("admission", event("create", "subjectaccessreviews", group="authorization.k8s.io")),
    ],
)
def test_an_event_finds_the_row_that_allows_it(role, seen):
    row = rbac.covers(role, seen)
    assert row is not None
    assert row in rbac.TABLE[role]


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("operator", event("patch", "releases")),
        ("operator", event("update", "leases", group="coordination.k8s.io", namespace="team")),
        ("operator", event("patch", "experiments", group="other.dev")),
        ("data-scientist", event("patch", "experiments", subresource="status")),
        ("labeler", event("list", "experiments")),
        ("operator", {"verb": "get", "requestURI": "/version"}),
    ],
)
def test_an_event_that_nothing_allows_finds_no_row(role, seen):
    assert rbac.covers(role, seen) is None
