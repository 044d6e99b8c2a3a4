"""`cdl gitops` as a process beside a forge: pushes, hooks, an outage, a kill, and no secret in anything it leaves."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cdl.local import LocalStore
from tests.wire.forge.forges import ForgeServer, commit, git, token, until

PROJECT = Path(__file__).parents[2] / "e2e" / "tiny"
HOOK = "canary-of-the-webhook"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Following:
    """The program, and what it said."""

    def __init__(self, folder, url):
        self.folder, self.home, self.port = folder, folder / "home", free_port()
        (folder / "hook").write_text(f"{HOOK}\n")
        (folder / "git").write_text(f"reader:{token('reader')}\n")
        self.log = folder / "log"
        self.command = [
            *(sys.executable, "-m", "cdl.cli", "gitops", "--repo", url, "--name", "tiny", "--interval", "600s"),
            *("--git-token-file", str(folder / "git")),
            *("--webhook", f"127.0.0.1:{self.port}", "--webhook-token-file", str(folder / "hook")),
        ]
        self.process = None

    def start(self):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "CDL_HOME": str(self.home)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=env, stdout=log, stderr=log)
        return self

    def status(self):
        path = self.home / "gitops" / "tiny" / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def applied(self, sha):
        return until(lambda: self.status().get("lastApplied") == sha)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def forge(tmp_path):
    started = ForgeServer(tmp_path / "forge" / "state").start()
    yield started
    started.stop()


@pytest.fixture
def story(forge, tmp_path):
    """A project with the tiny resources, and who follows it."""
    client = forge.client("validator")
    project = client.projects.create({"name": "tiny", "namespace_path": "team", "initialize_with_readme": True})
    following = Following(tmp_path, f"{forge.url}/team/tiny.git")
    hook = {"url": f"http://127.0.0.1:{following.port}/", "token": HOOK, "push_events": True}
    project.hooks.create(hook)
    client.session.close()
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "-q", forge.address("team/tiny", "validator"), "clone")
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    yield following, folder
    if following.process is not None and following.process.poll() is None:
        following.process.kill()
        following.process.wait(30)


def push(folder, name, content):
    sha = commit(folder, name, content)
    git(folder, "push", "-q", "origin", "HEAD:main")
    return sha


def everything(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "git")


def test_a_push_is_applied_by_its_webhook_also_after_a_kill_and_an_outage(story, forge):
    following, folder = story
    first = push(folder, "README.md", "one\n")
    following.start().applied(first)
    second = push(folder, "model/more.py", "x = 2\n")
    following.applied(second)  # the interval is ten minutes: the hook it was
    following.end(signal.SIGKILL)
    third = push(folder, "model/more.py", "x = 3\n")  # its hook finds nobody
    following.start().applied(third)
    forge.kill()
    restarted = forge.start()
    fourth = push(folder, "model/more.py", "x = 4\n")
    following.applied(fourth)
    assert restarted.url in following.status()["repository"]
    assert following.end() == 0
    store = LocalStore(following.home / "resources.db")
    generations = {d["kind"]: d["metadata"]["generation"] for d in store.documents()}
    store.close()
    assert generations == {"DataPipeline": 1, "Experiment": 4, "ModelDeployment": 1}
    left = everything(following.home) + following.log.read_bytes()
    assert HOOK.encode() not in left
    assert token("reader").encode() not in left


def test_two_hundred_webhooks_write_each_commit_once(story):
    following, folder = story
    first = push(folder, "README.md", "one\n")
    following.start().applied(first)
    said = until(following.log.read_text)
    headers = {"X-Gitlab-Token": HOOK, "X-Gitlab-Event": "Push Hook"}
    for _ in range(200):  # doubled, late and out of order are all the same to who only wakes
        connection = http.client.HTTPConnection("127.0.0.1", following.port, timeout=20)
        connection.request("POST", "/", b'{"after": "0000", "ref": "refs/heads/other"}', headers)
        assert connection.getresponse().status == 202
        connection.close()
    assert following.log.read_text() == said
    second = push(folder, "model/more.py", "x = 2\n")
    following.applied(second)
    assert [line["revision"] for line in following.status()["history"]] == [second, first]
    assert following.end() == 0


def test_a_wrong_password_is_one_sentence_without_it(story):
    following, _ = story
    (following.folder / "git").write_text("reader:canary-of-nobody\n")
    once = [*following.command[: following.command.index("--webhook")], "--once"]
    env = {"PATH": os.environ["PATH"], "HOME": str(following.folder), "CDL_HOME": str(following.home)}
    done = subprocess.run(once, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("Unreachable: git ls-remote: ")
    assert "canary-of-nobody" not in done.stdout + done.stderr
    assert b"canary-of-nobody" not in everything(following.home)


def test_a_password_in_the_address_is_nowhere_afterwards(story, forge):
    following, folder = story
    sha = push(folder, "README.md", "one\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(following.folder), "CDL_HOME": str(following.home)}
    env["GIT_TRACE"] = env["GIT_CURL_VERBOSE"] = "1"
    command = [sys.executable, "-m", "cdl.cli", "gitops", "--repo", forge.address("team/tiny", "reader"), "--once"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"Applied: {sha[:12]} is applied: 3 resources\n"), done.stderr
    assert token("reader") not in done.stdout + done.stderr
    assert token("reader").encode() not in everything(following.home)
