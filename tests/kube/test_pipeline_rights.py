"""A GitLab job's kubeconfig: made as docs/how-to/gitlab-ci.md says, good for what the jobs do and for nothing else."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest
import yaml

from cdl.kube import rbac
from cdl.testing import builders
from tests.architecture.tree import ROOT
from tests.unit.gitops.gitops_rig import PROJECT

PAGE = ROOT / "docs" / "how-to" / "gitlab-ci.md"
SECTION = re.compile(r"^## A kubeconfig that may apply.*?^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
CDL = re.compile(r"^ +- (?:release=.*|(cdl (?:apply|get|wait|plan|export) .*?)(?: +#.*)?)$", re.MULTILINE)
COMMIT = "a" * 40


def shell(script, folder, **environment):
    program = ("bash", "-euc", script)
    env = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), **environment}
    return subprocess.run(program, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def kubeconfig(cluster, namespace, tmp_path):
    """What the page's commands leave behind, in a namespace of the test's own."""
    text = yaml.safe_dump_all(d for d in rbac.documents() if d["metadata"]["name"] == "cdl-pipeline")
    cluster.apply(text)
    (page,) = SECTION.findall(PAGE.read_text())
    commands = re.sub(r"^\$ ", "", page, flags=re.MULTILINE).replace("--namespace news", f"--namespace {namespace}")
    script = commands.replace("news:pipeline", f"{namespace}:pipeline")
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {cluster.program} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    # A kubeconfig such as clusters give: with the authority's certificate in it.
    view = cluster.kubectl("config", "view", "--raw", "--flatten")
    (tmp_path / "mine").write_text(view)
    done = shell(script, tmp_path, KUBECONFIG=str(tmp_path / "mine"))
    assert done.returncode == 0, done.stdout + done.stderr
    yield tmp_path / "ci.kubeconfig"
    cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=text)


@pytest.fixture
def project(tmp_path, namespace):
    """A project that goes into the namespace."""
    folder = shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "resources").glob("*.yaml"):
        path.write_text(path.read_text().replace("{name: tiny}", f"{{name: tiny, namespace: {namespace}}}", 1))
    return folder


def jobs():
    """What the jobs that reach a cluster say to `cdl`, in their order."""
    files = ("plan.yml", "deploy.yml", "pipeline.yml", "retrain.yml")
    texts = [(ROOT / "pipelines" / "gitlab" / file).read_text() for file in files]
    said = [line for text in texts for line in CDL.findall(text) if line]
    return list(dict.fromkeys(said))


def test_a_job_does_its_work_with_it_and_uses_all_of_it(cluster, namespace, kubeconfig, project):
    release = builders.release_document()
    cluster.apply(yaml.safe_dump(release), "-n", namespace)
    name = release["metadata"]["name"]
    home = project.parent / "home"
    (project / "report").mkdir()
    (project.parent / "bin" / "cdl").write_text(f'#!/bin/sh\nexec {sys.executable} -m cdl.cli "$@"\n')
    (project.parent / "bin" / "cdl").chmod(0o700)
    told = {"CDL_KUBECONFIG": str(kubeconfig), "CDL_HOME": str(home), "CDL_NAMESPACE": namespace, "CDL_MODEL": "tiny"}
    told |= {"CI_COMMIT_SHA": COMMIT, "CDL_PATIENCE": "0", "release": name}
    lines = jobs()
    assert {line.split()[1] for line in lines} == {"apply", "get", "wait", "plan", "export"}
    for line in lines:
        done = shell(f"cd project && {line}", project.parent, **told)
        # Nobody trains here: a wait runs out of patience, and the papers of a made-up Release are nowhere.
        assert done.returncode in ({0} if line.split()[1] in {"apply", "get", "plan"} else {0, 1, 3}), done.stderr
        assert "forbidden" not in (done.stdout + done.stderr).lower(), line
    found = json.loads(cluster.kubectl("get", "experiment", "tiny", "-n", namespace, "-o", "json"))
    assert found["metadata"]["annotations"]["cdl.dev/revision"] == COMMIT

    who = f"system:serviceaccount:{namespace}:pipeline"
    mine = (event for event in cluster.audit() if event["user"]["username"] == who)
    asked = [event for event in mine if "resource" in event.get("objectRef", {})]
    assert [e["requestURI"] for e in asked if e["responseStatus"]["code"] == 403] == []
    assert [e["requestURI"] for e in asked if not rbac.covers("pipeline", e)] == []
    used = {(event["objectRef"]["resource"], event["verb"]) for event in asked}
    granted = {(kind, verb) for row in rbac.PIPELINE for kind in row.resources for verb in row.verbs}
    # What makes something is told as `patch`, and needs `create` all the same: tests/kube/test_gitops_kube.py.
    assert granted - used == {(kind, "create") for kind in rbac.WISHES}


def test_it_is_good_for_nothing_else(cluster, namespace, kubeconfig):
    release = builders.release_document()
    cluster.apply(yaml.safe_dump_all([release, builders.experiment_document()]), "-n", namespace)

    def refused(*words):
        done = cluster.run(*words, as_=kubeconfig)
        assert done.returncode, words
        return "forbidden" in done.stderr.lower()

    here = ("-n", namespace)
    name, digest = release["metadata"]["name"], release["spec"]["digest"]
    assert refused("delete", "experiment", "news", *here)
    assert refused("annotate", "releases.cdl.dev", name, f"cdl.dev/approved-digest={digest}", *here)
    status = '{"status":{"observedGeneration":1}}'
    assert refused("patch", "experiment", "news", "--subresource=status", "--type=merge", "-p", status, *here)
    assert refused("get", "secrets", *here)
    assert refused("get", "pods", *here)
    assert refused("get", "experiments", "-n", "default")
    assert refused("create", "token", "pipeline", *here)
    assert cluster.run("get", "experiments", *here, as_=kubeconfig).returncode == 0
