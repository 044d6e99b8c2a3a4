"""What whoever runs an operator sees of it: probes, figures, a log that is read by machines, and its rights."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from cdl.kube import rbac
from tests.kube.platform_up import tiny_project

NAMESPACE = "seen"
ACCOUNT = "system:serviceaccount:cdl-system:cdl-operator"
EVERYBODY = {("authorization.k8s.io", "selfsubjectaccessreviews"), ("authorization.k8s.io", "selfsubjectrulesreviews")}
"""What an API server lets everybody ask about themselves."""


@pytest.fixture(scope="module")
def seen(platform, tmp_path_factory):
    """The platform, with a DataPipeline that is Ready, and one that nobody can make Ready."""
    project = tiny_project(tmp_path_factory.mktemp("seen") / "tiny", NAMESPACE)
    platform.kubectl("create", "namespace", NAMESPACE)
    document = yaml.safe_load((project / "resources" / "datapipeline.yaml").read_text())
    platform.apply(yaml.safe_dump(document), "-n", NAMESPACE)
    document["metadata"]["name"] = "lost"
    document["spec"]["sources"][0]["uri"] = "file://nowhere.tar.gz"
    platform.apply(yaml.safe_dump(document), "-n", NAMESPACE)
    platform.wait(NAMESPACE, "datapipeline/tiny")
    platform.is_for("datapipeline", NAMESPACE, "SourceUnusable", "Stalled", "lost")
    yield platform
    platform.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


@pytest.fixture
def account(seen):
    """The kubeconfig the running operator was given."""
    return Path(seen.operator_environment()["CDL_KUBECONFIG"])


def test_probes_answer_in_words(seen):
    for page, words in (("healthz", "ok"), ("readyz", "leading")):
        answer = seen.probe(page)
        assert (answer.status_code, answer.text.strip()) == (200, words)
    assert seen.probe("nothing").status_code == 404


def test_figures_are_those_of_what_happened(seen):
    kind = 'kind="DataPipeline"'
    before = seen.told("cdl_reconcile_total")
    seen.looked_at("datapipeline", NAMESPACE)
    seen.until(
        "the count",
        lambda: seen.told("cdl_reconcile_total")[f'{kind},outcome="done"'] > before[f'{kind},outcome="done"'],
    )
    assert seen.told("cdl_reconcile_seconds_count")[kind] >= sum(v for k, v in before.items() if kind in k)
    assert seen.told("cdl_reconcile_errors_total")[f'class="Rejected",{kind}'] >= 1
    assert seen.told("cdl_leader") == {"": 1.0}
    assert seen.told("cdl_queue_depth").keys() >= {kind}
    seen.until("an empty queue", lambda: set(seen.told("cdl_queue_depth").values()) == {0.0})
    assert set(seen.told("cdl_queue_oldest_seconds").values()) == {0.0}
    assert seen.told("cdl_queue_wait_seconds_count")[kind] > 0
    resources = seen.told("cdl_resources")
    assert resources[f'{kind},ready="True"'] >= 1
    assert resources[f'{kind},ready="False"'] >= 1
    calls = seen.told("cdl_engine_call_seconds_count")
    assert calls['call="ingest",engine="data"'] >= 2
    assert calls['call="beat",engine="training"'] > 0
    requests = seen.told("cdl_api_requests_total")
    assert requests['code="200",verb="PATCH"'] > 0
    assert [labels for labels in requests if 'code="403"' in labels or 'code="401"' in labels] == []
    assert seen.told("cdl_events_dropped_total") == {"": 0.0}


def test_figures_are_read_as_prometheus_reads_them(seen):
    answer = httpx.get(f"http://127.0.0.1:{seen.port('operator')}/metrics", headers={"accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain; version=")
    described = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# HELP")}
    assert {"cdl_reconcile_total", "cdl_leader", "process_resident_memory_bytes"} <= described


def test_every_line_of_the_log_is_an_object_and_says_what_it_is_about(seen):
    lines = seen.log()
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    mine = [line for line in lines if (line.get("namespace"), line.get("name")) == (NAMESPACE, "tiny")]
    acted = [line for line in mine if line["logger"].startswith("cdl.")]
    assert any("Ingest" in line["message"] for line in acted)
    assert {(line["kind"], line["generation"]) for line in acted} == {("DataPipeline", 1)}
    assert {line["level"] for line in mine} == {"info"}


def test_the_operator_is_its_service_account_and_nobody_else(seen, account):
    told = yaml.safe_load(account.read_text())
    (user,) = told["users"]
    subject = x509.load_pem_x509_certificate(base64.b64decode(user["user"]["client-certificate-data"])).subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [ACCOUNT]
    groups = {a.value for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
    assert groups == {"system:serviceaccounts", "system:serviceaccounts:cdl-system"}


def test_its_rights_are_the_rows_of_the_table_and_no_more(seen, account):
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": NAMESPACE},
    }
    answer = seen.kubectl("create", "-o", "json", "-f", "-", input=json.dumps(asked), as_=account)
    granted = {
        (group, resource, verb)
        for rule in json.loads(answer)["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if (group, resource) not in EVERYBODY
    }
    here = (rbac.Where.RESOURCES, rbac.Where.SCANNING, rbac.Where.CLUSTER)
    rows = [row for row in rbac.TABLE["operator"] if row.where in here]
    assert granted == {(row.group, resource, verb) for row in rows for resource in row.resources for verb in row.verbs}
    assert not any("*" in part for grant in granted for part in grant)
