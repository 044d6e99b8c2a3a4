"""Branches, their provenance, and how a moved head reaches everything downstream.

A `Wave` is one write transaction: every commit that it makes carries its id. Propagation runs once, at the end.
"""

import sqlite3

from cdl.embedded.pachd import refs
from cdl.embedded.pachd.refs import AUTO, USER, Branch, Commit, Repo
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import new_id, now

CREATED = 1  # the state of a job that propagation has just made


class Wave:
    """One transaction's worth of commits under one global id."""

    def __init__(self, db: sqlite3.Connection, key: str = "") -> None:
        self.db = db
        self.id = key or new_id()
        self.at = now()
        self.commits: list[Commit] = []
        self._wanting: set[int] = set()
        self._moved: set[int] = set()

    def commit(self, branch: Branch, *, origin: int = USER, description: str = "", done: bool = False) -> Commit:
        """Make a commit at a branch's head and move the head to it."""
        return self.commit_on(branch, branch.head, origin=origin, description=description, done=done)

    def commit_on(
        self, branch: Branch, parent: int | None, *, origin: int = USER, description: str = "", done: bool = False
    ) -> Commit:
        """Make a commit on a parent of one's choice; `done` finishes it empty."""
        taken = self.db.execute(
            "SELECT 1 FROM commits WHERE repo = ? AND set_id = ?", (branch.repo, self.id)
        ).fetchone()
        if taken:
            repo = refs.repo_by_id(self.db, branch.repo)
            raise RefusedError(f"inconsistent dependencies: repo {repo} would get two commits in one commit set")
        finish = self.at if done else 0
        key = self.db.execute(
            "INSERT INTO commits (repo, set_id, parent, branch, origin, description, started, finishing, finished)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (branch.repo, self.id, parent, branch.name, origin, description, self.at, finish, finish),
        ).lastrowid
        if key is None:
            raise RefusedError("the commit could not be written")
        if done and parent is not None:  # a finished commit that changes nothing is as large as its parent
            self.db.execute(
                "UPDATE commits SET size = (SELECT size FROM commits WHERE id = ?) WHERE id = ?", (parent, key)
            )
        self.db.execute("UPDATE branches SET head = ?, updated = ? WHERE id = ?", (key, self.at, branch.id))
        self._moved.add(branch.id)
        made = refs.commit_by_id(self.db, key)
        self.commits.append(made)
        return made

    def branch(self, repo: Repo, name: str) -> Branch:
        """Find a branch or make one without a head."""
        found = refs.find_branch(self.db, repo.id, name)
        if found is not None:
            return found
        refs.check_name("branch", name)
        self.db.execute(
            "INSERT INTO branches (repo, name, created, updated) VALUES (?, ?, ?, ?)", (repo.id, name, self.at, self.at)
        )
        return self.branch(repo, name)

    def headed(self, repo: Repo, name: str) -> Branch:
        """Find a branch or make one whose head is an empty finished commit."""
        found = self.branch(repo, name)
        if found.head is None:
            self.commit(found, origin=AUTO, done=True)
        return refs.branch_by_id(self.db, found.id)

    def move(self, branch: Branch, head: Commit) -> None:
        """Move a head to a commit that is there already."""
        self.db.execute("UPDATE branches SET head = ?, updated = ? WHERE id = ?", (head.id, self.at, branch.id))
        self._moved.add(branch.id)

    def want(self, branch: Branch) -> None:
        """Let a branch with provenance have a new commit when the wave spreads."""
        self._wanting.add(branch.id)

    def depend(self, branch: Branch, upstream: list[Branch], never: frozenset[int] = frozenset()) -> bool:
        """Replace what a branch directly depends on; tell whether that changed."""
        before = {
            int(r[0])
            for r in self.db.execute("SELECT upstream FROM branch_provenance WHERE downstream = ?", (branch.id,))
        }
        after = {found.id for found in upstream}
        self.db.execute("DELETE FROM branch_provenance WHERE downstream = ?", (branch.id,))
        self.db.executemany(
            "INSERT OR REPLACE INTO branch_provenance VALUES (?, ?, ?)",
            [(branch.id, found.id, int(found.id in never)) for found in upstream],
        )
        self._check(branch)
        return before != after

    def _check(self, branch: Branch) -> None:
        """Refuse a graph with a circle, or with two branches of one repo on the way to one branch."""
        for key in [branch.id, *downstream(self.db, branch.id)]:
            above = upstream_of(self.db, key)
            if key in above:
                raise RefusedError(f"branch {spoken(self.db, key)} cannot depend on itself")
            repos: dict[int, int] = {}
            for other in [key, *above]:
                repo = refs.branch_by_id(self.db, other).repo
                if repos.setdefault(repo, other) != other:
                    raise RefusedError(
                        f"branch {spoken(self.db, key)} would depend on multiple branches from the same repo: "
                        f"{spoken(self.db, repos[repo])} and {spoken(self.db, other)}"
                    )

    def spread(self) -> None:
        """Make the commits and jobs downstream of every head that moved in this wave."""
        written = {c.repo for c in self.commits}
        reached = set(self._wanting)
        for key in self._moved | self._wanting:
            reached.update(downstream(self.db, key))
        there = {int(row[0]) for row in self.db.execute("SELECT id FROM branches")}  # one act may undo another's
        for key in sorted(reached & there, key=lambda k: (len(upstream_of(self.db, k)), k)):
            branch = refs.branch_by_id(self.db, key)
            if branch.repo not in written and (key in self._wanting or self._is_reached(key)):
                written.add(branch.repo)
                self._flow(branch)

    def _is_reached(self, key: int) -> bool:
        """Tell whether a direct upstream head moved in this wave over an edge that propagates."""
        rows = self.db.execute("SELECT upstream FROM branch_provenance WHERE downstream = ? AND NOT never", (key,))
        return any(int(row[0]) in self._moved for row in rows)

    def _flow(self, branch: Branch) -> None:
        """Make one downstream commit, with the heads it comes from, and its job if a pipeline writes there."""
        made = self.commit(branch, origin=AUTO)
        self.db.execute(
            "INSERT INTO commit_provenance SELECT ?, b.head, b.name FROM branch_provenance p"
            " JOIN branches b ON b.id = p.upstream WHERE p.downstream = ?",
            (made.id, branch.id),
        )
        self.db.execute(
            "INSERT INTO jobs (pipeline, set_id, version, output, state, created)"
            " SELECT p.id, ?, p.version, ?, ?, ? FROM pipelines p JOIN repos r ON r.project = p.project"
            " AND r.name = p.name AND r.type = 'user' WHERE r.id = ? AND p.output_branch = ?",
            (self.id, made.id, CREATED, self.at, branch.repo, branch.name),
        )


