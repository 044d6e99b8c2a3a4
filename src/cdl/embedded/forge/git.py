"""One bare repository, asked through the git program; whatever a client names is resolved to an id first."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ZERO = "0" * 40
SHA = re.compile(r"[0-9a-f]{40}")
LARGE = 200_000
"""Characters of a file's diff beyond which it is not shown."""
FORMAT = "%x1e%H%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B"
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
}


class GitError(Exception):
    """Git refused; the message is what it said."""


@dataclass(frozen=True)
class Commit:
    """A commit as the log tells it."""

    sha: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str

    @property
    def title(self) -> str:
        """The first line."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True)
class Change:
    """What happened to a file between two trees."""

    old_path: str
    new_path: str
    old_mode: str
    new_mode: str
    status: str
    text: str


class Repository:
    """A bare repository."""

    def __init__(self, folder: Path) -> None:
        """Speak of this folder."""
        self.folder = folder

    def run(self, *words: str, given: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run git and give what it says.

        Raises:
            GitError: it refused.
        """
        command = ["git", "--git-dir", str(self.folder), *words]
        done = subprocess.run(command, input=given, capture_output=True, env=ENVIRONMENT | dict(env or {}), check=False)
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip() or f"git {words[0]} failed")
        return done.stdout

    def text(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Run git and give what it says as text."""
        return self.run(*words, env=env).decode(errors="replace").strip()

    def create(self, default: str) -> None:
        """Make the repository."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # Not --git-dir: git would take the folder for one that is there already.
        words = ["git", "init", "--quiet", "--bare", f"--initial-branch={default}", str(self.folder)]
        subprocess.run(words, check=True, capture_output=True, env=ENVIRONMENT)
        for name, value in (("http.receivepack", "true"), ("uploadpack.allowAnySHA1InWant", "true")):
            self.run("config", name, value)

    def resolve(self, name: str) -> str:
        """Give the commit a branch, tag or id leads to; empty: none."""
        if not name or name.startswith("-"):
            return ""
        exact = name.startswith("refs/") or SHA.fullmatch(name)
        for full in (name,) if exact else (f"refs/heads/{name}", f"refs/tags/{name}", name):
            try:
                return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{full}^{{commit}}")
            except GitError:
                continue
        return ""

    def refs(self, below: str = "refs/heads") -> dict[str, str]:
        """Give refs by their full name with the commits they lead to."""
        said = self.text("for-each-ref", "--format=%(objectname)%00%(*objectname)%00%(refname)", below)
        found = [line.split("\0") for line in said.splitlines()]
        return {name: peeled or sha for sha, peeled, name in found}

    def log(self, start: str, *, stop: str = "", path: str = "", limit: int = 0, skip: int = 0) -> list[Commit]:
        """Give commits that lead to `start` and not to `stop`, newest first."""
        words = ["log", f"--format={FORMAT}", start, *([f"^{stop}"] if stop else [])]
        words += [f"--max-count={limit}"] if limit else []
        words += [f"--skip={skip}"] if skip else []
        said = self.run(*words, "--", *([path] if path else [])).decode(errors="replace")
        return [_commit(entry) for entry in said.split("\x1e")[1:]]

    def commit(self, sha: str) -> Commit:
        """Give one commit."""
        return self.log(sha, limit=1)[0]

    def count(self, start: str, *, stop: str = "", path: str = "") -> int:
        """Count commits."""
        words = ["rev-list", "--count", start, *([f"^{stop}"] if stop else []), "--", *([path] if path else [])]
        return int(self.text(*words))

    def base(self, one: str, other: str) -> str:
        """Give the newest commit that both come from; empty: none."""
        return _known(self.folder, "base", one, other)

    def leads_to(self, old: str, new: str) -> bool:
        """Say whether `new` comes from `old`."""
        return bool(old) and _known(self.folder, "leads to", old, new) == old

    def tree(self, sha: str, path: str = "", *, recursive: bool = False) -> list[tuple[str, str, str, str]]:
        """Give (mode, type, id, path) of what lies at a path."""
        words = ["ls-tree", "-z", "--full-tree", *(["-r", "-t"] if recursive else []), sha]
        wanted = path.strip("/")
        said = self.run(*words, "--", *([f"{wanted}/"] if wanted else [])).decode(errors="replace")
        lines = [line.split("\t", 1) for line in said.split("\0") if line]
        found = [(*facts.split(), name) for facts, name in lines if name != wanted]
        return [(mode, kind, blob, name) for mode, kind, blob, name in found]

    def blob(self, sha: str, path: str) -> tuple[str, str, bytes] | None:
        """Give mode, id and content of a file; None: there is none."""
        if not (wanted := path.strip("/")):
            return None
        said = self.run("ls-tree", "-z", "--full-tree", sha, "--", f":(literal){wanted}").decode(errors="replace")
        entries = [line.split("\t", 1) for line in said.split("\0") if line]
        for facts, name in entries:
            mode, kind, blob = facts.split()
            if name == wanted and kind == "blob":
                return mode, blob, self.run("cat-file", "blob", blob)
        return None

    def diff(self, old: str, new: str) -> list[Change]:
        """Say what changed between two commits; an empty `old` stands for nothing at all."""
        before = old or self.text("hash-object", "-t", "tree", os.devnull)
        raw = self.run("diff", "--raw", "-z", "-M", "--no-abbrev", before, new).decode(errors="replace").split("\0")
        patch = self.run("diff", "--patch", "-M", "--no-color", "--no-ext-diff", before, new).decode(errors="replace")
        texts = re.split(r"^diff --git .*\n", patch, flags=re.MULTILINE)[1:]
        return [_change(*entry, text) for entry, text in zip(_raw(raw), texts, strict=False)]

    def touched(self, sha: str) -> tuple[list[str], list[str], list[str]]:
        """Give the files that a commit added, modified and removed."""
        words = ["diff-tree", "--root", "-r", "-z", "--no-commit-id", "--name-status", "--no-renames", sha]
        parts = self.run(*words).decode(errors="replace").split("\0")
        pairs = list(zip(parts[::2], parts[1::2], strict=False))
        added, removed = ([name for status, name in pairs if status == wanted] for wanted in ("A", "D"))
        return added, [name for status, name in pairs if status not in {"A", "D"}], removed

    def move(self, ref: str, new: str, old: str) -> None:
        """Point a ref elsewhere if it still points to `old`; ZERO: it is not there.

        Raises:
            GitError: somebody was faster.
        """
        if new == ZERO:
            self.run("update-ref", "-d", ref, old)
        else:
            self.run("update-ref", ref, new, old)

    def archive(self, sha: str, form: str, prefix: str, path: str = "") -> bytes:
        """Pack the files of a commit."""
        return self.run("archive", f"--format={form}", f"--prefix={prefix}/", sha, *([path] if path else []))

    @contextmanager
    def index(self, start: str) -> Iterator[dict[str, str]]:
        """Give the environment of an index of its own, filled from a commit."""
        with tempfile.TemporaryDirectory() as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.run("read-tree", start or "--empty", env=env)
            yield env

    def record(
        self, tree: str, parents: Sequence[str], message: str, who: tuple[str, str], by: tuple[str, str] | None = None
    ) -> str:
        """Make a commit and give its id."""
        made = by or who
        env = {"GIT_AUTHOR_NAME": who[0], "GIT_AUTHOR_EMAIL": who[1]}
        env |= {"GIT_COMMITTER_NAME": made[0], "GIT_COMMITTER_EMAIL": made[1]}
        words = ["commit-tree", tree, *(word for parent in parents for word in ("-p", parent))]
        return self.run(*words, given=message.encode(), env=env).decode().strip()

    def merged_tree(self, ours: str, theirs: str) -> str:
        """Give the tree of a merge; empty: the two do not go together."""
        return _known(self.folder, "merge", ours, theirs)


QUESTIONS = {"base": ("merge-base",), "leads to": ("merge-base",), "merge": ("merge-tree", "--write-tree")}


@functools.lru_cache(maxsize=10_000)
def _known(folder: Path, question: str, one: str, other: str) -> str:
    """Answer what is true of two commits for ever; a question costs a process, and lists ask it of each entry."""
    try:
        return Repository(folder).text(*QUESTIONS[question], one, other).splitlines()[0]
    except GitError:
        return ""


def _commit(entry: str) -> Commit:
    sha, parents, an, ae, at, cn, ce, ct, message = entry.split("\x1f", 8)
    return Commit(sha, tuple(parents.split()), (an, ae, at), (cn, ce, ct), message.rstrip("\n") + "\n")


def _raw(parts: Sequence[str]) -> Iterator[tuple[str, str, str, str, str]]:
    """Read `git diff --raw -z`: old path, new path, old mode, new mode, status."""
    rest = iter(parts)
    for facts in rest:
        if not facts.startswith(":"):
            continue
        old_mode, new_mode, _, _, status = facts[1:].split()
        path = next(rest)
        yield path, next(rest) if status[0] in "RC" else path, old_mode, new_mode, status[0]


def _change(old_path: str, new_path: str, old_mode: str, new_mode: str, status: str, text: str) -> Change:
    start = text.find("@@ ")
    if start < 0:
        start = max(text.find("Binary files"), -1)
    return Change(old_path, new_path, old_mode, new_mode, status, text[start:] if start >= 0 else "")
