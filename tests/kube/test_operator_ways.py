"""Other ways to run the operators: limited to namespaces with no right beyond them, and by kopf's own command line.

They look after another API server than the platform whose engines they use.
"""

from __future__ import annotations

import contextlib
import os

import pytest
import yaml

from cdl.kube import rbac
from tests.kube.platform_up import KINDS, answered, tiny_project

SYSTEM, MINE, MORE, OTHERS = (f"ways-{name}-{os.getpid()}" for name in ("system", "mine", "more", "others"))
LIMITS = {"CDL_NAMESPACES": f"{MINE},{MORE}", "CDL_LEASE_NAMESPACE": SYSTEM}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tiny_project(tmp_path_factory.mktemp("ways") / "tiny")


@pytest.fixture(scope="module")
def elsewhere(platform, cluster):
    """An API server where an operator is installed for two namespaces, and does not run."""
    other = platform.at(cluster)
    for name in (SYSTEM, MINE, MORE, OTHERS):
        other.kubectl("create", "namespace", name)
    installed = [d for d in rbac.documents(SYSTEM, (MINE, MORE)) if d["metadata"]["name"].startswith("cdl-operator")]
    assert {document["kind"] for document in installed} == {"Role", "RoleBinding"}
    other.apply(yaml.safe_dump_all(installed))
    yield other
    for name in (SYSTEM, MINE, MORE, OTHERS):
        other.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def account(elsewhere, cluster):
    """Who the operator is there."""
    return cluster.account(SYSTEM, "cdl-operator")


def may(elsewhere, account, *words):
    return elsewhere.run("auth", "can-i", *words, as_=account).stdout.strip()


def log_without_refusals(beside):
    log = beside.log.read_text()
    assert "orbidden" not in log, log[-3000:]
    assert "Traceback" not in log, log[-3000:]


def test_an_operator_of_two_namespaces_works_there_with_their_rights_and_nowhere_else(elsewhere, account, project):
    for question in (
        ("list", "experiments.cdl.dev", "-n", OTHERS),
        ("list", "experiments.cdl.dev", "--all-namespaces"),
        ("list", "namespaces"),
        ("list", "customresourcedefinitions"),
        ("get", "secrets", "-n", MINE),
        ("create", "experiments.cdl.dev", "-n", MINE),
        ("patch", "releases.cdl.dev", "-n", MINE),
    ):
        assert may(elsewhere, account, *question) == "no", question
    pipeline = (project / "resources" / "datapipeline.yaml").read_text()
    elsewhere.apply(pipeline, "-n", OTHERS)
    elsewhere.apply(pipeline, "-n", MORE)
    with elsewhere.operator_beside(CDL_KUBECONFIG=str(account), **LIMITS) as operator:
        elsewhere.until("its lease", lambda: elsewhere.leads(operator.port))
        elsewhere.apply(elsewhere.rendered(project), "-n", MINE)
        elsewhere.wait(MINE)
        elsewhere.wait(MORE, "datapipeline/tiny")
        assert answered(elsewhere.url(MINE)) == "up"
        assert [code for code in operator.told("cdl_api_requests_total") if 'code="403"' in code] == []
        untouched = elsewhere.resource("datapipeline", OTHERS)
        assert "finalizers" not in untouched["metadata"]
        assert untouched.get("status", {}).get("conditions", []) == []
        assert elsewhere.held(OTHERS) == set()
        holders = elsewhere.kubectl("get", "lease", "-n", SYSTEM, "-o", "name").split()
        assert len(holders) == len(KINDS)
        elsewhere.kubectl("delete", "datapipeline", "tiny", "-n", MORE, "--timeout=60s")
        assert elsewhere.held(MORE) == set()
    log_without_refusals(operator)
    assert operator.process.returncode == 0


def test_kopf_runs_each_kind_by_its_file(elsewhere, account, project):
    with contextlib.ExitStack() as running:
        three = [
            running.enter_context(
                elsewhere.operator_beside(
                    *("-m", "kopf", "run", "--standalone", "-n", MINE, "-n", MORE, f"operators/{kind}.py"),
                    CDL_KUBECONFIG=str(account),
                    **LIMITS,
                )
            )
            for kind in KINDS
        ]
        elsewhere.apply(elsewhere.rendered(project), "-n", MORE)
        elsewhere.wait(MORE)
        assert answered(elsewhere.url(MORE)) == "up"
        for kind, operator in zip(KINDS, three, strict=True):
            turned = operator.told("cdl_reconcile_total")
            kinds = {wished for wished in KINDS if any(f'kind="{wished}"' in labels.lower() for labels in turned)}
            assert kinds == {kind}, turned
        for kind in KINDS:
            elsewhere.kubectl("delete", kind, "tiny", "-n", MORE, "--timeout=60s")
        assert elsewhere.held(MORE) == set()
        for kind in KINDS:
            elsewhere.kubectl("delete", kind, "tiny", "-n", MINE, "--timeout=60s", "--ignore-not-found")
        assert elsewhere.held(MINE) == set()
    for operator in three:
        log_without_refusals(operator)
        assert operator.process.returncode == 0
