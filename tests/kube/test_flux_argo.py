"""Flux or Argo CD instead of `cdl gitops`: neither can be had here, so their rules read what our operators leave.

The folder is built by kustomize and applied on the server's side as Flux does; what it reads is kstatus, and what
Argo CD reads are the scripts of manifests/argocd.
"""

import json

import pytest
import yaml
from click.testing import CliRunner

from cdl.cli import main
from tests.architecture.tree import ROOT
from tests.kube.platform_up import KINDS
from tests.unit.gitops.gitops_rig import PROJECT
from tests.unit.kube.argocd import application, health, runtime
from tests.unit.reconcile.kstatus import CURRENT, FAILED, IN_PROGRESS, read

FLUX = "kustomize-controller"
CASES = {case.name: case for case in sorted((ROOT / "use_cases").iterdir()) if (case / "resources").is_dir()}


def built(cluster, documents, folder):
    """What kustomize makes of a folder without a kustomization of its own; Flux writes it one."""
    folder.mkdir(exist_ok=True)
    for document in documents:
        (folder / f"{document['kind'].lower()}.yaml").write_text(yaml.safe_dump(document))
    files = sorted(path.name for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": files}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(head))
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", folder)))


def by_kind(documents):
    return {document["kind"]: document for document in documents}


@pytest.mark.parametrize("case", CASES)
def test_kustomize_makes_of_a_folder_what_cdl_renders(cluster, tmp_path, monkeypatch, case):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    project = tmp_path / "project" / "resources"
    project.mkdir(parents=True)
    for path in sorted((CASES[case] / "resources").glob("*.yaml")):
        (project / path.name).write_text(path.read_text().replace("file:../", "https://artifacts.example/"))
    documents = [yaml.safe_load(path.read_text()) for path in sorted(project.glob("*.yaml"))]
    assert "file:" not in str([document["spec"].get("code") for document in documents])
    done = CliRunner().invoke(main, ["render", str(project.parent)])
    assert done.exit_code == 0, done.output
    rendered = by_kind(yaml.safe_load_all(done.stdout))
    assert len(rendered) == 3
    assert by_kind(built(cluster, documents, tmp_path / "flux")) == rendered


@pytest.fixture
def synced(platform, tmp_path):
    """A folder that a pipeline committed for Flux, code packed where the operators find it, and the syncing of it."""
    namespace = "synced"
    platform.up()
    platform.kubectl("create", "namespace", namespace)
    yield Synced(platform, namespace, tmp_path)
    platform.delete(namespace)
    platform.kubectl("delete", "namespace", namespace)


class Synced:
    """What Flux does with a folder, and what it and Argo CD read meanwhile."""

    def __init__(self, platform, namespace, folder):
        self.platform, self.namespace, self.folder = platform, namespace, folder / "committed"
        self.documents = list(yaml.safe_load_all(platform.rendered(PROJECT)))
        self.lua = runtime()

    def sync(self):
        """Apply the folder as Flux does."""
        built(self.platform, self.documents, self.folder)
        return self.platform.kubectl("apply", *self._as_flux())

    def drift(self):
        """What Flux would correct at its next interval: nothing, unless somebody writes what git names."""
        return self.platform.run("diff", *self._as_flux()).stdout

    def _as_flux(self):
        return ("--server-side", f"--field-manager={FLUX}", "-n", self.namespace, "-k", self.folder)

    def there(self):
        kinds = ",".join(KINDS)
        listed = json.loads(self.platform.kubectl("get", kinds, "-n", self.namespace, "-o", "json"))
        return listed["items"]

    def until(self, wanted, argo):
        """Look until both read so, and give every reading on the way, of each kind."""
        seen = []

        def both():
            documents = self.there()
            found = {d["kind"]: (read(d), health(self.lua, d)[0]) for d in documents}
            if not seen or seen[-1] != found:
                seen.append(found)
            for document in documents:
                self.not_fooled(document)
            return {r for r, _ in found.values()} == wanted and application(self.lua, documents) == argo

        self.platform.until(f"{wanted} and {argo}", both)
        return seen

    def not_fooled(self, document):
        """Whoever reads it as done or healthy reads what is true of the newest spec."""
        status = document.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions", ())}
        fresh = status.get("observedGeneration") == document["metadata"]["generation"]
        ready = fresh and conditions.get("Ready", {}).get("status") == "True"
        assert (read(document) == CURRENT) == ready, document
        assert (health(self.lua, document)[0] in {"Healthy", "Suspended"}) == ready, document

    def change(self, kind, **spec):
        (document,) = (d for d in self.documents if d["kind"] == kind)
        document["spec"] = {**document["spec"], **spec}
        return self.sync()


def test_a_folder_is_synced_and_its_health_is_what_it_is_meant_to_be(synced):
    (experiment,) = (d for d in synced.documents if d["kind"] == "Experiment")
    gates = experiment["spec"]["evaluation"]["gates"]
    experiment["spec"]["evaluation"] = {"gates": [{"metric": "loss", "max": 0.0}]}
    assert synced.sync().count("serverside-applied") == 3
    seen = synced.until({CURRENT, IN_PROGRESS, FAILED}, "Degraded")
    assert {found["Experiment"][0] for found in seen} == {IN_PROGRESS, FAILED}
    assert FAILED not in {found[kind][0] for found in seen for kind in ("DataPipeline", "ModelDeployment")}

    synced.change("Experiment", evaluation={"gates": gates})
    seen = synced.until({CURRENT}, "Healthy")
    assert FAILED not in {reading for found in seen for reading, _ in found.values()}, "work is no failure"
    assert synced.drift() == "", "what operators write is nobody's drift"
    release = json.loads(synced.platform.kubectl("get", "releases.cdl.dev", "-n", synced.namespace, "-o", "json"))
    (one,) = release["items"]
    assert (read(one), health(synced.lua, one)) == (CURRENT, ("Healthy", "Approved"))

    synced.change("ModelDeployment", suspend=True)
    synced.until({CURRENT}, "Suspended")
    synced.change("ModelDeployment", suspend=False)
    synced.until({CURRENT}, "Healthy")
    assert synced.drift() == ""
