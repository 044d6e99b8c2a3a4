"""Rows by name: how a request's handles become repos, branches and commits."""

import re
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from cdl.embedded.pachd.refusals import RefusedError, invalid, missing
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.wire import Msg

USER, AUTO = 1, 2
_UUID = re.compile(r"[0-9a-f]{12}4[0-9a-f]{19}")
_ANCESTRY = re.compile(r"(?P<name>[^~^]+?)(?:\.(?P<root>\d+))?(?P<up>(?:[~^]\d*)*)")


class Repo(NamedTuple):
    """A repository."""

    id: int
    project: str
    name: str
    type: str
    description: str
    created: int

    def __str__(self) -> str:
        return f"{self.project}/{self.name}" + ("" if self.type == "user" else f".{self.type}")


class Branch(NamedTuple):
    """A branch; its head is absent only inside the transaction that makes it."""

    id: int
    repo: int
    name: str
    head: int | None
    created: int
    updated: int


class Commit(NamedTuple):
    """A commit; `finishing` and `finished` are 0 until they happen."""

    id: int
    repo: int
    set_id: str
    parent: int | None
    branch: str
    origin: int
    description: str
    error: str
    started: int
    finishing: int
    finished: int
    size: int


class RepoName(NamedTuple):
    """What identifies a repo."""

    project: str
    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.project}/{self.name}" + ("" if self.type == "user" else f".{self.type}")


_COMMIT = (
    "SELECT id, repo, set_id, parent, branch, origin, description, error, started, finishing, finished, size"
    " FROM commits "
)


def repo_name(message: Msg) -> RepoName:
    """Read a repo's name, with the defaults for project and type; a nameless repo is refused."""
    if not message.name:
        raise invalid("a repo must be named: repo.name is empty")
    return RepoName(message.project.name or "default", message.name, message.type or "user")


def find_repo(db: sqlite3.Connection, name: RepoName) -> Repo | None:
    """Look for a repo."""
    row = db.execute("SELECT * FROM repos WHERE project = ? AND name = ? AND type = ?", name).fetchone()
    return Repo(*row) if row else None


def repo(db: sqlite3.Connection, message: Msg) -> Repo:
    """Find a repo or refuse."""
    name = repo_name(message)
    found = find_repo(db, name)
    if found is None:
        raise missing(f"repo {name} not found")
    return found


def repo_by_id(db: sqlite3.Connection, key: int) -> Repo:
    """Read a repo that is known to be there."""
    return Repo(*db.execute("SELECT * FROM repos WHERE id = ?", (key,)).fetchone())


def find_branch(db: sqlite3.Connection, repo_id: int, name: str) -> Branch | None:
    """Look for a branch."""
    row = db.execute("SELECT * FROM branches WHERE repo = ? AND name = ?", (repo_id, name)).fetchone()
    return Branch(*row) if row else None


def branch(db: sqlite3.Connection, message: Msg) -> Branch:
    """Find a branch or refuse."""
    if not message.name:
        raise invalid("a branch must be named: branch.name is empty")
    owner = repo(db, message.repo)
    found = find_branch(db, owner.id, message.name)
    if found is None:
        raise missing(f"branch {owner}@{message.name} not found")
    return found


def branch_by_id(db: sqlite3.Connection, key: int) -> Branch:
    """Read a branch that is known to be there."""
    return Branch(*db.execute("SELECT * FROM branches WHERE id = ?", (key,)).fetchone())


def commit_by_id(db: sqlite3.Connection, key: int) -> Commit:
    """Read a commit that is known to be there."""
    return Commit(*db.execute(_COMMIT + "WHERE id = ?", (key,)).fetchone())


def find_commit(db: sqlite3.Connection, key: int) -> Commit | None:
    """Look for a commit that may have been removed meanwhile."""
    row = db.execute(_COMMIT + "WHERE id = ?", (key,)).fetchone()
    return Commit(*row) if row else None


def commits(db: sqlite3.Connection, where: str, values: tuple[object, ...] = ()) -> list[Commit]:
    """Read commits by a condition of ours."""
    return [Commit(*row) for row in db.execute(_COMMIT + where, values)]


def is_id(text: str) -> bool:
    """Tell whether a text is a global id rather than a branch's name."""
    return _UUID.fullmatch(text) is not None


def repo_of_commit(db: sqlite3.Connection, message: Msg) -> Repo:
    """Find a commit's repo, which stands in one of two places."""
    return repo(db, message.repo if message.repo.name else message.branch.repo)


