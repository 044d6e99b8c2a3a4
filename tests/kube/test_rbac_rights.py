"""Who may do what, asked of a real API server and done there: every role, every verb, every resource."""

import json
from itertools import product

import pytest
import yaml

from cdl.kube import rbac
from cdl.kube.client import Api
from cdl.ports.errors import NotPermitted
from cdl.testing import builders

# What each person may do, written down a second time: r reads, w creates, changes and deletes, u changes, a approves;
# l looks without watching, p applies.
PEOPLE = {
    "data-engineer": {"datapipelines": "rw", "experiments": "r", "modeldeployments": "r", "releases": "r"},
    "labeler": {"datapipelines": "r"},
    "data-scientist": {"datapipelines": "r", "experiments": "rw", "modeldeployments": "r", "releases": "r"},
    "model-validator": {"datapipelines": "r", "experiments": "r", "modeldeployments": "r", "releases": "ra"},
    "software-engineer": {"datapipelines": "r", "experiments": "ru", "modeldeployments": "ru", "releases": "r"},
    "devops-engineer": {"datapipelines": "r", "experiments": "r", "modeldeployments": "rw", "releases": "r"},
    "reader": {"datapipelines": "r", "experiments": "r", "modeldeployments": "r", "releases": "r"},
    "pipeline": {"datapipelines": "p", "experiments": "pl", "modeldeployments": "pl", "releases": "l"},
}
LETTERS = {
    "r": {"get", "list", "watch"},
    "w": {"create", "update", "patch", "delete"},
    "u": {"update", "patch"},
    "a": {"approve", "patch"},
    "l": {"get", "list"},
    "p": {"get", "create", "patch"},
}
BESIDE = {
    "events": set(PEOPLE) - {"pipeline"},
    "pods": {"software-engineer", "devops-engineer"},
    "services": {"devops-engineer"},
    "apps/deployments": {"devops-engineer"},
    "machinelearning.seldon.io/seldondeployments": {"devops-engineer"},
}
NOBODYS = (
    "secrets", "configmaps", "serviceaccounts", "serviceaccounts/token", "pods/exec", "pods/portforward", "nodes",
    "namespaces", "rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/rolebindings",
    "coordination.k8s.io/leases", "apiextensions.k8s.io/customresourcedefinitions",
    "admissionregistration.k8s.io/validatingwebhookconfigurations",
)  # fmt: skip
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "approve", "bind")

OPERATOR = {
    **{f"cdl.dev/{kind}": {"list", "watch", "patch"} for kind in rbac.WISHES},
    "cdl.dev/releases": {"list", "watch", "create"},
    **{f"cdl.dev/{status}": {"patch"} for status in rbac.STATUSES},
    "events": {"create", "patch"},
    "machinelearning.seldon.io/seldondeployments": {"get", "list", "create", "update", "delete"},
    "apiextensions.k8s.io/customresourcedefinitions": {"list", "watch"},
}


@pytest.fixture(scope="module")
def rights(cluster):
    """The roles and bindings of an installation, while this file is tested."""
    system = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rbac.SYSTEM}})
    text = yaml.safe_dump_all(rbac.documents())
    cluster.apply(system)
    cluster.apply(text)
    yield
    cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=text)


@pytest.fixture
def person(cluster, rights, namespace):
    """Make somebody who has a role in the test's namespace; give their kubeconfig."""

    def made(role, kind="ClusterRole"):
        user = f"{role}@{namespace}"
        word = f"--clusterrole=cdl-{role}" if kind == "ClusterRole" else f"--role=cdl-{role}"
        cluster.kubectl("create", "rolebinding", role, word, f"--user={user}", "-n", namespace)
        return cluster.identity(user)

    return made


def parts(resource):
    """Read GROUP/RESOURCE/SUBRESOURCE; what has neither a dot nor is of apps has no group."""
    group, _, rest = resource.partition("/") if "." in resource or resource.startswith("apps/") else ("", "", resource)
    name, _, subresource = rest.partition("/")
    return group, name, subresource


def may(api, verb, resource, namespace):
    """Ask the API server whether whoever asks may."""
    group, name, subresource = parts(resource)
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": name, "subresource": subresource}
    review = api.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"resourceAttributes": asked}}
    )
    return review["status"]["allowed"]


def allowed(api, resources, namespace):
    """What of every verb on some resources is allowed."""
    return {
        resource: verbs
        for resource in resources
        if (verbs := {verb for verb in VERBS if may(api, verb, resource, namespace)})
    }


def letters(text):
    return set().union(*(LETTERS[letter] for letter in text))


@pytest.mark.parametrize("role", PEOPLE)
def test_a_person_may_do_this_and_nothing_else(person, namespace, role):
    api = Api.connect(person(role))
    resources = [f"cdl.dev/{name}" for name in (*rbac.ALL, *rbac.STATUSES)] + [*BESIDE, "pods/log", *NOBODYS]
    wanted = {f"cdl.dev/{kind}": letters(text) for kind, text in PEOPLE[role].items()}
    wanted |= {resource: LETTERS["r"] for resource, roles in BESIDE.items() if role in roles}
    wanted |= {"pods/log": {"get"}} if role in BESIDE["pods"] else {}
    wanted |= {"machinelearning.seldon.io/seldondeployments": {"get"}} if role == "pipeline" else {}
    assert allowed(api, resources, namespace) == wanted


