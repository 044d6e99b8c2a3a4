"""`cdl gitops --merge-requests` beside a forge: opened, pushed, rewritten, closed, out of reach, and no secret left."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from cdl.local import LocalStore
from tests.wire.drivers.deaf import Deaf
from tests.wire.forge.forges import ForgeServer, commit, git, token, until
from tests.wire.gitops.test_gitops_forge import HOOK, PROJECT, everything, free_port

YAML = "resources/experiment.yaml"


class Following:
    """The program, what it said, and what it made."""

    def __init__(self, folder, repository, forge):
        self.folder, self.home, self.port = folder, folder / "home", free_port()
        (folder / "hook").write_text(f"{HOOK}\n")
        (folder / "git").write_text(f"reader:{token('reader')}\n")
        self.log = folder / "log"
        self.interval = "600s"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CDL_HOME": str(self.home),
            "CDL_FORGE": forge,
            "CDL_FORGE_TOKEN": token("platform"),
            "CDL_FORGE_PROJECTS": "team/other, team/tiny",
        }
        self.command = [
            *(sys.executable, "-m", "cdl.cli", "gitops", "--repo", repository, "--name", "tiny", "-n", "production"),
            *("--interval", "600s", "--forge-project", "team/tiny", "--merge-requests"),
            *("--git-token-file", str(folder / "git")),
            *("--webhook", f"127.0.0.1:{self.port}", "--webhook-token-file", str(folder / "hook")),
        ]
        self.process = None

    def start(self):
        command = [self.interval if word == "600s" else word for word in self.command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        until(self.listens)
        return self

    def listens(self):
        try:
            return self.knock("/healthz", "GET", {}) == 200
        except OSError:
            assert self.process.poll() is None, self.log.read_text()
            return False

    def knock(self, path="/", method="POST", headers=None):
        given = {"X-Gitlab-Token": HOOK, "X-Gitlab-Event": "Merge Request Hook"} if headers is None else headers
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, b'{"object_kind": "merge_request"}' if method == "POST" else None, given)
            return connection.getresponse().status
        finally:
            connection.close()

    def experiments(self):
        """By namespace, the commit that each Experiment is of, and how often it changed."""
        if not (self.home / "resources.db").exists():
            return {}
        store = LocalStore(self.home / "resources.db")
        try:
            found = [document["metadata"] for document in store.documents("Experiment")]
        finally:
            store.close()
        return {m["namespace"]: (m["annotations"]["cdl.dev/revision"], m["generation"]) for m in found}

    def until(self, namespace, sha):
        try:
            return until(lambda: self.experiments().get(namespace, ("",))[0] == sha)
        except AssertionError:
            raise AssertionError(self.log.read_text()) from None

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def forge(tmp_path):
    started = ForgeServer(tmp_path / "forge" / "state").start()
    yield started
    started.stop()


@pytest.fixture
def deaf(forge):
    with Deaf(f"127.0.0.1:{forge.port}").running() as between:
        yield between


class Team:
    """A project, and a clone in which a developer works."""

    def __init__(self, forge, folder, following):
        self.following = following
        self.folder = folder / "clone"
        self.client = forge.client("validator")
        fields = {"name": "tiny", "namespace_path": "team", "initialize_with_readme": True}
        self.project = self.client.projects.create(fields)
        events = {"push_events": True, "merge_requests_events": True}
        self.project.hooks.create({"url": f"http://127.0.0.1:{following.port}/", "token": HOOK, **events})
        git(folder, "clone", "-q", forge.address("team/tiny", "validator"), "clone")
        shutil.copytree(PROJECT, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        git(self.folder, "checkout", "-q", "-B", "main")
        self.main = self.push("main", "README.md", "one\n")

    def push(self, branch, name, content, *words):
        known = git(self.folder, "rev-parse", "--verify", "-q", f"refs/heads/{branch}", check=False).returncode == 0
        git(self.folder, "checkout", "-q", *(() if known else ("-b",)), branch, *(() if known else ("main",)))
        sha = commit(self.folder, name, content)
        git(self.folder, "push", "-q", *words, "origin", f"HEAD:{branch}")
        return sha

    def trials(self, branch, count, *words):
        text = (PROJECT / YAML).read_text().replace("max_trials: 3", f"max_trials: {count}")
        return self.push(branch, YAML, text, *words)

    def statuses(self, sha):
        return self.project.commits.get(sha, lazy=True).statuses.list(get_all=True)

    def proposed(self, branch):
        fields = {"source_branch": branch, "target_branch": "main", "title": f"Draft: {branch}"}
        return self.project.mergerequests.create(fields)


@pytest.fixture
def team(forge, deaf, tmp_path):
    following = Following(tmp_path, f"{forge.url}/team/tiny.git", deaf.url)
    team = Team(forge, tmp_path, following)
    yield team
    team.client.session.close()
    if following.process is not None and following.process.poll() is None:
        following.process.kill()
        following.process.wait(30)


def test_a_merge_request_is_previewed_for_as_long_as_it_is_open(team, forge):
    following = team.following.start()
    following.until("production", team.main)
    first = team.trials("wider", 4)
    review = team.proposed("wider")
    following.until("tiny-mr-1", first)  # the interval is ten minutes: the hook it was
    for _ in range(200):  # doubled, late and out of order are all the same to who only wakes
        assert following.knock() == 202
    second = team.trials("wider", 5)
    following.until("tiny-mr-1", second)
    git(team.folder, "reset", "-q", "--hard", first)
    third = team.trials("wider", 6, "--force")
    following.until("tiny-mr-1", third)
    assert following.experiments()["tiny-mr-1"] == (third, 3)  # three heads, three wishes
    following.end(signal.SIGKILL)
    review.state_event = "close"
    review.save()  # its hook finds nobody
    following.start()
    until(lambda: set(following.experiments()) == {"production"})
    review.state_event = "reopen"
    review.save()
    following.until("tiny-mr-1", third)
    assert following.experiments()["production"] == (team.main, 1)
    until(lambda: "cdl/sync/tiny-mr-1" in {status.name for status in team.statuses(third)})
    assert following.end() == 0
    told = [note.body for note in review.notes.list(get_all=True)] + [str(s.attributes) for s in team.statuses(third)]
    left = everything(following.home) + following.log.read_bytes() + "".join(told).encode()
    for secret in (HOOK, token("reader"), token("platform")):
        assert secret.encode() not in left


def test_without_a_single_webhook_the_interval_finds_everything(team):
    team.project.hooks.list(get_all=True)[0].delete()
    team.following.interval = "1s"
    following = team.following.start()
    first = team.trials("wider", 4)
    review = team.proposed("wider")
    following.until("tiny-mr-1", first)
    other = team.trials("other", 5)
    team.proposed("other")
    following.until("tiny-mr-2", other)
    git(team.folder, "push", "-q", "origin", "--delete", "other")  # its merge request is open, and knows its commit
    review.state_event = "close"
    review.save()
    until(lambda: set(following.experiments()) == {"production", "tiny-mr-2"})
    assert following.experiments()["tiny-mr-2"] == (other, 1)
    assert following.end() == 0


def test_a_forge_that_does_not_answer_delays_no_branch_and_takes_nothing_away(team, deaf):
    following = team.following.start()
    first = team.trials("wider", 4)
    team.proposed("wider")
    following.until("tiny-mr-1", first)
    deaf.refuse = 10_000
    second = team.push("main", "model/more.py", "x = 2\n")
    following.until("production", second)
    until(
        lambda: (
            "merge requests: merge requests into main: GitLab answers 502; previews stay" in following.log.read_text()
        )
    )
    assert set(following.experiments()) == {"production", "tiny-mr-1"}
    deaf.refuse = 0
    third = team.trials("wider", 5)
    following.until("tiny-mr-1", third)
    assert following.end() == 0


def test_who_has_no_right_knocks_in_vain_and_a_token_that_is_void_is_said(team):
    following = team.following
    following.environment["CDL_FORGE_TOKEN"] = "canary-of-nobody"
    team.trials("wider", 4)
    team.proposed("wider")
    following.start()
    following.until("production", team.main)
    until(lambda: "previews stay as they are" in following.log.read_text())
    for headers in ({}, {"X-Gitlab-Token": "canary-of-nobody"}, {"X-Gitlab-Token": HOOK[:-1]}):
        assert following.knock(headers={**headers, "X-Gitlab-Event": "Merge Request Hook"}) == 401
    assert following.end() == 0
    assert set(following.experiments()) == {"production"}
    assert b"canary-of-nobody" not in everything(following.home) + following.log.read_bytes()
    following.environment["CDL_FORGE_TOKEN"] = token("platform")
    done = subprocess.run(
        [*following.command[: following.command.index("--webhook")], "--once"],
        env=following.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "!1 Applied: " in done.stdout
    assert set(following.experiments()) == {"production", "tiny-mr-1"}


def test_a_signal_looks_now_and_a_file_makes_it_rest(team):
    following = team.following.start()
    following.until("production", team.main)
    rests = following.home / "gitops" / "tiny" / "suspend"
    rests.touch()
    following.process.send_signal(signal.SIGHUP)
    status = following.home / "gitops" / "tiny" / "status.json"
    until(lambda: status.exists() and json.loads(status.read_text())["state"] == "Suspended")
    second = team.push("main", "model/more.py", "x = 2\n")
    rests.unlink()
    following.process.send_signal(signal.SIGHUP)
    following.until("production", second)
    assert following.end() == 0