def commit(db: sqlite3.Connection, message: Msg) -> Commit:
    """Find the commit that a handle means: an id, a branch, either with an ancestry, or a set's alias."""
    owner = repo_of_commit(db, message)
    text = message.id or message.branch.name
    if not text:
        raise invalid(f"a commit in repo {owner} must be named by an id or a branch: both are empty")
    parsed = _ANCESTRY.fullmatch(text)
    if parsed is None:
        raise invalid(f"commit {owner}@{text} cannot be read; write an id or a branch, then ^, ~ or .N")
    found = _start(db, owner, parsed["name"])
    if parsed["root"] is not None:
        found = _from_root(db, found, int(parsed["root"]), f"{owner}@{text}")
    for step in re.findall(r"[~^]\d*", parsed["up"]):
        found = ancestor(db, found, int(step[1:] or 1), f"{owner}@{text}")
    return found


def _start(db: sqlite3.Connection, owner: Repo, name: str) -> Commit:
    """Find the commit that a handle starts from."""
    if is_id(name):
        return in_set(db, owner, name)
    found = find_branch(db, owner.id, name)
    if found is None:
        raise missing(f"branch {owner}@{name} not found")
    if found.head is None:
        raise missing(f"branch {owner}@{name} has no commit: its head was not found")
    return commit_by_id(db, found.head)


def in_set(db: sqlite3.Connection, owner: Repo, set_id: str) -> Commit:
    """Find a repo's commit in a set, or the one that the set depends on."""
    rows = commits(db, "WHERE repo = ? AND set_id = ?", (owner.id, set_id))
    if rows:
        return rows[0]
    aliases = [c for c in provenance_of_set(db, set_id) if c.repo == owner.id]
    if not aliases:
        raise missing(f"commit {owner}@{set_id} not found")
    return aliases[-1]


def provenance_of_set(db: sqlite3.Connection, set_id: str) -> list[Commit]:
    """Read a set's commits and all that they depend on, oldest first, which is topological order."""
    return commits(
        db,
        """WHERE id IN (WITH RECURSIVE up(id) AS (
               SELECT id FROM commits WHERE set_id = ?
               UNION SELECT p.upstream FROM commit_provenance p JOIN up ON p.downstream = up.id)
             SELECT id FROM up) ORDER BY id""",
        (set_id,),
    )


def ancestor(db: sqlite3.Connection, found: Commit, steps: int, text: str) -> Commit:
    """Go up a commit's parents."""
    for _ in range(steps):
        if found.parent is None:
            raise missing(f"commit {text} not found: the history is not that long")
        found = commit_by_id(db, found.parent)
    return found


def _from_root(db: sqlite3.Connection, found: Commit, number: int, text: str) -> Commit:
    line = list(lineage(db, found))
    if not 1 <= number <= len(line):
        raise missing(f"commit {text} not found: the branch has {len(line)} commits, counted from 1")
    return line[-number]


def lineage(db: sqlite3.Connection, start: Commit) -> Iterator[Commit]:
    """Read a commit and its ancestors, newest first, one by one: a history can be long."""
    found: Commit | None = start
    while found is not None:
        yield found
        found = find_commit(db, found.parent) if found.parent is not None else None


def spoken(db: sqlite3.Connection, found: Commit) -> str:
    """Name a commit in a sentence."""
    return f"{repo_by_id(db, found.repo)}@{found.set_id}"


def project(db: sqlite3.Connection, name: str) -> str:
    """Check that a project is there; an empty name means the default one."""
    wanted = name or "default"
    if db.execute("SELECT 1 FROM projects WHERE name = ?", (wanted,)).fetchone() is None:
        raise missing(f"project {wanted} not found")
    return wanted


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a repo, branch or project."""
    return re.fullmatch(r"[a-zA-Z0-9_-]+", text) is not None


def check_name(kind: str, name: str) -> str:
    """Refuse a name with characters that Pachyderm does not allow."""
    if not is_name(name):
        raise RefusedError(f"{kind} name {name!r} is not allowed: use letters, digits, '-' and '_'")
    return name


def make_repo(db: sqlite3.Connection, name: RepoName, description: str) -> Repo:
    """Write a new repo down."""
    db.execute(
        "INSERT INTO repos (project, name, type, description, created) VALUES (?, ?, ?, ?, ?)",
        (*name, description, now()),
    )
    found = find_repo(db, name)
    if found is None:
        raise RefusedError(f"repo {name} could not be written")
    return found
