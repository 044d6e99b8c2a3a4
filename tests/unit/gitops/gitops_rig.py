"""A repository with a small project, a home, and somebody who follows it."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cdl.cli.gitops import renderer
from cdl.gitops.controller import Controller, Subject
from cdl.gitops.git import Address, Limits
from cdl.gitops.mirror import Mirror
from cdl.gitops.record import Book, Record
from cdl.local import LocalStore
from cdl.reconcile.gitops import Policy
from cdl.settings import Settings

PROJECT = Path(__file__).parents[2] / "e2e" / "tiny"
NAME = "tiny"


def git(folder, *words, who="ada"):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": who, f"GIT_{role}_EMAIL": f"{who}@example.org"}
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Origin:
    """A bare repository and a clone that people work in."""

    def __init__(self, folder):
        self.bare, self.work = folder / "origin.git", folder / "work"
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(folder, "init", "-q", "-b", "main", str(self.work))
        git(self.work, "remote", "add", "origin", str(self.bare))

    @property
    def url(self):
        return self.bare.as_uri()

    def write(self, name, content):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def change(self, name, old, new):
        path = self.work / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def push(self, message="Change", who="ada", *words):
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message, who=who)
        git(self.work, "push", "-q", *words, "origin", "HEAD:main")
        return git(self.work, "rev-parse", "HEAD")


@dataclass
class Follower:
    """A controller and what it works on; `again` is the same after a restart."""

    origin: Origin
    home: Path
    store: object
    policy: Policy = field(default_factory=lambda: Policy(NAME))
    path: str = "."
    namespace: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def place(self):
        return self.home / "gitops" / NAME

    def again(self, **other):
        address = Address.of(self.origin.url)
        mirror = other.pop("mirror", None) or Mirror(self.place / "mirror.git", address, dict(os.environ), self.limits)
        blank = Record(project=NAME, repository=address.url, branch="main", path=self.path)
        return Controller(
            Subject("main", self.path, other.pop("policy", self.policy), self.namespace),
            mirror,
            other.pop("store", self.store),
            renderer(Settings(home=self.home)),
            Book(self.place / "status.json", blank),
            self.place,
            lambda: "2026-01-01T00:00:00Z",
        )

    def look(self, **other):
        return self.again(**other).look()


def project_in(origin):
    shutil.copytree(PROJECT, origin.work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def follower(folder):
    origin = Origin(folder)
    project_in(origin)
    home = folder / "home"
    home.mkdir()
    return Follower(origin, home, LocalStore(home / "resources.db", "cdl-gitops"))


def stored(store):
    """What is there, without what counts writes."""
    return {
        (d["kind"], d["metadata"]["name"]): (d["metadata"]["generation"], d["metadata"]["annotations"])
        for d in store.documents()
    }
