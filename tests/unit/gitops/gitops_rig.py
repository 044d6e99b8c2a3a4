"""A repository with a small project, a home, and somebody who follows it."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from cdl.cli.following import renderer
from cdl.gitops.controller import Controller
from cdl.gitops.git import Address, Limits
from cdl.gitops.mirror import Mirror
from cdl.gitops.previews import Followed, Means, Previews
from cdl.gitops.record import Book, Record
from cdl.gitops.subject import Subject
from cdl.local import LocalStore
from cdl.reconcile.gitops import Policy
from cdl.settings import Settings
from cdl.testing.memory import MemoryForge

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

    def branch(self, name, message="Propose", who="grace"):
        """Commit what is there to a branch of its own, push it whatever it was before, and come back."""
        git(self.work, "checkout", "-q", "-B", name)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message, who=who)
        git(self.work, "push", "-q", "--force", "origin", f"HEAD:{name}")
        sha = git(self.work, "rev-parse", "HEAD")
        git(self.work, "checkout", "-q", "main")
        return sha

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
    project: str = ""
    limits: Limits = field(default_factory=Limits)

    @property
    def place(self):
        return self.home / "gitops" / NAME

    def again(self, **other):
        address = Address.of(self.origin.url)
        mirror = other.pop("mirror", None) or Mirror(self.place / "mirror.git", address, dict(os.environ), self.limits)
        blank = Record(project=NAME, repository=address.url, branch="main", path=self.path)
        return Controller(
            Subject("main", self.path, other.pop("policy", self.policy), self.namespace, self.project),
            mirror,
            other.pop("store", self.store),
            renderer(Settings(home=self.home)),
            Book(self.place / "status.json", blank),
            self.place,
            lambda: "2026-01-01T00:00:00Z",
        )

    def look(self, **other):
        return self.again(**other).look()


@dataclass
class Previewed:
    """Who follows the merge requests beside a follower; the forge is one in memory that knows real commits."""

    follower: Follower
    forge: MemoryForge = field(default_factory=MemoryForge)
    most: int = 10
    rooms: list = field(default_factory=list)

    def again(self, **other):
        one = self.follower
        main = Subject("main", one.path, one.policy, one.namespace, "team/tiny")
        address = Address.of(one.origin.url)
        blank = Record(project=NAME, repository=address.url, branch="main", path=one.path)
        mirror = Mirror(one.place / "previews" / "mirror.git", address, dict(os.environ), one.limits)
        means = Means(
            other.get("forge", self.forge),
            other.get("mirror", mirror),
            other.get("store", one.store),
            renderer(Settings(home=one.home)),
            one.place,
            lambda: "2026-01-01T00:00:00Z",
            self.rooms.append,
        )
        return Previews(Followed(main, blank, self.most), means)

    def look(self, **other):
        return self.again(**other).look()

    def open(self, branch, sha, **more):
        """Open a merge request and give its number."""
        seen = self.forge.propose(branch, sha)
        self.change(seen.number, **more)
        return seen.number

    def change(self, number, **more):
        review = self.forge.reviews[number]
        review.seen = replace(review.seen, **more)

    def there(self):
        """Everything that is stored, by namespace."""
        found = {}
        for document in self.follower.store.documents():
            found.setdefault(document["metadata"].get("namespace", "default"), []).append(document["kind"])
        return {namespace: sorted(kinds) for namespace, kinds in found.items()}

    def notes(self, number, kind="Experiment"):
        """The annotations of what a merge request has of a kind."""
        (found,) = self.follower.store.documents(kind, f"{NAME}-mr-{number}")
        return found["metadata"]["annotations"]


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
