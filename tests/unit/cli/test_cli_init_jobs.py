"""The jobs that a new project brings along, as they are written; tests/e2e runs them."""

from __future__ import annotations

import re

import click
import pytest
import yaml

from cdl.cli import main
from tests.architecture.tree import ROOT

FOLDER = ROOT / "pipelines" / "gitlab"
PROJECT = ROOT / "templates" / "every" / "dot-gitlab-ci.yml"


class Reference(list):
    """`!reference [job, key]`."""


class Loader(yaml.SafeLoader):
    """Knows GitLab's one tag."""


Loader.add_constructor("!reference", lambda loader, node: Reference(loader.construct_sequence(node)))
FILES = {path.name: yaml.load(path.read_text(), Loader) for path in FOLDER.glob("*.yml")}  # noqa: S506 - a safe one
PARENT = {name: part for file, document in FILES.items() if file != "images.yml" for name, part in document.items()}
SHARED = {"stages", "workflow", "variables", "default"}
JOBS = {name: job for name, job in PARENT.items() if name not in SHARED and not name.startswith(".")}


def lines(job):
    return [line for key in ("before_script", "script", "after_script") for line in job.get(key, ())]


def test_a_project_includes_every_part_and_the_shared_one_first():
    included = [entry["local"] for entry in yaml.safe_load(PROJECT.read_text())["include"]]
    assert included[0] == "/.gitlab/cdl/pipeline.yml"
    assert {path.rpartition("/")[2] for path in included} == FILES.keys() - {"images.yml"}
    assert {path.rpartition("/")[0] for path in included} == {"/.gitlab/cdl"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_a_stage_and_needs_what_there_is(name):
    job = JOBS[name]
    assert job["stage"] in {*PARENT["stages"], ".pre"}
    assert set(job.get("needs", ())) <= JOBS.keys()
    assert job.get("extends", ".cdl-dev") in PARENT
    for line in lines(job):
        if isinstance(line, Reference):
            assert lines(PARENT[line[0]])


def test_what_jobs_say_to_cdl_exists():
    said = [line for part in PARENT.values() if isinstance(part, dict) for line in lines(part) if isinstance(line, str)]
    verbs = set(re.findall(r"(?:^|; |then |> )cdl ([a-z]+)", "\n".join(said), re.MULTILINE))
    assert {"validate", "plan", "apply", "wait", "export", "get", "run", "predict"} <= verbs
    assert verbs <= set(main.list_commands(click.Context(main)))


def test_what_writes_to_a_place_is_alone_there_and_not_cut_short():
    writers = [job for job in JOBS.values() if any("cdl apply" in line for line in lines(job) if isinstance(line, str))]
    assert len(writers) == 3  # dev, production, and production by schedule
    for job in writers:
        assert job["resource_group"].startswith("$CI_PROJECT_ID-")
        assert job["interruptible"] is False
        assert job["environment"]["url"] == "$CDL_URL"
        assert any("--yes" in line for line in lines(job) if isinstance(line, str))


def test_nothing_is_privileged_and_no_tag_moves():
    text = "\n".join(path.read_text() for path in FOLDER.glob("*.yml"))
    assert not re.search(r"docker:|dind|privileged: true|:latest", text)
    assert '--tag "$CI_REGISTRY_IMAGE:$CI_COMMIT_SHA"' in text


def test_the_page_names_every_job_and_variable():
    page = (ROOT / "docs" / "how-to" / "gitlab-ci.md").read_text()
    variables = set(re.findall(r"CDL_[A-Z_]+", "\n".join(path.read_text() for path in FOLDER.glob("*.yml"))))
    theirs = {"CDL_KUBECONFIG", "CDL_HOME", "CDL_USER", "CDL_URL", "CDL_MODEL", "CDL_BUILT_IMAGE"}
    assert {name for name in (*JOBS, *variables - theirs) if f"`{name}`" not in page} == set()
