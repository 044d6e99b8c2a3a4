"""The chart through Helm itself on a real API server: installed, upgraded, rolled back, uninstalled."""

import base64
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request

import helm_python as helm
import pytest
import yaml
from charts.render import CHART, SAMPLES

from cdl.kube import rbac
from tests.architecture.tree import ROOT
from tests.kube.chart import NAMES, values_of
from tests.kube.conftest import Cluster
from tests.unit.gitops.gitops_rig import Origin, project_in

CLUSTER_WIDE = "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations"
OURS = (
    "deployments,statefulsets,services,networkpolicies,poddisruptionbudgets,serviceaccounts,roles,rolebindings,secrets"
)
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
PART = "app.kubernetes.io/part-of=cdl"
# The kinds of cert-manager are not known to an API server without it.
INSTALLABLE = [name for name in NAMES if "cert-manager" not in name]


@pytest.fixture(scope="module")
def cluster(binaries, tmp_path_factory):
    """An API server of this file's own: an installation takes names that the cluster has only once."""
    cluster = Cluster(tmp_path_factory.mktemp("helm"), binaries)
    try:
        cluster.start()
        cluster.kubectl("apply", "-f", ROOT / "manifests" / "crds")
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def release(cluster, namespace):
    """A Helm that installs into the test's namespace and leaves nothing of the cluster behind."""
    helm.disable_logging()
    with helm.Config(kubeconfig_path=str(cluster.kubeconfig), namespace=namespace) as config:
        yield config
        config.uninstall("cdl", ignore_not_found=True)
    assert found(cluster, CLUSTER_WIDE) == []


@pytest.fixture(scope="module")
def teams(cluster):
    """The namespaces that a limited installation is limited to."""
    for name in ("team-one", "team-two"):
        cluster.kubectl("create", "namespace", name)
    yield
    cluster.kubectl("delete", "namespace", "team-one", "team-two")


def found(cluster, kinds, *words):
    listed = json.loads(cluster.kubectl("get", kinds, "-l", PART, "-o", "json", *words))
    return [item for item in listed["items"] if item.get("type") != "kubernetes.io/service-account-token"]


def names(items):
    return {f"{item['kind']}/{item['metadata']['name']}" for item in items}


def manifest(config, values):
    """What an installation would send, for the version of this API server."""
    made = config.install(CHART, "cdl", values, dry_run="server")
    return made["manifest"] if isinstance(made, dict) else made.manifest


@pytest.mark.parametrize("name", INSTALLABLE)
def test_the_api_server_accepts_every_object(cluster, namespace, release, teams, name):
    text = manifest(release, values_of(name))
    objects = [document for document in yaml.safe_load_all(text) if document]
    for how in ("--server-side=false", "--server-side"):
        said = cluster.kubectl("apply", how, "--dry-run=server", "-f", "-", input=text)
        assert said.count("(server dry run)") == len(objects)
    assert len(objects) >= 8


def test_a_release_lives_and_leaves(cluster, namespace, release):
    values = values_of("values-embedded.yaml")
    here = ("-n", namespace)
    release.install(CHART, "cdl", values)
    first = names(found(cluster, OURS, *here))
    assert {"Deployment/cdl-operator", "Deployment/cdl-admission", "StatefulSet/cdl-pachd"} <= first
    kept = secret(cluster, namespace)

    release.upgrade(CHART, "cdl", {**values, "operator": {"logFormat": "text"}, "admission": {"replicas": 1}})
    assert environment(cluster, namespace)["CDL_LOG_FORMAT"] == "text"
    assert "PodDisruptionBudget/cdl-admission" not in names(found(cluster, OURS, *here))
    assert secret(cluster, namespace) == kept, "an upgrade must not lock the API server out"

    release.rollback("cdl", version=1)
    assert environment(cluster, namespace)["CDL_LOG_FORMAT"] == "json"
    assert names(found(cluster, OURS, *here)) == first
    assert secret(cluster, namespace) == kept
    authority = {w["clientConfig"]["caBundle"] for c in found(cluster, WEBHOOKS) for w in c["webhooks"]}
    assert authority == {kept["ca.crt"]}

    release.uninstall("cdl")
    assert found(cluster, OURS, *here) == []
    assert names(found(cluster, "persistentvolumeclaims", *here)) == {"PersistentVolumeClaim/cdl-home"}
    assert "experiments.cdl.dev" in cluster.kubectl("get", "crds", "-o", "name")

    release.install(CHART, "cdl", values)
    assert names(found(cluster, OURS, *here)) == first, "what was left does not stand in the way"


