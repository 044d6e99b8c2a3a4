"""The admission server in front of a real API server: what it refuses, doubts and adds, and what happens without it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from cdl.api.conditions import Reason
from cdl.api.v1alpha1 import Release
from cdl.embedded.controlplane.pki import Authority
from cdl.kube.client import Api
from cdl.kube.install import WEBHOOKS, install_webhooks, remove_webhooks
from cdl.kube.webhooks import NAME, at_address
from cdl.ports.errors import Rejected
from cdl.testing.builders import (
    A_SHA,
    deployment_document,
    experiment_document,
    pipeline_document,
    release_document,
    source_document,
)
from tests.unit.kube.rule_examples import CHANGES, EXAMPLES

ROOT = Path(__file__).parents[2]
LOST = "cdl.dev/engines"
SURE = {"sources": [source_document(sha256=A_SHA)]}


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


class Admission:
    """The admission process of one control plane, which can be ended and started again."""

    def __init__(self, cluster, folder, *command):
        self.command = command or (sys.executable, "-m", "cdl.cli.admit")
        self.port, self.probe = free_port(), free_port()
        authority = Authority(folder, "admission-ca")
        pair = authority.pair("admission", hosts=["127.0.0.1"])
        nobody = cluster.account("cdl-system", "cdl-admission")
        self.environment = {
            **os.environ,
            "CDL_KUBECONFIG": str(nobody),
            "CDL_ADMISSION_PORT": str(self.port),
            "CDL_ADMISSION_CERTIFICATE": str(pair.certificate),
            "CDL_ADMISSION_KEY": str(pair.key),
            "CDL_METRICS_PORT": str(self.probe),
        }
        self.log = folder / "admission.log"
        self.cluster = cluster
        self.server = at_address(f"https://127.0.0.1:{self.port}", authority.certificate.read_bytes())
        self.process = None

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
            )
        self.cluster.until(f"the admission server answers; {self.log.read_text()}", self.listening)

    def listening(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def api(cluster):
    return Api.connect(cluster.kubeconfig)


@pytest.fixture(scope="module")
def admission(cluster, api, tmp_path_factory):
    admission = Admission(cluster, tmp_path_factory.mktemp("admission"))
    try:
        admission.start()
        install_webhooks(api, admission.server)
        cluster.until("it is asked", lambda: asked(cluster))
        yield admission
    finally:
        remove_webhooks(api)
        if admission.process.poll() is None:
            admission.end()


def asked(cluster):
    """The API server passes what is new by the admission server."""
    wrong = yaml.safe_dump(EXAMPLES["step without a program"][0])
    return cluster.run("apply", "--dry-run=server", "-f", "-", input=wrong).returncode != 0


def stored(cluster, namespace, kind, name="news"):
    return json.loads(cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json"))


def refused(cluster, namespace, document):
    done = cluster.run("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(document))
    assert done.returncode != 0, done.stdout
    return done.stderr


def place_of(document, namespace="default"):
    return f"/apis/cdl.dev/v1alpha1/namespaces/{namespace}/{document['kind'].lower()}s"


BROKEN = {name: (d, p, m) for name, (d, p, m) in EXAMPLES.items() if m}


@pytest.mark.usefixtures("admission")
@pytest.mark.parametrize(("document", "path", "message"), BROKEN.values(), ids=BROKEN)
def test_what_cdl_validate_refuses_is_refused_in_the_same_words(api, document, path, message):
    """Posted as it is: kubectl would look at it first."""
    with pytest.raises(Rejected) as refusal:
        api.create(place_of(document), document, dryRun="All")
    assert refusal.value.reason is Reason.INVALID_SPEC
    said = str(refusal.value)
    asked = "validate" if document["kind"] == "Release" else "mutate"
    assert f'admission webhook "{asked}.cdl.dev" denied the request: ' in said
    assert f"{path}: " in said
    assert said.endswith(message)


@pytest.mark.usefixtures("admission")
@pytest.mark.parametrize("name", [name for name, (_, _, m) in EXAMPLES.items() if not m])
def test_what_is_right_is_accepted(api, name):
    document = EXAMPLES[name][0]
    assert api.create(place_of(document), document, dryRun="All")["spec"] is not None


@pytest.mark.usefixtures("admission")
@pytest.mark.parametrize(("old", "new", "path", "message"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_judged_by_what_is_stored(cluster, namespace, old, new, path, message):
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=yaml.safe_dump(old))
    done = cluster.run("replace", "-n", namespace, "-f", "-", input=yaml.safe_dump(new))
    assert (done.returncode != 0) is bool(message), done.stderr
    assert f"{path}: {message}" in done.stderr if message else "denied" not in done.stderr, done.stderr
    now = stored(cluster, namespace, old["kind"].lower(), old["metadata"]["name"])["spec"]
    if message:
        assert now.items() >= {k: old["spec"][k] for k in ("model", "digest") if k in old["spec"]}.items()


@pytest.mark.usefixtures("admission")
def test_a_person_sees_one_sentence_with_the_field_and_every_fault(cluster, namespace):
    error = refused(cluster, namespace, pipeline_document(steps=[{"name": "a"}], labels={"from": "labelStudio"}))
    assert error.count("\n") == 1
    assert error.startswith("Error from server: ")
    assert "spec.steps[0]: give either uses" in error
    assert "; spec.labels: labelStudio goes with from: labelStudio, and from: labelStudio needs" in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("admission")
def test_what_is_probably_not_meant_is_printed_and_stored(cluster, namespace):
    done = cluster.run("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(experiment_document(evaluation={})))
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: spec.evaluation.gates: there are none")
    assert stored(cluster, namespace, "experiment")["spec"]["evaluation"] == {
        "entrypoint": "evaluate:evaluate",
        "gates": [],
    }


@pytest.mark.usefixtures("admission")
def test_what_is_meant_is_stored_without_a_word(cluster, namespace):
    done = cluster.run("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(pipeline_document(**SURE)))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("admission")
@pytest.mark.parametrize(
    ("document", "guarded"),
    [
        (pipeline_document(**SURE), True),
        (experiment_document(), True),
        (deployment_document(), True),
        (release_document(), False),
    ],
    ids=lambda d: d["kind"] if isinstance(d, dict) else "",
)
def test_a_new_resource_is_guarded_from_its_first_moment(cluster, namespace, document, guarded):
    name = document["metadata"]["name"]
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=yaml.safe_dump(document))  # apply drops a null
    metadata = stored(cluster, namespace, document["kind"].lower(), name)["metadata"]
    assert metadata.get("finalizers", []) == ([LOST] if guarded else [])
    cluster.kubectl(
        "patch", document["kind"].lower(), name, "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}'
    )


@pytest.mark.usefixtures("admission")
@pytest.mark.parametrize("value", [1.0, 0.0, -3.0, 1e20, 1e21, 1e22, 1e-7, 0.1, 2**53 + 2, -(2**63)])
def test_a_release_keeps_its_digest_whatever_an_api_server_makes_of_its_numbers(api, value):
    document = release_document(evaluation={"metrics": {"accuracy": value}})
    given_back = api.create(place_of(document), document, dryRun="All")
    assert Release.read(given_back).spec.digest == document["spec"]["digest"]


@pytest.mark.usefixtures("admission")
def test_other_finalizers_stay_and_ours_comes_once(cluster, namespace):
    for name, given in (("one", ["example.test/mine"]), ("two", [LOST])):
        document = pipeline_document(name, **SURE)
        document["metadata"]["finalizers"] = given
        cluster.apply(yaml.safe_dump(document), "-n", namespace)
        now = stored(cluster, namespace, "datapipeline", name)["metadata"]["finalizers"]
        assert now == [*given, *([] if LOST in given else [LOST])]
        cluster.kubectl(
            "patch", "datapipeline", name, "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}'
        )


@pytest.mark.usefixtures("admission")
def test_a_resource_whose_name_the_server_makes_up_is_judged_and_guarded(api):
    document = pipeline_document(**SURE)
    document["metadata"] = {"generateName": "news-"}
    made = api.create(place_of(document), document, dryRun="All")["metadata"]
    assert made["finalizers"] == [LOST]
    assert made["name"].startswith("news-")


@pytest.mark.usefixtures("admission")
@pytest.mark.parametrize("words", [(), ("--server-side",)], ids=["client side", "server side"])
def test_applying_again_does_not_take_the_finalizer_away(cluster, namespace, words):
    """On the server's side a field that the applier no longer names goes; it never named the finalizer."""
    text = yaml.safe_dump(deployment_document())
    for _ in range(3):
        cluster.apply(text, "-n", namespace, *words)
    assert stored(cluster, namespace, "modeldeployment")["metadata"]["finalizers"] == [LOST]
    changed = yaml.safe_dump(deployment_document(interval="1h"))
    cluster.apply(changed, "-n", namespace, *words)
    assert stored(cluster, namespace, "modeldeployment")["metadata"]["finalizers"] == [LOST]


