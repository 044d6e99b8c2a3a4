"""Approving on a real API server, with real rights: a note, a signature, and the operator's word."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest
import yaml

from cdl.api.meta import APPLIED_BY_ANNOTATION, Key
from cdl.api.v1alpha1.release import ApprovalState
from cdl.kube import paths, rbac
from cdl.kube.cache import Cache
from cdl.kube.client import Api
from cdl.kube.install import install_webhooks, remove_webhooks
from cdl.kube.store import KubeStore, listed
from cdl.loop import Engines
from cdl.loop.release import Releases
from cdl.ports.errors import NotPermitted, PortError, Rejected, Unavailable
from cdl.reconcile.release import (
    APPROVAL_ROLE,
    APPROVED_DIGEST,
    DECIDED_AT,
    DECIDED_BY,
    DECISION_REASON,
    REJECTED_DIGEST,
)
from cdl.testing.builders import experiment_document, release_document, signer
from cdl.testing.memory import MemoryArtifacts
from tests.kube.test_admission import Admission

KEY = "news-1"
OTHERS = (None, None, None, None, MemoryArtifacts(None), signer())  # nothing is collected, trained or served here


@pytest.fixture(scope="module")
def office(cluster, tmp_path_factory):
    """Roles, and an admission server that runs with its own rights and no more."""
    text = yaml.safe_dump_all(rbac.documents())
    cluster.apply(yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rbac.SYSTEM}}))
    cluster.apply(text)
    api = Api.connect(cluster.kubeconfig)
    admission = Admission(cluster, tmp_path_factory.mktemp("office"))
    try:
        admission.start()
        install_webhooks(api, admission.server)
        yield admission
    finally:
        remove_webhooks(api)
        if admission.process.poll() is None:
            admission.end()
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=text)


@pytest.fixture
def people(cluster, office, namespace):
    """Somebody of each role, by role; each an Api."""

    def person(role):
        user = f"{role}@{namespace}"
        binding = ("create", "rolebinding", role, f"--clusterrole=cdl-{role}", f"--user={user}", "-n", namespace)
        cluster.kubectl(*binding)
        return user, Api.connect(cluster.identity(user))

    return {role: person(role) for role in ("model-validator", "data-scientist")}


@pytest.fixture
def operator(cluster):
    return Api.connect(cluster.account("cdl-system", "cdl-operator"))


@pytest.fixture
def release(operator, namespace, cluster, people):
    document = release_document()
    document["metadata"]["namespace"] = namespace
    cluster.until("it is asked", lambda: answers(cluster, namespace, operator, document))
    return seen(operator, namespace)


def seen(operator, namespace):
    """The Release as the operator sees it, who may list and watch."""
    return listed(operator, "Release", namespace, name=KEY)[0][0]


def turn(operator, namespace):
    """Let the operator look at the Release once; give what it says of the decision then."""
    for _ in range(2):  # the first turn signs what the Release was made from
        cache = Cache()
        cache.put(seen(operator, namespace))
        engines = Engines(KubeStore(operator, cache), *OTHERS)
        Releases(engines, lambda: datetime.now(UTC)).turn(namespace, KEY)
    return seen(operator, namespace)["status"]["approval"]


def answers(cluster, namespace, operator, document):
    """The Release is there, and a forged change of it is refused by admission."""
    with contextlib.suppress(PortError):
        operator.create(paths.collection("Release", namespace), document)
    admin = Api.connect(cluster.kubeconfig)
    note = {"metadata": {"annotations": {APPROVED_DIGEST: "sha256:forged"}}}
    try:
        admin.merge_patch(paths.resource(Key("Release", namespace, KEY)), note, dryRun="All")
    except PortError as error:
        return "the release is sha256:" in str(error)
    return False


def noted(api, namespace, **annotations):
    return api.merge_patch(paths.resource(Key("Release", namespace, KEY)), {"metadata": {"annotations": annotations}})


def test_a_validators_note_is_signed_and_becomes_the_operators_word(people, operator, release, namespace):
    user, validator = people["model-validator"]
    digest = release["spec"]["digest"]
    forged = {DECIDED_BY: "somebody else", DECIDED_AT: "1970-01-01T00:00:00Z"}
    stored = noted(validator, namespace, **{APPROVED_DIGEST: digest, DECISION_REASON: "looks right", **forged})
    notes = stored["metadata"]["annotations"]
    assert notes[DECIDED_BY] == user
    assert abs((datetime.now(UTC) - datetime.fromisoformat(notes[DECIDED_AT])).total_seconds()) < 60
    status = turn(operator, namespace)
    assert (status["state"], status["by"], status["reason"]) == (ApprovalState.APPROVED, user, "looks right")
    noted(validator, namespace, **{APPROVED_DIGEST: None, REJECTED_DIGEST: digest, DECISION_REASON: "biased"})
    status = turn(operator, namespace)
    assert (status["state"], status["reason"]) == (ApprovalState.REJECTED, "biased")


def test_a_scientist_cannot_decide_and_a_validator_can_do_nothing_else(people, release, namespace):
    digest = release["spec"]["digest"]
    _, scientist = people["data-scientist"]
    with pytest.raises(NotPermitted, match="cannot patch"):
        noted(scientist, namespace, **{APPROVED_DIGEST: digest})
    _, validator = people["model-validator"]
    path = paths.resource(Key("Release", namespace, KEY))
    for change in (
        {"metadata": {"labels": {"cdl.dev/model": "another"}}},
        {"metadata": {"annotations": {"cdl.dev/document": "file:///elsewhere"}}},
        {"metadata": {"finalizers": ["keep/me"]}},
        {"spec": {"version": 9}},
    ):
        with pytest.raises(PortError, match=r"nothing else|never changed|spec") as refused:
            validator.merge_patch(path, change)
        assert isinstance(refused.value, (NotPermitted, Rejected))
    with pytest.raises(NotPermitted, match="cannot patch"):
        validator.merge_patch(f"{path}/status", {"status": {"approval": {"state": "Approved"}}})


def test_a_role_given_patch_for_another_reason_still_cannot_approve(cluster, office, release, namespace):
    role = ("create", "role", "labels", "--verb=patch,get", "--resource=releases.cdl.dev", "-n", namespace)
    cluster.kubectl(*role)
    cluster.kubectl("create", "rolebinding", "labels", "--role=labels", "--user=mallory", "-n", namespace)
    mallory = Api.connect(cluster.identity("mallory"))
    with pytest.raises(NotPermitted, match="mallory may not approve releases"):
        noted(mallory, namespace, **{APPROVED_DIGEST: release["spec"]["digest"]})


def test_kubectl_annotate_is_enough(cluster, people, release, namespace):
    user, _ = people["model-validator"]
    note = f"{APPROVED_DIGEST}={release['spec']['digest']}"
    cluster.kubectl("annotate", "cdlrel", KEY, note, "-n", namespace, as_=cluster.identity(user))
    stored = json.loads(cluster.kubectl("get", "cdlrel", KEY, "-n", namespace, "-o", "json"))
    assert stored["metadata"]["annotations"][DECIDED_BY] == user


def another(operator, namespace, name, **annotations):
    """A second Release, written by whom the annotations say nothing about: its author is the validator."""
    document = release_document("own", git={"commit": "c0ffee", "authors": [f"model-validator@{namespace}"]})
    document["metadata"] |= {"namespace": namespace, "name": name, "annotations": annotations}
    return operator.create(paths.collection("Release", namespace), document)


def test_an_author_cannot_approve_with_the_validators_role_by_kubectl_either(cluster, people, operator, namespace):
    user, _ = people["model-validator"]
    digest = another(operator, namespace, "own-1")["spec"]["digest"]
    words = ("annotate", "cdlrel", "own-1", "-n", namespace)
    refused = cluster.kubectl(*words, f"{APPROVED_DIGEST}={digest}", as_=cluster.identity(user), check=False)
    assert f"{user} is an author of it ({user}), so another validator must approve it" in refused
    cluster.kubectl(*words, f"{REJECTED_DIGEST}={digest}", as_=cluster.identity(user))
    stored = json.loads(cluster.kubectl("get", "cdlrel", "own-1", "-n", namespace, "-o", "json"))
    assert stored["metadata"]["annotations"] == {REJECTED_DIGEST: digest, DECIDED_BY: user} | {
        DECIDED_AT: stored["metadata"]["annotations"][DECIDED_AT]
    }


def test_the_role_an_experiment_asks_for_is_a_verb_of_its_own(cluster, people, operator, namespace):
    user, role = f"ada@{namespace}", "approve-as-clinician"
    digest = another(operator, namespace, "own-1", **{APPROVAL_ROLE: "clinician"})["spec"]["digest"]
    cluster.kubectl(
        "create", "rolebinding", "ada", "--clusterrole=cdl-model-validator", f"--user={user}", "-n", namespace
    )
    path = paths.resource(Key("Release", namespace, "own-1"))
    note = {"metadata": {"annotations": {APPROVED_DIGEST: digest}}}
    ada = Api.connect(cluster.identity(user))
    with pytest.raises(NotPermitted, match=f"may not {role} releases in namespace {namespace}"):
        ada.merge_patch(path, note)
    cluster.kubectl("create", "role", role, f"--verb={role}", "--resource=releases.cdl.dev", "-n", namespace)
    cluster.kubectl("create", "rolebinding", role, f"--role={role}", f"--user={user}", "-n", namespace)
    cluster.until(
        "the right is known",
        lambda: (
            cluster.run(
                "auth", "can-i", role, "releases.cdl.dev", "-n", namespace, as_=cluster.identity(user)
            ).returncode
            == 0
        ),
    )
    assert ada.merge_patch(path, note)["metadata"]["annotations"][DECIDED_BY] == user


def test_who_wishes_is_signed_and_stays_so_until_the_wish_is_another(cluster, people, release, namespace):
    (ada, scientist), bob = people["data-scientist"], f"bob@{namespace}"
    cluster.kubectl(
        "create", "rolebinding", "bob", "--clusterrole=cdl-data-scientist", f"--user={bob}", "-n", namespace
    )
    document = experiment_document()
    document["metadata"] |= {"namespace": namespace, "annotations": {APPLIED_BY_ANNOTATION: "the pope"}}
    path = paths.resource(Key("Experiment", namespace, "news"))

    def author(api, part):
        return api.merge_patch(path, part)["metadata"]["annotations"].get(APPLIED_BY_ANNOTATION)

    made = scientist.create(paths.collection("Experiment", namespace), document)
    assert made["metadata"]["annotations"] == {APPLIED_BY_ANNOTATION: ada}
    other = Api.connect(cluster.identity(bob))
    assert author(other, {"metadata": {"annotations": {APPLIED_BY_ANNOTATION: bob}}}) == ada
    assert author(other, {"metadata": {"annotations": {APPLIED_BY_ANNOTATION: None}}}) == ada
    assert author(other, {"spec": {"interval": "3m"}, "metadata": {"annotations": {APPLIED_BY_ANNOTATION: ada}}}) == bob
    text = yaml.safe_dump({**document, "spec": {**document["spec"], "interval": "4m"}})
    cluster.apply(text, "--server-side", "--force-conflicts", "-n", namespace, as_=cluster.identity(ada))
    cluster.apply(text, "--server-side", "-n", namespace, as_=cluster.identity(ada))
    stored = json.loads(cluster.kubectl("get", "experiment", "news", "-n", namespace, "-o", "json"))
    assert stored["metadata"]["annotations"][APPLIED_BY_ANNOTATION] == ada


def test_without_admission_nobody_decides(people, office, release, namespace):
    """Last in this file: the office closes."""
    _, validator = people["model-validator"]
    office.end()
    with pytest.raises(Unavailable, match=r"decide|sign"):
        noted(validator, namespace, **{APPROVED_DIGEST: release["spec"]["digest"]})