def test_definitions_come_and_go_on_with_the_chart_that_brought_them(cluster, namespace, release, tmp_path):
    cluster.kubectl("delete", "-f", ROOT / "manifests" / "crds")
    older = shutil.copytree(CHART, tmp_path / "cdl")
    file = older / "files" / "crds" / "cdl.dev_releases.yaml"
    current = file.read_text()
    file.write_text(current.replace("    shortNames:\n    - cdlrel\n", ""))
    assert file.read_text() != current
    release.install(older, "cdl", {})
    assert set(definitions(cluster)) == {f"{kind}.cdl.dev" for kind in rbac.ALL}
    assert "x-kubernetes-validations" not in str(definitions(cluster)), "1.20 refuses definitions with rules"
    assert "shortNames" not in definitions(cluster)["releases.cdl.dev"]["spec"]["names"]

    release.upgrade(CHART, "cdl", {})
    assert definitions(cluster)["releases.cdl.dev"]["spec"]["names"]["shortNames"] == ["cdlrel"]

    release.uninstall("cdl")
    kept = definitions(cluster)
    assert len(kept) == 4, "what people made outlives the chart"
    with helm.Config(kubeconfig_path=str(cluster.kubeconfig), namespace="default") as other:
        assert "CustomResourceDefinition" not in manifest(other, {}), "another's are left alone"
    release.install(CHART, "cdl", {})
    assert {name: d["metadata"]["uid"] for name, d in definitions(cluster).items()} == {
        name: d["metadata"]["uid"] for name, d in kept.items()
    }


def definitions(cluster):
    listed = json.loads(cluster.kubectl("get", "crds", "-o", "json"))["items"]
    return {d["metadata"]["name"]: d for d in listed}


WEBHOOKS = "mutatingwebhookconfigurations,validatingwebhookconfigurations"


def secret(cluster, namespace):
    return json.loads(cluster.kubectl("get", "secret", "cdl-admission-tls", "-n", namespace, "-o", "json"))["data"]


