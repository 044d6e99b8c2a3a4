"""Other ways to run the operators: limited to namespaces with no right beyond them, and by kopf's own command line.

The platform's own operator is away meanwhile.
"""

from __future__ import annotations

import contextlib
import os

import pytest
import yaml

from cdl.kube import rbac
from tests.kube.platform_up import KINDS, answered, tiny_project

SYSTEM, MINE, MORE, OTHERS = (f"ways-{name}-{os.getpid()}" for name in ("system", "mine", "more", "others"))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tiny_project(tmp_path_factory.mktemp("ways") / "tiny", "ways")


@pytest.fixture(scope="module")
def alone(platform):
    """The platform without its operator; another one is installed for two namespaces, and does not run."""
    for name in (SYSTEM, MINE, MORE, OTHERS):
        platform.kubectl("create", "namespace", name)
    installed = [d for d in rbac.documents(SYSTEM, (MINE, MORE)) if d["metadata"]["name"].startswith("cdl-operator")]
    assert {document["kind"] for document in installed} == {"Role", "RoleBinding"}
    platform.apply(yaml.safe_dump_all(installed))
    platform.end("operator")
    yield platform
    platform.up()
    platform.kubectl("delete", "namespace", "--wait=false", MINE, MORE, OTHERS, SYSTEM)


@pytest.fixture(scope="module")
def limits(alone):
    """What such an operator is told: who it is, and where it may work."""
    account = alone.account(SYSTEM, "cdl-operator")
    return {"CDL_KUBECONFIG": str(account), "CDL_NAMESPACES": f"{MINE},{MORE}", "CDL_LEASE_NAMESPACE": SYSTEM}


def may(alone, limits, *words):
    return alone.run("auth", "can-i", *words, as_=limits["CDL_KUBECONFIG"]).stdout.strip()


def log_without_refusals(beside):
    log = beside.log.read_text()
    assert "orbidden" not in log, log[-3000:]
    assert "Traceback" not in log, log[-3000:]


def test_an_operator_of_two_namespaces_works_there_with_their_rights_and_nowhere_else(alone, limits, project):
    for question in (
        ("list", "experiments.cdl.dev", "-n", OTHERS),
        ("list", "experiments.cdl.dev", "--all-namespaces"),
        ("list", "namespaces"),
        ("list", "customresourcedefinitions"),
        ("get", "secrets", "-n", MINE),
        ("create", "experiments.cdl.dev", "-n", MINE),
        ("patch", "releases.cdl.dev", "-n", MINE),
    ):
        assert may(alone, limits, *question) == "no", question
    pipeline = (project / "resources" / "datapipeline.yaml").read_text()
    alone.apply(pipeline, "-n", OTHERS)
    alone.apply(pipeline, "-n", MORE)
    with alone.operator_beside(**limits) as operator:
        alone.until("its lease", lambda: alone.leads(operator.port))
        alone.apply(alone.rendered(project), "-n", MINE)
        alone.wait(MINE)
        alone.wait(MORE, "datapipeline/tiny")
        assert answered(alone.url(MINE)) == "up"
        assert [code for code in operator.told("cdl_api_requests_total") if 'code="403"' in code] == []
        untouched = alone.resource("datapipeline", OTHERS)
        assert untouched.get("status", {}).get("conditions", []) == []
        assert alone.held(OTHERS) == set()
        holders = alone.kubectl("get", "lease", "-n", SYSTEM, "-o", "name").split()
        assert len(holders) == len(KINDS)
        alone.kubectl("delete", "datapipeline", "tiny", "-n", MORE, "--timeout=60s")
        assert alone.held(MORE) == set()
    log_without_refusals(operator)
    assert operator.process.returncode == 0


def test_kopf_runs_each_kind_by_its_file(alone, limits, project):
    with contextlib.ExitStack() as running:
        three = [
            running.enter_context(
                alone.operator_beside(
                    *("-m", "kopf", "run", "--standalone", "-n", MINE, "-n", MORE, f"operators/{kind}.py"),
                    **limits,
                )
            )
            for kind in KINDS
        ]
        alone.apply(alone.rendered(project), "-n", MORE)
        alone.wait(MORE)
        assert answered(alone.url(MORE)) == "up"
        for kind, operator in zip(KINDS, three, strict=True):
            turned = operator.told("cdl_reconcile_total")
            kinds = {wished for wished in KINDS if any(f'kind="{wished}"' in labels.lower() for labels in turned)}
            assert kinds == {kind}, turned
        alone.delete(MORE)
        assert alone.held(MORE) == set()
        alone.delete(MINE)
        assert alone.held(MINE) == set()
    for operator in three:
        log_without_refusals(operator)
        assert operator.process.returncode == 0