@pytest.mark.parametrize("role", PEOPLE)
def test_a_role_in_one_namespace_is_none_in_another(person, role):
    api = Api.connect(person(role))
    resources = [f"cdl.dev/{name}" for name in rbac.ALL]
    assert allowed(api, resources, "default") == {}


def test_the_operator_may_do_this_and_nothing_else(cluster, rights, namespace):
    api = Api.connect(cluster.account(rbac.SYSTEM, "cdl-operator"))
    resources = {*OPERATOR, *NOBODYS, *BESIDE, "pods/log"}
    assert allowed(api, sorted(resources), namespace) == OPERATOR
    leases = "coordination.k8s.io/leases"
    assert allowed(api, [leases], rbac.SYSTEM) == {leases: {"get", "create", "update"}}


def test_admission_may_ask_and_nothing_else(cluster, rights, namespace):
    api = Api.connect(cluster.account(rbac.SYSTEM, "cdl-admission"))
    asking = "authorization.k8s.io/subjectaccessreviews"
    resources = [*OPERATOR, *NOBODYS, asking]
    assert allowed(api, resources, namespace) == {asking: {"create"}}


GITOPS = {f"cdl.dev/{kind}": {"get", "list", "create", "patch", "delete"} for kind in rbac.WISHES} | {
    "cdl.dev/releases": {"get", "list"},
    "events": {"create", "patch"},
}


@pytest.mark.parametrize("previews", [False, True], ids=["a branch", "merge requests too"])
def test_who_follows_git_may_do_this_and_nothing_else(cluster, rights, namespace, previews):
    text = yaml.safe_dump_all(rbac.followed("news", namespace, previews=previews))
    cluster.apply(text)
    try:
        api = Api.connect(cluster.account(rbac.SYSTEM, "cdl-gitops-news"))
        resources = sorted({*OPERATOR, *NOBODYS, *BESIDE, "pods/log"})
        making = {"namespaces": {"get", "create"}} if previews else {}
        assert allowed(api, resources, namespace) == GITOPS | making
        assert allowed(api, resources, "default") == (GITOPS | making if previews else {})
    finally:
        cluster.kubectl("delete", "-f", "-", input=text)


def test_an_operator_of_two_namespaces_is_none_elsewhere(cluster, namespace):
    text = yaml.safe_dump_all(rbac.documents("default", (namespace,)))
    cluster.apply(text)
    api = Api.connect(cluster.account("default", "cdl-operator"))
    try:
        assert may(api, "patch", "cdl.dev/releases/status", namespace)
        assert not may(api, "list", "cdl.dev/releases", "kube-public")
        assert not may(api, "list", "cdl.dev/releases", "")
        assert not may(api, "list", "namespaces", "")
    finally:
        cluster.kubectl("delete", "-f", "-", input=text)


def test_whoever_may_view_a_namespace_sees_our_kinds_in_it(cluster, rights, namespace):
    user = f"viewer@{namespace}"
    cluster.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", f"--user={user}", "-n", namespace)
    api = Api.connect(cluster.identity(user))
    cluster.until("the aggregated role is there", lambda: may(api, "list", "cdl.dev/experiments", namespace))
    assert not may(api, "patch", "cdl.dev/experiments", namespace)


def test_admission_learns_who_may_decide(cluster, person, namespace, things):
    """The question the admission server asks when somebody notes a decision on a Release."""
    name, _ = things
    asks = Api.connect(cluster.account(rbac.SYSTEM, "cdl-admission"))

    def may_decide(role):
        person(role)
        what = {"namespace": namespace, "verb": rbac.APPROVE, "group": "cdl.dev", "resource": "releases", "name": name}
        spec = {"user": f"{role}@{namespace}", "groups": ["system:authenticated"], "resourceAttributes": what}
        review = asks.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        return review["status"]["allowed"]

    assert {role for role in PEOPLE if may_decide(role)} == {"model-validator"}


# --- the same, done


@pytest.fixture
def things(cluster, namespace):
    """One resource of each kind, as the administrator made them."""
    documents = (
        builders.pipeline_document(), builders.experiment_document(),
        builders.deployment_document(), builders.release_document(),
    )  # fmt: skip
    cluster.apply(yaml.safe_dump_all(documents), "-n", namespace)
    release = documents[-1]
    return release["metadata"]["name"], release["spec"]["digest"]


@pytest.fixture
def tried(cluster, namespace):
    """Do something as somebody; give whether it was forbidden, and check that nothing else went wrong."""

    def done(who, *words, body=None):
        text = None if body is None else yaml.safe_dump(body)
        run = cluster.run(*words, "-n", namespace, as_=who, input=text)
        refused = "forbidden" in run.stderr.lower()
        assert refused == bool(run.returncode), run.stderr
        return not refused

    return done


