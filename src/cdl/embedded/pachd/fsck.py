"""What must hold in the store whatever happened: the graph is whole, and everything that a commit names is there."""

import sqlite3
from collections.abc import Iterator

from blake3 import blake3

from cdl.embedded.pachd import graph, jobs, refs
from cdl.embedded.pachd.blobs import Blobs, Part
from cdl.embedded.pachd.layers import Layers
from cdl.embedded.pachd.refs import Branch, Commit
from cdl.embedded.pachd.refusals import RefusedError


def graph_faults(db: sqlite3.Connection) -> Iterator[str]:
    """Say where heads, parents and provenance do not agree."""
    for row in db.execute("SELECT * FROM branches ORDER BY id").fetchall():
        yield from _branch_faults(db, Branch(*row))
    torn = refs.commits(db, "c WHERE EXISTS (SELECT 1 FROM commits p WHERE p.id = c.parent AND p.repo <> c.repo)")
    for commit in torn:
        yield f"the parent of commit {refs.spoken(db, commit)} lies in another repo"
    for row in db.execute("PRAGMA foreign_key_check").fetchall():
        yield f"a row of {row[0]} names something in {row[2]} that is not there"


def _branch_faults(db: sqlite3.Connection, branch: Branch) -> Iterator[str]:
    """A head lies in the branch's repo, and comes from the heads that the branch depends on."""
    name = graph.spoken(db, branch.id)
    head = refs.find_commit(db, branch.head) if branch.head is not None else None
    if head is None:
        yield f"branch {name} has no head"
        return
    if head.repo != branch.repo:
        yield f"the head of branch {name} lies in another repo: {refs.spoken(db, head)}"
    rows = db.execute(
        "SELECT b.id FROM branch_provenance p JOIN branches b ON b.id = p.upstream WHERE p.downstream = ?"
        " AND NOT p.never AND b.head NOT IN (SELECT upstream FROM commit_provenance WHERE downstream = ?)",
        (branch.id, head.id),
    )
    for row in rows.fetchall():
        yield f"the head of branch {name} does not come from the head of {graph.spoken(db, int(row[0]))}"


def content_faults(db: sqlite3.Connection, blobs: Blobs) -> Iterator[str]:
    """Say which content is missing or is not what its name says. Any thread, with a connection of its own."""
    for digest, size in db.execute("SELECT DISTINCT digest, size FROM changes WHERE kind IN ('put', 'set')").fetchall():
        part = Part(bytes(digest), int(size))
        try:
            sound = not size or _is_sound(db, blobs, part)
        except RefusedError as error:
            yield error.text
            continue
        if not sound:
            yield f"content {part.digest.hex()} ({size} bytes) has been changed in the store"


def _is_sound(db: sqlite3.Connection, blobs: Blobs, part: Part) -> bool:
    found = blake3()
    for piece in blobs.pieces((part,), db=db):
        found.update(piece)
    return found.digest() == part.digest


def zombies(db: sqlite3.Connection, layers: Layers, commit: Commit) -> Iterator[str]:
    """Say which files of a job's output come from a datum that the job does not have."""
    for job in jobs.select(db, "WHERE output = ?", (commit.id,)):
        known = {row.id for row in jobs.datums(db, job.id)}
        left = {tag for tags in layers.tree(commit.id).values() for tag in tags} - known
        for tag in sorted(left):
            yield (f"commit {refs.spoken(db, commit)} contains output from datum {tag} which should have been deleted")