def spoken(db: sqlite3.Connection, key: int) -> str:
    """Name a branch in a sentence."""
    branch = refs.branch_by_id(db, key)
    return f"{refs.repo_by_id(db, branch.repo)}@{branch.name}"


def upstream_of(db: sqlite3.Connection, key: int) -> list[int]:
    """List every branch that one depends on, at any distance."""
    rows = db.execute(
        """WITH RECURSIVE up(id) AS (
               SELECT upstream FROM branch_provenance WHERE downstream = ?
               UNION SELECT p.upstream FROM branch_provenance p JOIN up ON p.downstream = up.id)
           SELECT id FROM up""",
        (key,),
    )
    return [int(row[0]) for row in rows]


def downstream(db: sqlite3.Connection, key: int) -> list[int]:
    """List every branch that depends on one, at any distance."""
    rows = db.execute(
        """WITH RECURSIVE down(id) AS (
               SELECT downstream FROM branch_provenance WHERE upstream = ?
               UNION SELECT p.downstream FROM branch_provenance p JOIN down ON p.upstream = down.id)
           SELECT id FROM down""",
        (key,),
    )
    return [int(row[0]) for row in rows]


def delete_branch(db: sqlite3.Connection, branch: Branch, *, force: bool) -> None:
    """Remove a branch; its commits stay."""
    rows = db.execute("SELECT downstream FROM branch_provenance WHERE upstream = ?", (branch.id,)).fetchall()
    if rows and not force:
        raise RefusedError(
            f"branch {spoken(db, branch.id)} cannot be deleted: branch {spoken(db, rows[0][0])} depends on it"
        )
    db.execute("DELETE FROM branches WHERE id = ?", (branch.id,))


def delete_repo(db: sqlite3.Connection, repo: Repo, *, force: bool) -> None:
    """Remove a repo with its branches and commits; refused while branches of others depend on it."""
    row = db.execute(
        "SELECT p.downstream FROM branch_provenance p JOIN branches u ON u.id = p.upstream"
        " JOIN branches d ON d.id = p.downstream WHERE u.repo = ? AND d.repo <> ?",
        (repo.id, repo.id),
    ).fetchone()
    if row and not force:
        raise RefusedError(f"repo {repo} cannot be deleted: branch {spoken(db, row[0])} depends on it")
    if repo.type == "user":
        for kind in ("meta", "spec"):
            other = refs.find_repo(db, refs.RepoName(repo.project, repo.name, kind))
            if other is not None:
                delete_repo(db, other, force=True)
    db.execute("DELETE FROM branches WHERE repo = ?", (repo.id,))
    db.execute("UPDATE commits SET parent = NULL WHERE repo = ?", (repo.id,))
    db.execute("DELETE FROM repos WHERE id = ?", (repo.id,))
    db.execute("INSERT OR REPLACE INTO facts VALUES ('garbage', '1')")
