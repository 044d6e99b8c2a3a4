"""What a platform goes through: operators and API servers that end, two of a kind, and resources nobody can read.

The tests of this module share one namespace and follow one another; each leaves a platform that is up.
"""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime

import psutil
import pytest
import yaml

from cdl.cli.platform.processes import ENGINES
from cdl.loop.reconciler import FINALIZER
from tests.kube.platform_up import KINDS, answered, ask, asked_all_the_time, tiny_project

NAMESPACE = "trouble"
SYSTEM = "cdl-system"
LEASES = tuple(f"cdl-{kind}" for kind in KINDS)
WRONG = {
    "datapipeline": ({"checks": [{"name": "nothing"}]}, "spec.checks[0]: a check needs a rule"),
    "experiment": ({"evaluation": {"gates": [{"metric": "accuracy"}]}}, "spec.evaluation.gates[0]: a gate needs min"),
    "modeldeployment": ({"model": {"name": "trouble", "policy": "Pinned"}}, "spec.model: version goes with policy"),
}
"""What an API server without admission takes, and what there is to say of it."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tiny_project(tmp_path_factory.mktemp("trouble") / "tiny", NAMESPACE)


@pytest.fixture(scope="module")
def trouble(platform, project):
    """The platform, with the tiny project Ready."""
    platform.kubectl("create", "namespace", NAMESPACE)
    platform.apply(platform.rendered(project), "-n", NAMESPACE)
    platform.wait(NAMESPACE)
    yield platform
    platform.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")
    platform.until("an end of all of it", lambda: platform.held(NAMESPACE) == set())


@pytest.fixture(autouse=True)
def mended(platform):
    yield
    if not platform.whole():
        platform.up()


def weigh(platform, **more):
    platform.patch("experiment", NAMESPACE, {"config": {"hyperparameters": more}})


def states(platform):
    return {run.id: run.state for run in platform.runs(NAMESPACE)}


def lease(platform, name=LEASES[0]):
    found = yaml.safe_load(platform.kubectl("get", "lease", name, "-n", SYSTEM, "-o", "yaml"))["spec"]
    return {key: datetime.fromisoformat(value) if key.endswith("Time") else value for key, value in found.items()}


def pipeline(project, name, **spec):
    """The tiny project's DataPipeline under another name and with other wishes."""
    document = yaml.safe_load((project / "resources" / "datapipeline.yaml").read_text())
    document["metadata"]["name"] = name
    document["spec"] |= spec
    return yaml.safe_dump(document)


def test_an_operator_that_was_away_catches_up(trouble, project):
    trouble.end("operator")
    assert lease(trouble).get("holderIdentity", "") == ""
    before = states(trouble)
    weigh(trouble, epochs=3)
    trouble.kubectl("delete", "modeldeployment", "tiny", "-n", NAMESPACE, "--wait=false")
    trouble.apply(pipeline(project, "second"), "-n", NAMESPACE)
    assert trouble.servers(NAMESPACE) == ["tiny"]
    assert states(trouble) == before
    trouble.up()
    trouble.wait(NAMESPACE, "experiment/tiny", "datapipeline/second")
    assert len(states(trouble)) == len(before) + 1
    trouble.until("the end of the servers", lambda: trouble.resource("modeldeployment", NAMESPACE) is None)
    assert trouble.servers(NAMESPACE) == []
    trouble.apply((project / "resources" / "modeldeployment.yaml").read_text(), "-n", NAMESPACE)
    trouble.wait(NAMESPACE, "modeldeployment/tiny")
    assert "trouble-2" in ask(trouble.url(NAMESPACE)).text


