"""The pipelines of a new project, run for real by gitlab-ci-local, which also holds them against GitLab's schema."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cdl.api.meta import APPLIED_BY_ANNOTATION

VERSION = "4.65.1"
"""The last that runs on Node 18 and 20; later ones bring a Node of their own."""
RSYNC = Path(__file__).with_name("rsync.py")
CANARY = "canary-5e1d0f-of-a-protected-variable"
PROTECTED = ("CDL_FORGE_TOKEN", "CDL_S3_SECRET_KEY", "CDL_PACHD_TOKEN")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="session")
def gitlab_ci_local():
    """The program, installed once into the cache; said aloud, for it takes a while the first time."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed, and gitlab-ci-local needs them")
    root = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(root) if root.startswith("/") else Path.home() / ".cache") / "cdl" / f"gitlab-ci-local-{VERSION}"
    program = folder / "node_modules" / ".bin" / "gitlab-ci-local"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            print(f"installing gitlab-ci-local {VERSION} into {folder}", file=sys.__stderr__, flush=True)
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, f"gitlab-ci-local@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
            if done.returncode != 0:
                pytest.skip(f"npm could not install gitlab-ci-local: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return program


class Project:
    """A new project with a remote that looks like GitLab's."""

    def __init__(self, folder, program):
        self.folder, self._program = folder / "news", program
        tools = folder / "tools"
        tools.mkdir()
        self._tool(tools / "cdl", '-m cdl.cli "$@"')
        self._tool(tools / "python", '"$@"')
        if shutil.which("rsync") is None:
            self._tool(tools / "rsync", f'{RSYNC} "$@"')
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("CDL_", "CI_", "GIT_"))}
        self.environment = {**ours, "PATH": f"{tools}:{ours['PATH']}", "HOME": str(folder), "NO_COLOR": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.org"}
        self.run("cdl", "init", "news", "--template", "text", "--into", self.folder)
        self.git("remote", "add", "origin", "git@gitlab.example.org:team/news.git")
        nothing = self.git("commit-tree", self.git("mktree"), "-m", "before the first push")
        self.main_was(nothing)

    def _tool(self, path, words):
        path.write_text(f"#!/bin/sh\nexec {sys.executable} {words}\n")
        path.chmod(0o755)

    def run(self, *words, cwd=None, timeout=280):
        done = subprocess.run(
            words,
            cwd=cwd or self.folder.parent,
            env=self.environment,
            input="",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode, COLOURS.sub("", done.stdout + done.stderr)

    def git(self, *words):
        status, said = self.run("git", *words, cwd=self.folder)
        assert status == 0, said
        return said.strip()

    def main_was(self, commit):
        """Say where the default branch was before this push: gitlab-ci-local compares with that."""
        self.git("update-ref", "refs/remotes/origin/main", commit)
        self.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")

    def edit(self, file, before, after):
        path = self.folder / file
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
        self.git("commit", "--quiet", "--all", "-m", f"Change {file}")

    def pipeline(self, *words):
        """Run a pipeline; give its status, what it printed, and how each job ended."""
        status, said = self.run(self._program, "--force-shell-executor", *words, cwd=self.folder)
        ended = dict(reversed(found) for found in re.findall(r"^ (PASS|FAIL|WARN) +([\w-]+) *$", said, re.MULTILINE))
        return status, said, ended

    def jobs(self, *words):
        """Name the jobs that a pipeline would have."""
        status, said = self.run(
            self._program, "--list-json", "--ignore-predefined-vars=CI_PIPELINE_SOURCE", *words, cwd=self.folder
        )
        assert status == 0, said
        return {j["name"] for j in json.loads(said[said.index("[") : said.rindex("]") + 1]) if j["when"] != "never"}


@pytest.fixture
def project(tmp_path, gitlab_ci_local):
    made = Project(tmp_path, gitlab_ci_local)
    yield made
    if (made.folder / ".cdl-ci").exists():  # of a pipeline that did not come to its end
        made.run("env", "CDL_HOME=.cdl-ci/rehearsal", "cdl", "stop", cwd=made.folder)


def test_the_first_pipeline_is_green_and_says_what_it_leaves_out(project):
    protected = [word for name in PROTECTED for word in ("--variable", f"{name}={CANARY}")]
    with (project.folder / ".gitlab-ci.yml").open("a") as pipeline:
        pipeline.write('\nsecrets-arrive:\n  stage: test\n  script: test "$CDL_FORGE_TOKEN$CDL_PACHD_TOKEN" != ""\n')
    project.git("commit", "--quiet", "--all", "-m", "Ask whether protected variables reach a job")
    status, said, ended = project.pipeline(*protected)
    assert status == 0, said
    assert ended == dict.fromkeys(("outlook", "validate", "test", "secrets-arrive", "rehearse", "plan"), "PASS")
    assert "json schema validated" in said
    for line in (
        r"images +skipped: there is no Dockerfile",
        r"apply-dev,evaluate,report +skipped: neither CDL_DEV_KUBECONFIG nor CDL_DEV_HOME is set",
        r"apply-production +skipped: neither CDL_PRODUCTION_KUBECONFIG nor CDL_PRODUCTION_HOME is set",
    ):
        assert re.search(line, said), said
    report = project.folder / "report"
    (released,) = json.loads((report / "release.json").read_text())
    assert released["spec"]["members"]["git"]["commit"] == project.git("rev-parse", "HEAD")
    assert (report / "model-card.md").read_text().startswith("# news, version 1")
    assert len((report / "release.intoto.jsonl").read_text().splitlines()) == 2
    assert json.loads((project.folder / "plan.json").read_text())
    assert (project.folder / "plan.md").read_text().startswith("## Plan\n")
    assert project.git("status", "--porcelain") == ""
    assert CANARY not in said
    kept = [path for path in project.folder.rglob("*") if path.is_file() and ".gitlab-ci-local" not in path.parts]
    assert report / "model-card.md" in kept
    assert [path.name for path in kept if CANARY.encode() in path.read_bytes()] == []


def test_a_wrong_resource_ends_in_validate_with_the_sentence(project):
    project.edit("resources/experiment.yaml", "min: 0.9", "min: high")
    status, said, ended = project.pipeline()
    assert status == 1
    assert ended["validate"] == "FAIL"
    assert {"rehearse", "plan"} & ended.keys() == set()
    assert re.search(r"validate +> Error: .*experiment.yaml: spec.evaluation.gates\[0\].min: .*'high'", said), said


def test_a_change_of_the_readme_plans_nothing(project):
    project.main_was(project.git("rev-parse", "HEAD"))
    project.git("switch", "--quiet", "--create", "words")
    project.edit("README.md", "# news", "# News")
    everywhere = ("--variable", "CDL_DEV_HOME=/nowhere", "--variable", "CDL_PRODUCTION_HOME=/nowhere")
    assert project.jobs(*everywhere) == {"outlook", "validate", "test"}
    project.edit("model/classifier.py", "STEPS = 50", "STEPS = 60")
    whole = {"outlook", "validate", "test", "rehearse", "plan", "apply-dev", "evaluate", "report"}
    assert project.jobs(*everywhere) == whole
    request = ("--variable", "CI_PIPELINE_SOURCE=merge_request_event", "--unset-variable", "CI_COMMIT_BRANCH")
    assert project.jobs(*everywhere, *request) == whole


def test_what_may_never_change_is_refused_in_a_merge_request(project):
    base = project.git("rev-parse", "HEAD")
    project.edit("resources/experiment.yaml", "model: {name", "suspend: false\n  model: {name")
    kept = project.pipeline("validate", "--variable", f"CI_MERGE_REQUEST_DIFF_BASE_SHA={base}")
    assert kept[0] == 0, kept[1]
    project.edit("resources/experiment.yaml", 'model: {name: "news"}', 'model: {name: "olds"}')
    status, said, _ = project.pipeline("validate", "--variable", f"CI_MERGE_REQUEST_DIFF_BASE_SHA={base}")
    assert status == 1
    assert "experiment.yaml: spec.model.name" in said, said


def test_an_image_is_built_by_commit_and_its_digest_written_down(project):
    project.main_was(project.git("rev-parse", "HEAD"))
    tool = project.folder.parent / "tools" / "buildah"
    digest = "sha256:" + "a1" * 32
    tool.write_text(
        f'#!/bin/sh\necho "$@" >> {tool}.calls\n'
        f'test "$1" != login || cat > {tool}.password\n'
        f'test "$1" != push || {{ test "$2" = --digestfile && printf %s {digest} > "$3"; }}\n'
    )
    tool.chmod(0o755)
    (project.folder / "Dockerfile").write_text("FROM scratch\n")
    project.git("add", "Dockerfile")
    project.git("commit", "--quiet", "-m", "Have an image")
    image = "local-registry.gitlab.example.org/team/news"  # what gitlab-ci-local says for CI_REGISTRY_IMAGE
    project.environment["CI_REGISTRY_PASSWORD"] = "canary-word"  # a child is told no --variable
    status, said, _ = project.pipeline("--variable", "CDL_BUILDER_IMAGE=a/builder")
    assert status == 0, said
    assert f"CDL_BUILT_IMAGE={image}@{digest}" in said
    sha = project.git("rev-parse", "HEAD")
    calls = Path(f"{tool}.calls").read_text()
    assert f"push --digestfile report/image.digest {image}:{sha}\n" in calls
    assert Path(f"{tool}.password").read_text() == "canary-word"
    assert "canary-word" not in calls + said
    assert "images" not in project.jobs()


@pytest.mark.slow
def test_branches_go_to_dev_merges_to_production_and_schedules_train_again(project, tmp_path):
    home, data = tmp_path / "home", tmp_path / "data"
    project.environment |= {"CDL_DATA": str(data), "OMP_NUM_THREADS": "1"}
    project.run("python", project.folder / "synthetic.py", data / "news")
    up = "from cdl.cli.platform import bring_up; from cdl.cli.context import settings_of; bring_up(settings_of())"
    started = project.run("env", f"CDL_HOME={home}", "python", "-c", up)
    assert started[0] == 0, started[1]
    try:
        _the_way_to_production(project, home, data)
    finally:
        project.run("env", f"CDL_HOME={home}", "cdl", "stop")


def _the_way_to_production(project, home, data):
    def known(kind):
        return json.loads(project.run("env", f"CDL_HOME={home}", "cdl", "get", kind, "-o", "json")[1])

    project.main_was(project.git("rev-parse", "HEAD"))
    project.git("switch", "--quiet", "--create", "more-steps")
    project.edit("model/classifier.py", "STEPS = 50", "STEPS = 60")
    status, said, ended = project.pipeline(
        "--variable", f"CDL_DEV_HOME={home}", "--variable", "CDL_REHEARSE=no", "--concurrency", "2"
    )
    assert status == 0, said
    wanted = ("outlook", "validate", "test", "rehearse", "plan", "apply-dev", "evaluate", "report")
    assert ended == dict.fromkeys(wanted, "PASS"), said
    (released,) = known("release")
    assert released["spec"]["members"]["git"]["commit"] == project.git("rev-parse", "HEAD")
    assert known("experiment")[0]["metadata"]["annotations"][APPLIED_BY_ANNOTATION] == "local"
    assert (project.folder / "report" / "model-card.md").is_file()

    project.git("switch", "--quiet", "main")
    project.git("merge", "--quiet", "--no-ff", "-m", "Take more steps", "more-steps")
    there = ("--variable", f"CDL_PRODUCTION_HOME={home}", "--variable", "CDL_REHEARSE=no")
    status, said, ended = project.pipeline(*there)
    assert status == 0, said
    assert ended["apply-production"] == "PASS"
    (served,) = known("modeldeployment")
    assert (project.folder / "report" / "address.env").read_text() == f"CDL_URL={served['status']['url']}\n"
    planned = json.loads((project.folder / "plan.json").read_text())
    assert {stage["verdict"] for one in planned["resources"] for stage in one["stages"]} == {"reuse"}
    assert [one["metadata"]["name"] for one in known("release")] == ["news-1"]

    project.main_was(project.git("rev-parse", "HEAD"))
    project.run("python", project.folder / "synthetic.py", data / "news", "--seed", "9")
    status, said, ended = project.pipeline(*there, "--variable", "CI_PIPELINE_SOURCE=schedule")
    assert status == 0, said
    assert ended.keys() == {"outlook", "validate", "test", "retrain"}
    assert len(known("release")) == 2