def environment(cluster, namespace):
    text = cluster.kubectl("get", "deployment", "cdl-operator", "-n", namespace, "-o", "json")
    (container,) = json.loads(text)["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def test_a_limited_installation_is_limited(cluster, namespace, release, teams):
    release.install(CHART, "cdl", values_of("ci/namespaced.yaml"))
    operator = cluster.account(namespace, "cdl-operator")

    def may(*words):
        return cluster.kubectl("auth", "can-i", *words, as_=operator, check=False).startswith("yes")

    assert may("patch", "experiments.cdl.dev/status", "-n", "team-one")
    assert may("create", "releases.cdl.dev", "-n", "team-two")
    assert not may("list", "experiments.cdl.dev", "-n", namespace)
    assert not may("list", "experiments.cdl.dev", "--all-namespaces")
    assert not may("list", "customresourcedefinitions")
    assert may("update", "leases.coordination.k8s.io", "-n", namespace)
    assert not may("update", "leases.coordination.k8s.io", "-n", "team-one")


def test_a_wrong_value_installs_nothing(cluster, namespace, release):
    with pytest.raises(helm.HelmError, match="scope"):
        release.install(CHART, "cdl", {"scope": "Galaxy"})
    assert found(cluster, OURS, "-n", namespace) == []


def test_the_base_is_accepted_with_and_without_its_definitions(cluster):
    for folder in ("manifests/base", "manifests"):
        built = [d for d in yaml.safe_load_all(cluster.kubectl("kustomize", ROOT / folder)) if d]
        namespaced = [d for d in built if d["metadata"].get("namespace") != "cdl-system"]
        assert len(built) > len(namespaced) > 5
    assert {d["kind"] for d in built} >= {"CustomResourceDefinition", "Namespace", "Deployment", "ClusterRole"}


def test_the_api_server_accepts_the_base(cluster, system):
    said = cluster.kubectl("apply", "--dry-run=server", "-k", ROOT / "manifests", check=False)
    refused = [line for line in said.splitlines() if "server dry run" not in line and "Warning" not in line]
    # 1.20 does not know the version of PodDisruptionBudget that every current server has; kubectl says so in two lines.
    assert [line for line in refused if "PodDisruptionBudget" not in line and "CRDs are installed" not in line] == []
    assert said.count("server dry run") > 25


@pytest.fixture
def system(cluster):
    """The platform's namespace, which a dry run does not make."""
    cluster.kubectl("create", "namespace", "cdl-system")
    yield
    cluster.kubectl("delete", "namespace", "cdl-system")


def test_the_api_server_accepts_the_samples(cluster, namespace):
    said = cluster.kubectl("apply", "--dry-run=server", "-n", namespace, "-k", ROOT / SAMPLES)
    assert said.count("server dry run") == 6


# --- the programs, with the words and the rights that the chart gives them


def told(cluster, namespace, deployment, **here):
    """The environment of a Deployment's container, with what differs on this machine."""
    listed = json.loads(cluster.kubectl("get", "deployment", deployment, "-n", namespace, "-o", "json"))
    (container,) = listed["spec"]["template"]["spec"]["containers"]
    said = {v["name"]: v.get("value", "made-up") for v in container["env"] if v.get("value") or "valueFrom" in v}
    engines = {"CDL_PACHD": "grpc://127.0.0.1:9", "CDL_DETERMINED": "http://127.0.0.1:9"}
    command = [*container["command"], *container.get("args", ())]
    return command, {**os.environ, **said, **{n: v for n, v in engines.items() if n in said}, **here}


@contextlib.contextmanager
def started(command, environment, log):
    module = SCRIPTS[command[0]].partition(":")[0]
    words = [sys.executable, "-m", module, *command[1:]]
    with log.open("w") as out:
        process = subprocess.Popen(words, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def answer(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as said:
            return said.read().decode()
    except OSError:
        return ""


def listens(port):
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("name", ["values.yaml", "ci/namespaced.yaml", "ci/plain.yaml"])
def test_the_operator_leads_with_the_rights_of_the_chart(cluster, namespace, release, teams, tmp_path, name):
    release.install(CHART, "cdl", values_of(name))
    config, port = cluster.account(namespace, "cdl-operator"), free_port()
    here = {"CDL_KUBECONFIG": str(config), "CDL_METRICS_PORT": str(port), "CDL_METRICS_ADDRESS": "127.0.0.1"}
    command, environment = told(cluster, namespace, "cdl-operator", CDL_HOME=str(tmp_path / "home"), **here)
    log = tmp_path / "operator.log"
    with started(command, environment, log):
        cluster.until("the operator leads", lambda: "leading" in answer(port, "/readyz"), 60)
        leases = cluster.kubectl("get", "leases", "-n", namespace, "-o", "name")
    assert "lease.coordination.k8s.io/cdl" in leases
    assert "forbidden" not in log.read_text().lower()


def test_admission_answers_with_the_certificate_of_the_chart(cluster, namespace, release, tmp_path):
    release.install(CHART, "cdl", {})
    kept = {file: base64.b64decode(text) for file, text in secret(cluster, namespace).items()}
    for file, content in kept.items():
        (tmp_path / file).write_bytes(content)
    port, probe = free_port(), free_port()
    here = {"CDL_KUBECONFIG": str(cluster.account(namespace, "cdl-admission")), "CDL_ADMISSION_PORT": str(port)}
    here |= {"CDL_ADMISSION_CERTIFICATE": str(tmp_path / "tls.crt"), "CDL_ADMISSION_KEY": str(tmp_path / "tls.key")}
    here |= {"CDL_METRICS_PORT": str(probe), "CDL_ADMISSION_ADDRESS": "127.0.0.1"}
    command, environment = told(cluster, namespace, "cdl-admission", **here)
    trust = ssl.create_default_context(cadata=kept["ca.crt"].decode())
    host = f"cdl-admission.{namespace}.svc"
    log = tmp_path / "admission.log"
    with started(command, environment, log):
        cluster.until("admission answers its probe", lambda: answer(probe, "/healthz"), 60)
        cluster.until("admission listens", lambda: listens(port), 60)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as line,
            trust.wrap_socket(line, server_hostname=host) as secured,
        ):
            assert ("DNS", host) in secured.getpeercert()["subjectAltName"]
    assert "forbidden" not in log.read_text().lower()


# --- what follows git, with the words, the rights and the probes that the chart gives it


@pytest.fixture
def origin(tmp_path):
    made = Origin(tmp_path)
    project_in(made)
    return made


SECRET = "canary-that-is-long-enough"


def test_a_repository_is_followed_as_the_chart_says(cluster, namespace, release, teams, origin, tmp_path):
    release.install(CHART, "cdl", values_of("ci/gitops.yaml"))
    (tmp_path / "token").write_text(SECRET)
    port, hook = free_port(), free_port()
    config = cluster.account(namespace, "cdl-gitops-news")
    # In a pod nobody names a kubeconfig; here the cluster around us is kubectl's.
    here = {"KUBECONFIG": str(config), "CDL_METRICS_PORT": str(port), "CDL_HOME": str(tmp_path / "home")}
    command, environment = told(cluster, namespace, "cdl-gitops-news", **here)
    assert "CDL_KUBECONFIG" not in environment
    moved = {
        "--repo": origin.url,
        "--path": ".",
        "--branch": "main",
        "--git-token-file": str(tmp_path / "token"),
        "--webhook-token-file": str(tmp_path / "token"),
        "--webhook": f"127.0.0.1:{hook}",
    }
    words = [command[0]]
    for word in command[1:]:
        option, _, value = word.partition("=")
        words.append(f"{option}={moved.get(option, value)}" if value else word)
    assert set(moved) <= {word.partition("=")[0] for word in words}
    first = origin.push()
    log = tmp_path / "gitops.log"

    def revision(kind):
        found = json.loads(cluster.kubectl("get", kind, "-n", "team-one", "-o", "json"))["items"]
        return {item["metadata"]["annotations"]["cdl.dev/revision"] for item in found}

    with started(words, environment, log):
        cluster.until("it answers its probes", lambda: "following" in answer(port, "/healthz"), 60)
        cluster.until("it has looked at the branch", lambda: "following" in answer(port, "/readyz"), 60)
        cluster.until("the branch is applied", lambda: revision("modeldeployments") == {first}, 60)
        origin.change("resources/experiment.yaml", "epochs: 4", "epochs: 5")
        second = origin.push()
        assert knocked(hook, "wrong-and-long-enough") == 401
        assert knocked(hook, SECRET) == 202
        cluster.until("the push is applied long before its interval", lambda: revision("experiments") == {second}, 60)
        counted = answer(port, "/metrics")
    assert 'cdl_gitops_webhooks_total{outcome="refused: wrong token"} 1.0' in counted
    assert 'cdl_gitops_webhooks_total{outcome="accepted"} 1.0' in counted
    assert "forbidden" not in log.read_text().lower()
    assert SECRET not in log.read_text()
    for kind in ("modeldeployments", "experiments", "datapipelines"):
        cluster.kubectl("delete", kind, "--all", "-n", "team-one", "--wait=false")


def knocked(port, secret):
    """Knock as GitLab does; give the status."""
    headers = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", b"{}", headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as said:
            return said.status
    except urllib.error.HTTPError as error:
        return error.code