def test_what_waits_for_an_engine_that_is_away_says_so_and_is_done_when_it_is_back(trouble, project):
    held, log, before, url = trouble.held(NAMESPACE), trouble.log(), states(trouble), trouble.url(NAMESPACE)
    for name in ENGINES:
        trouble.end(name)
    trouble.kubectl("delete", "datapipeline", "second", "-n", NAMESPACE, "--wait=false")
    trouble.kubectl("delete", "modeldeployment", "tiny", "-n", NAMESPACE, "--wait=false")
    trouble.kubectl("annotate", "experiment", "tiny", "-n", NAMESPACE, "cdl.dev/requestedAt=now")
    trouble.is_for("experiment", NAMESPACE, "EngineUnavailable", "Reconciling")
    trouble.is_for("datapipeline", NAMESPACE, "EngineUnavailable", "Reconciling", "second")
    assert trouble.resource("datapipeline", NAMESPACE, "second")["metadata"]["finalizers"] == [FINALIZER]
    trouble.up()
    trouble.until("its end", lambda: trouble.resource("datapipeline", NAMESPACE, "second") is None)
    trouble.until("its end", lambda: trouble.resource("modeldeployment", NAMESPACE) is None)
    second = {line for line in held if "second" in line}
    assert second
    assert held - trouble.held(NAMESPACE) == second | {"server tiny"}
    trouble.until("the end of the servers", lambda: ask(url).status_code == 404)
    trouble.is_for("experiment", NAMESPACE, "Succeeded")
    assert states(trouble) == before
    written = trouble.log()[len(log) :]
    assert {line["logger"].partition(".")[0] for line in written} <= {"cdl", "kopf"}
    trouble.apply((project / "resources" / "modeldeployment.yaml").read_text(), "-n", NAMESPACE)
    trouble.wait(NAMESPACE)


def test_nothing_is_done_twice_when_the_api_server_is_killed_and_models_answer_meanwhile(trouble, tmp_path):
    hold, before, supervisor = tmp_path / "hold", set(states(trouble)), trouble.pid("operator")
    hold.touch()
    with asked_all_the_time(trouble.url(NAMESPACE)) as statuses:
        weigh(trouble, epochs=4, hold=str(hold))
        trouble.is_for("experiment", NAMESPACE, "Training")
        trouble.end("kube-apiserver", signal.SIGKILL)
        hold.unlink()
        (run,) = set(states(trouble)) - before
        trouble.until("the end of the run", lambda: states(trouble)[run] == "COMPLETED")
        trouble.up()
        trouble.wait(NAMESPACE, "experiment/tiny")
        trouble.until("the new release", lambda: "trouble-3" in ask(trouble.url(NAMESPACE)).text)
    assert set(states(trouble)) == before | {run}
    assert trouble.pid("operator") == supervisor
    assert set(statuses) == {200}
    assert len(statuses) > 100


def test_an_operator_whose_lease_ran_out_starts_afresh_and_goes_on(trouble):
    supervisor, worker, frozen = trouble.pid("operator"), trouble.worker(), trouble.pid("kube-apiserver")
    with asked_all_the_time(trouble.url(NAMESPACE)) as statuses:
        os.kill(frozen, signal.SIGSTOP)
        try:
            trouble.until("the end of the worker", lambda: trouble.worker() != worker)
        finally:
            os.kill(frozen, signal.SIGCONT)
        trouble.until("a leader", trouble.leads)
        trouble.patch("experiment", NAMESPACE, {"evaluation": {"gates": [{"metric": "accuracy", "min": 0.7}]}})
        trouble.is_for("experiment", NAMESPACE, "Succeeded")
    assert trouble.pid("operator") == supervisor
    assert set(statuses) == {200}
    assert any("not renewed for" in line["message"] for line in trouble.log())


@pytest.mark.slow
def test_an_outage_of_a_minute_is_survived(trouble):
    supervisor, url = trouble.pid("operator"), trouble.url(NAMESPACE)
    trouble.end("kube-apiserver", signal.SIGKILL)
    with asked_all_the_time(url) as statuses:
        over = time.monotonic() + 65
        while time.monotonic() < over:
            assert trouble.pid("operator") == supervisor
            assert answered(url) == "up"
            time.sleep(0.5)
    trouble.up()
    assert trouble.pid("operator") == supervisor
    trouble.looked_at("datapipeline", NAMESPACE)
    assert set(statuses) == {200}