def kept(cluster, namespace, kind, name):
    return json.loads(cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json"))


def test_only_a_validator_notes_a_decision(cluster, namespace, things, person, tried):
    name, digest = things
    noted = ("annotate", "release", name, f"cdl.dev/approved-digest={digest}", "cdl.dev/decision-reason=good")
    for role in set(PEOPLE) - {"model-validator"}:
        assert not tried(person(role), *noted), role
    assert "cdl.dev/approved-digest" not in kept(cluster, namespace, "release", name)["metadata"].get("annotations", {})
    assert tried(person("model-validator"), *noted)
    release = kept(cluster, namespace, "release", name)
    assert release["metadata"]["annotations"]["cdl.dev/approved-digest"] == digest
    assert release["metadata"]["generation"] == 1, "a note is no change of what the release holds"


def test_a_validator_changes_no_experiment_and_no_status(cluster, namespace, things, person, tried):
    name, digest = things
    validator = person("model-validator")
    before = kept(cluster, namespace, "experiment", "news")
    assert not tried(validator, "patch", "experiment", "news", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    assert not tried(validator, "delete", "experiment", "news")
    status = json.dumps({"status": {"approval": {"state": "Approved", "digest": digest}}})
    assert not tried(validator, "patch", "release", name, "--subresource=status", "--type=merge", "-p", status)
    assert not tried(validator, "delete", "release", name)
    assert kept(cluster, namespace, "experiment", "news") == before
    assert "approval" not in kept(cluster, namespace, "release", name).get("status", {})


def test_a_scientist_runs_experiments_and_writes_no_release(cluster, namespace, things, person, tried):
    scientist = person("data-scientist")
    assert tried(scientist, "apply", "-f", "-", body=builders.experiment_document("another"))
    assert tried(scientist, "patch", "experiment", "another", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    assert tried(scientist, "delete", "experiment", "another", "--wait=false")
    assert not tried(scientist, "create", "-f", "-", body=builders.release_document("mine", 1))
    assert not tried(scientist, "patch", "datapipeline", "news", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    assert not tried(scientist, "delete", "modeldeployment", "news")
    patch = '{"status":{"observedGeneration":1}}'
    assert not tried(scientist, "patch", "experiment", "news", "--subresource=status", "--type=merge", "-p", patch)


def test_everybody_else_does_their_work_and_no_more(cluster, namespace, things, person, tried):
    suspend = ("--type=merge", "-p", '{"spec":{"suspend":true}}')
    engineer = person("data-engineer")
    assert tried(engineer, "apply", "-f", "-", body=builders.pipeline_document("more"))
    assert not tried(engineer, "patch", "experiment", "news", *suspend)
    labeler = person("labeler")
    assert tried(labeler, "get", "datapipelines")
    assert not tried(labeler, "get", "experiments")
    assert not tried(labeler, "patch", "datapipeline", "news", *suspend)
    software = person("software-engineer")
    assert tried(software, "patch", "modeldeployment", "news", *suspend)
    assert not tried(software, "delete", "modeldeployment", "news")
    devops = person("devops-engineer")
    assert tried(devops, "apply", "-f", "-", body=builders.deployment_document("second"))
    assert tried(devops, "delete", "modeldeployment", "second", "--wait=false")
    assert not tried(devops, "patch", "experiment", "news", *suspend)
    assert not tried(devops, "get", "secrets")


def test_the_operator_reports_and_rewrites_nothing(cluster, rights, namespace, things):
    name, _ = things
    api = Api.connect(cluster.account(rbac.SYSTEM, "cdl-operator"))
    at = f"/apis/cdl.dev/v1alpha1/namespaces/{namespace}"
    api.merge_patch(f"{at}/releases/{name}/status", {"status": {"observedGeneration": 1}})
    assert kept(cluster, namespace, "release", name)["status"]["observedGeneration"] == 1
    api.merge_patch(f"{at}/experiments/news", {"metadata": {"finalizers": ["cdl.dev/engines"]}})
    api.merge_patch(f"{at}/experiments/news", {"metadata": {"finalizers": None}})
    with pytest.raises(NotPermitted):
        api.merge_patch(f"{at}/releases/{name}", {"spec": {"version": 2}})
    with pytest.raises(NotPermitted):
        api.delete(f"{at}/experiments/news")
    with pytest.raises(NotPermitted):
        api.list(f"/api/v1/namespaces/{namespace}/secrets")


def test_every_right_is_in_the_answer_of_the_server_and_in_the_table(cluster, rights, namespace):
    """The table's reading of an event is the API server's."""
    api = Api.connect(cluster.account(rbac.SYSTEM, "cdl-operator"))
    for verb, resource in product(VERBS, [*OPERATOR, *NOBODYS]):
        group, name, subresource = parts(resource)
        ref = {"apiGroup": group, "resource": name, "subresource": subresource, "namespace": namespace}
        row = rbac.covers("operator", {"verb": verb, "objectRef": ref})
        assert (row is not None) == may(api, verb, resource, namespace), (verb, resource)