@pytest.mark.usefixtures("admission")
def test_a_trial_run_on_the_server_asks_and_stores_nothing(cluster, namespace):
    text = yaml.safe_dump(pipeline_document(**SURE))
    shown = yaml.safe_load(cluster.apply(text, "-n", namespace, "--dry-run=server", "-o", "yaml"))
    assert shown["metadata"]["finalizers"] == [LOST]
    wrong = yaml.safe_dump(EXAMPLES["items checked by nobody"][0])
    assert "checks on items need a step" in cluster.kubectl(
        "apply", "-n", namespace, "--dry-run=server", "-f", "-", input=wrong, check=False
    )
    assert cluster.kubectl("get", "datapipelines", "-n", namespace, "-o", "name") == ""


def test_what_is_wrong_and_stored_can_be_labelled_and_deleted_but_not_changed(cluster, api, admission, namespace):
    """As after an upgrade that knows a new rule: the resource was stored while nobody was asked."""
    remove_webhooks(api)
    wrong = deepcopy(EXAMPLES["items checked by nobody"][0])
    wrong["metadata"]["finalizers"] = ["example.test/mine"]
    cluster.until("nobody is asked", lambda: not asked(cluster))
    cluster.apply(yaml.safe_dump(wrong), "-n", namespace)
    install_webhooks(api, admission.server)
    cluster.until("somebody is asked", lambda: asked(cluster))
    place = ("datapipeline", "news", "-n", namespace)
    done = cluster.run("patch", *place, "--type=merge", "-p", '{"spec":{"interval":"1h"}}')
    assert "checks on items need a step" in done.stderr
    cluster.kubectl("annotate", *place, "cdl.dev/requestedAt=now")
    cluster.kubectl("label", *place, "team=news")
    cluster.kubectl("delete", *place, "--wait=false")
    cluster.kubectl("patch", *place, "--type=merge", "-p", '{"metadata":{"finalizers":[]}}')
    assert cluster.kubectl("get", "datapipelines", "-n", namespace, "-o", "name") == ""


