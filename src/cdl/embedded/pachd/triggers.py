"""Triggers: a branch that follows another of its repo, when enough has come together there."""

import re
import sqlite3

from cdl.embedded.pachd import clock, refs, wire
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.refs import Branch, Commit
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.wire import Msg

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp])?i?b?", re.IGNORECASE)
_LETTERS = " kmgtp"


def size_of(text: str) -> int:
    """Read a size such as `100M`; the letters stand for powers of 1000."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise RefusedError(f"trigger.size {text!r} is not a size such as 100M")
    return int(float(found[1]) * 1000 ** _LETTERS.index((found[2] or " ").lower()))


def find(db: sqlite3.Connection, branch: int) -> Msg:
    """Read a branch's trigger; None when it has none."""
    row = db.execute("SELECT body FROM triggers WHERE branch = ?", (branch,)).fetchone()
    return wire.pfs.Trigger.FromString(row[0]) if row else None


def watcher_of(db: sqlite3.Connection, branch: Branch) -> str:
    """Name a branch that is triggered by one; empty when there is none."""
    row = db.execute(
        "SELECT b.name FROM triggers t JOIN branches b ON b.id = t.branch WHERE b.repo = ? AND t.watched = ?",
        (branch.repo, branch.name),
    ).fetchone()
    return str(row[0]) if row else ""


def replace(db: sqlite3.Connection, branch: Branch, trigger: Msg, *, depends: bool) -> None:
    """Give a branch another trigger, or none."""
    db.execute("DELETE FROM triggers WHERE branch = ?", (branch.id,))
    if trigger is None or not trigger.ListFields():
        return
    if depends:
        raise RefusedError(f"branch {branch.name} cannot have both provenance and a trigger")
    _check(db, branch, trigger)
    db.execute("INSERT INTO triggers VALUES (?, ?, ?)", (branch.id, trigger.branch, trigger.SerializeToString()))


def _check(db: sqlite3.Connection, branch: Branch, trigger: Msg) -> None:
    if not trigger.branch:
        raise RefusedError("a trigger must name the branch that it watches: trigger.branch is empty")
    if trigger.commits < 0:
        raise RefusedError(f"trigger.commits is {trigger.commits}; it cannot be negative")
    if trigger.cron_spec and (trigger.size or trigger.commits or trigger.rate_limit_spec):
        raise RefusedError("trigger.cron_spec cannot be used together with size, commits or rate_limit_spec")
    if trigger.size:
        size_of(trigger.size)
    for spec in (trigger.cron_spec, trigger.rate_limit_spec):
        if spec:
            clock.schedule(spec)
    watched = trigger.branch
    while watched != branch.name:
        above = refs.find_branch(db, branch.repo, watched)
        next_trigger = find(db, above.id) if above is not None else None
        if next_trigger is None:
            return
        watched = next_trigger.branch
    raise RefusedError(f"branch {branch.name} cannot be triggered by itself: triggers must not form a loop")


def fire(db: sqlite3.Connection, commit: Commit) -> None:
    """Let a commit that finished without error move the branches that have waited for it, chains included."""
    wave = Wave(db)
    moved = [commit.branch]
    for watched in moved:
        for branch, trigger in _watching(db, commit.repo, watched):
            if not trigger.cron_spec and branch.name not in moved and _is_due(db, trigger, branch, commit):
                wave.move(branch, commit)
                moved.append(branch.name)
    wave.spread()


def _watching(db: sqlite3.Connection, repo: int, watched: str) -> list[tuple[Branch, Msg]]:
    rows = db.execute(
        "SELECT b.id, t.body FROM triggers t JOIN branches b ON b.id = t.branch"
        " WHERE b.repo = ? AND t.watched = ? ORDER BY b.id",
        (repo, watched),
    ).fetchall()
    return [(refs.branch_by_id(db, int(key)), wire.pfs.Trigger.FromString(body)) for key, body in rows]


def _is_due(db: sqlite3.Connection, trigger: Msg, branch: Branch, new: Commit) -> bool:
    """Tell whether any condition holds, or all of them where the trigger says so."""
    old = refs.find_commit(db, branch.head) if branch.head is not None else None
    if old is not None and old.id >= new.id:
        return False
    found: list[bool] = []
    if trigger.size:
        found.append(new.size - (old.size if old else 0) >= size_of(trigger.size))
    if trigger.rate_limit_spec:
        after = clock.schedule(trigger.rate_limit_spec).after(old.finishing if old else 0)
        found.append(after is not None and after < new.finishing)
    if trigger.commits:
        found.append(_between(db, old, new) >= trigger.commits)
    return all(found) if trigger.all else any(found)


def _between(db: sqlite3.Connection, old: Commit | None, new: Commit) -> int:
    """Count the commits that came since; the empty one with which a branch begins is none."""
    count = 0
    for commit in refs.lineage(db, new):
        if old is not None and commit.id == old.id:
            break
        count += not (commit.parent is None and commit.origin == refs.AUTO)
    return count


def on_the_clock(db: sqlite3.Connection) -> list[tuple[Branch, Msg]]:
    """List the branches that move by the clock, with their triggers."""
    rows = db.execute("SELECT branch, body FROM triggers ORDER BY branch").fetchall()
    found = [(refs.branch_by_id(db, int(key)), wire.pfs.Trigger.FromString(body)) for key, body in rows]
    return [(branch, trigger) for branch, trigger in found if trigger.cron_spec]


def tick(db: sqlite3.Connection, branch: Branch, trigger: Msg) -> None:
    """Move a branch to the newest finished commit of the one that it watches."""
    watched = refs.find_branch(db, branch.repo, trigger.branch)
    if watched is None or watched.head is None:
        return
    line = refs.lineage(db, refs.commit_by_id(db, watched.head))
    head = next((c for c in line if c.finished and not c.error), None)
    if head is not None and head.id != branch.head:
        wave = Wave(db)
        wave.move(branch, head)
        wave.spread()