def test_of_two_operators_one_acts_and_the_other_takes_over_when_it_is_killed(trouble):
    with trouble.operator_beside() as second:
        waiting = trouble.until("the second", lambda: trouble.probe("readyz", second.port))
        assert (waiting.status_code, waiting.text.strip()) == (200, "waiting for the lease")
        for kind in KINDS:
            trouble.looked_at(kind, NAMESPACE)
        assert trouble.leads()
        assert second.told("cdl_leader") == {"": 0.0}
        assert second.told("cdl_reconcile_total") == {}
        assert second.told("cdl_engine_call_seconds_count") == {}
        supervisor, worker = psutil.Process(trouble.pid("operator")), psutil.Process(trouble.worker())
        holder = lease(trouble)["holderIdentity"]
        supervisor.kill()
        psutil.wait_procs([worker], timeout=60)
        assert not worker.is_running()
        before = lease(trouble)
        assert before["holderIdentity"] == holder
        trouble.until("the second leads", lambda: trouble.leads(second.port))
        for name in LEASES:
            after = lease(trouble, name)
            assert after["holderIdentity"] != holder
        assert (lease(trouble)["acquireTime"] - before["renewTime"]).total_seconds() >= before["leaseDurationSeconds"]
        trouble.remove_server(NAMESPACE)
        trouble.until("the servers", lambda: ask(trouble.url(NAMESPACE)).status_code == 200)
        assert sum(second.told("cdl_reconcile_total").values()) > 0
        trouble.up()
        assert not trouble.leads()
    trouble.until("the first leads again", trouble.leads)


def test_what_admission_would_have_refused_is_stalled_until_it_is_mended(trouble, project):
    document = pipeline(project, "later", **WRONG["datapipeline"][0])
    refused = trouble.kubectl("apply", "-n", NAMESPACE, "-f", "-", input=document, check=False)
    assert WRONG["datapipeline"][1] in refused
    assert trouble.resource("datapipeline", NAMESPACE, "later") is None
    trouble.end("admission")
    trouble.apply(document, "-n", NAMESPACE)
    trouble.wait(NAMESPACE, "datapipeline/later", condition="Stalled")
    stalled = trouble.is_for("datapipeline", NAMESPACE, "InvalidSpec", "Stalled", "later")
    assert WRONG["datapipeline"][1] in stalled["message"]
    assert trouble.condition("datapipeline", NAMESPACE, name="later")["status"] == "False"
    described = lambda: trouble.kubectl("describe", "datapipeline", "later", "-n", NAMESPACE)  # noqa: E731 - asked twice
    trouble.until("the event", lambda: "InvalidSpec" in described().partition("\nEvents:")[2])
    trouble.apply(pipeline(project, "later"), "-n", NAMESPACE)
    trouble.is_for("datapipeline", NAMESPACE, "Succeeded", name="later")
    assert trouble.condition("datapipeline", NAMESPACE, "Stalled", "later") == {}
    trouble.kubectl("delete", "datapipeline", "later", "-n", NAMESPACE, "--timeout=60s")


def test_what_never_could_be_read_can_be_deleted(trouble, project):
    trouble.end("admission")
    trouble.apply(pipeline(project, "never", **WRONG["datapipeline"][0]), "-n", NAMESPACE)
    trouble.is_for("datapipeline", NAMESPACE, "InvalidSpec", name="never")
    trouble.kubectl("delete", "datapipeline", "never", "-n", NAMESPACE, "--timeout=60s")
    assert trouble.resource("datapipeline", NAMESPACE, "never") is None


def test_what_became_unreadable_goes_on_and_takes_along_what_it_made(trouble):
    url, held = trouble.url(NAMESPACE), trouble.held(NAMESPACE)
    trouble.end("admission")
    for kind, (spec, fault) in WRONG.items():
        trouble.patch(kind, NAMESPACE, spec)
        assert fault in trouble.is_for(kind, NAMESPACE, "InvalidSpec", "Stalled")["message"]
    assert trouble.held(NAMESPACE) == held
    assert answered(url) == "up"
    trouble.delete(NAMESPACE)
    for kind in KINDS:
        assert trouble.resource(kind, NAMESPACE) is None
    assert trouble.held(NAMESPACE) == set()
    assert ask(url).status_code == 404
