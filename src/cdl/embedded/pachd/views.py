"""Rows as the wire shows them. Handles of commits leave without their branch, as the real server strips it."""

import sqlite3
from datetime import UTC, datetime

from cdl.embedded.pachd import graph, refs, remarks, triggers, wire
from cdl.embedded.pachd.refs import Branch, Commit, Repo
from cdl.embedded.pachd.remarks import About
from cdl.embedded.pachd.trees import Entry
from cdl.embedded.pachd.wire import Msg

FILE, DIR = 1, 2


def stamp(nanoseconds: int) -> Msg:
    """Make a timestamp; None, which leaves the field unset, for what has not happened."""
    if not nanoseconds:
        return None
    return {"seconds": nanoseconds // 10**9, "nanos": nanoseconds % 10**9}


def span(nanoseconds: int) -> Msg:
    """Make a duration."""
    return {"seconds": nanoseconds // 10**9, "nanos": nanoseconds % 10**9}


def spoken_time(nanoseconds: int) -> str:
    """Write a moment down for people."""
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).isoformat()


def project_info(db: sqlite3.Connection, name: str) -> Msg:
    """Describe a project that is known to be there."""
    row = db.execute("SELECT description, created FROM projects WHERE name = ?", (name,)).fetchone()
    return wire.pfs.ProjectInfo(
        project={"name": name},
        description=row[0],
        created_at=stamp(row[1]),
        metadata=remarks.read(db, About("project", name)),
    )


def repo(row: Repo) -> Msg:
    """Make a repo's handle."""
    return wire.pfs.Repo(name=row.name, type=row.type, project={"name": row.project})


def branch(db: sqlite3.Connection, row: Branch) -> Msg:
    """Make a branch's handle."""
    return wire.pfs.Branch(repo=repo(refs.repo_by_id(db, row.repo)), name=row.name)


def commit(db: sqlite3.Connection, row: Commit, *, named: bool = False) -> Msg:
    """Make a commit's handle; `named` keeps the branch, which only few places show."""
    owner = repo(refs.repo_by_id(db, row.repo))
    made = wire.pfs.Commit(repo=owner, id=row.set_id)
    if named:
        made.branch.CopyFrom(wire.pfs.Branch(repo=owner, name=row.branch))
    return made


def repo_info(db: sqlite3.Connection, row: Repo) -> Msg:
    """Describe a repo; its size is that of master's newest finished commit."""
    branches = [Branch(*r) for r in db.execute("SELECT * FROM branches WHERE repo = ? ORDER BY id DESC", (row.id,))]
    size = 0
    master = next((b for b in branches if b.name == "master"), None)
    if master is not None and master.head is not None:
        line = refs.lineage(db, refs.commit_by_id(db, master.head))
        size = next((c.size for c in line if c.finished), 0)
    return wire.pfs.RepoInfo(
        repo=repo(row),
        created=stamp(row.created),
        size_bytes_upper_bound=size,
        description=row.description,
        branches=[branch(db, b) for b in branches],
        details={"size_bytes": size},
        metadata=remarks.read(db, About("repo", row.id)),
    )


def branch_info(db: sqlite3.Connection, row: Branch) -> Msg:
    """Describe a branch with everything that it depends on and that depends on it."""
    direct = db.execute("SELECT upstream, never FROM branch_provenance WHERE downstream = ?", (row.id,)).fetchall()

    def handles(keys: list[int]) -> list[Msg]:
        return [branch(db, refs.branch_by_id(db, key)) for key in keys]

    return wire.pfs.BranchInfo(
        branch=branch(db, row),
        head=commit(db, refs.commit_by_id(db, row.head)) if row.head is not None else None,
        provenance=handles(graph.upstream_of(db, row.id)),
        subvenance=handles(graph.downstream(db, row.id)),
        direct_provenance=handles([int(r[0]) for r in direct]),
        branch_propagation_specs=[
            {"branch": branch(db, refs.branch_by_id(db, int(r[0]))), "propagation_spec": {"never": True}}
            for r in direct
            if r[1]
        ],
        trigger=triggers.find(db, row.id),
        metadata=remarks.read(db, About("branch", row.id)),
        created_at=stamp(row.created),
        updated_at=stamp(row.updated),
    )


def commit_info(db: sqlite3.Connection, row: Commit) -> Msg:
    """Describe a commit."""
    parent = refs.commit_by_id(db, row.parent) if row.parent is not None else None
    children = refs.commits(db, "WHERE parent = ? ORDER BY id", (row.id,))
    above = refs.commits(db, "WHERE id IN (SELECT upstream FROM commit_provenance WHERE downstream = ?)", (row.id,))
    below = refs.commits(db, "WHERE id IN (SELECT downstream FROM commit_provenance WHERE upstream = ?)", (row.id,))
    return wire.pfs.CommitInfo(
        commit=commit(db, row),
        origin={"kind": row.origin},
        description=row.description,
        parent_commit=commit(db, parent) if parent else None,
        child_commits=[commit(db, c) for c in children],
        started=stamp(row.started),
        finishing=stamp(row.finishing),
        finished=stamp(row.finished),
        direct_provenance=[commit(db, c, named=True) for c in above],
        direct_subvenance=[commit(db, c, named=True) for c in below],
        error=row.error,
        size_bytes_upper_bound=row.size,
        details={"size_bytes": row.size} if row.finished else None,
        metadata=remarks.read(db, About("commit_id", row.id)),
        created_at=stamp(row.started),
        updated_at=stamp(row.finished or row.finishing or row.started),
    )


def file_info(handle: Msg, row: Commit, entry: Entry) -> Msg:
    """Describe a file or directory of a commit whose handle is given once for all."""
    return wire.pfs.FileInfo(
        file={"commit": handle, "path": entry.path, "datum": entry.tag},
        file_type=DIR if entry.is_dir else FILE,
        committed=stamp(row.finishing),
        size_bytes=entry.size,
        hash=entry.digest,
    )