def test_the_api_goes_on_without_it_and_it_comes_back(cluster, admission, namespace):
    admission.end(signal.SIGKILL)
    cluster.apply(yaml.safe_dump(pipeline_document("unguarded", **SURE)), "-n", namespace)
    assert "finalizers" not in stored(cluster, namespace, "datapipeline", "unguarded")["metadata"]
    admission.start()
    cluster.until(
        "it is asked again",
        lambda: (
            cluster.run(
                "apply",
                "-n",
                namespace,
                "--dry-run=server",
                "-f",
                "-",
                input=yaml.safe_dump(EXAMPLES["step without a program"][0]),
            ).returncode
        ),
    )


def test_it_sits_an_outage_of_the_api_server_out(cluster, admission, namespace):
    before = admission.process.pid
    cluster.kill("kube-apiserver")
    time.sleep(2)
    cluster.start()
    assert (admission.process.poll(), admission.process.pid) == (None, before)
    assert "spec.steps[0]" in refused(cluster, namespace, EXAMPLES["step without a program"][0])


def test_two_of_them_leave_the_configuration_alone(cluster, api, admission, tmp_path):
    place = f"{WEBHOOKS}/validatingwebhookconfigurations/{NAME}"
    before = api.get(place)
    other = Admission(cluster, tmp_path)
    other.start()
    assert other.end() == 0
    assert api.get(place)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert admission.process.poll() is None


def test_kopfs_own_command_line_can_run_it(cluster, namespace, tmp_path, api, admission):
    kopf = str(Path(sys.executable).with_name("kopf"))
    program = (kopf, "run", "-A", "--standalone", str(ROOT / "operators" / "admission.py"))
    other = Admission(cluster, tmp_path, *program)
    try:
        other.start()
        install_webhooks(api, other.server)
        admission.end()
        assert "spec.steps[0]" in refused(cluster, namespace, EXAMPLES["step without a program"][0])
    finally:
        other.end()
        admission.start()
        install_webhooks(api, admission.server)


def test_without_a_certificate_it_says_so_in_one_sentence(admission):
    environment = admission.environment | {"CDL_ADMISSION_CERTIFICATE": ""}  # as a template leaves it that has none
    done = subprocess.run(admission.command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "cdl-admission: CDL_ADMISSION_CERTIFICATE: found nothing, expected a PEM file\n"
