"""The life of a commit: started, finishing, finished; and the ways it is taken back."""

import sqlite3

from cdl.embedded.pachd import graph, layers, refs
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.refs import Branch, Commit
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import now

STARTED, READY, FINISHING, FINISHED = 1, 2, 3, 4
SUCCESS, FAILURE, KILLED = 5, 4, 6
LIVE_JOBS = "(1, 2, 3, 7, 8)"


def state_of(db: sqlite3.Connection, commit: Commit) -> int:
    """Tell how far a commit has come."""
    if commit.finished:
        return FINISHED
    if commit.finishing:
        return FINISHING
    waiting = db.execute(
        "SELECT 1 FROM commit_provenance p JOIN commits c ON c.id = p.upstream"
        " WHERE p.downstream = ? AND c.finished = 0",
        (commit.id,),
    ).fetchone()
    return STARTED if waiting else READY


def start(wave: Wave, branch: Branch, *, parent: Commit | None, description: str) -> Commit:
    """Open a commit on a branch that people write to."""
    db = wave.db
    if db.execute("SELECT 1 FROM branch_provenance WHERE downstream = ?", (branch.id,)).fetchone():
        raise RefusedError(
            f"cannot start a commit on an output branch: {graph.spoken(db, branch.id)} is written from its provenance"
        )
    above = parent or (refs.commit_by_id(db, branch.head) if branch.head is not None else None)
    if above is not None and not above.finishing:
        raise RefusedError(f"parent commit {refs.spoken(db, above)} has not been finished")
    if above is not None and above.repo != branch.repo:
        raise RefusedError(
            f"parent commit {refs.spoken(db, above)} is not in the repo of branch {graph.spoken(db, branch.id)}"
        )
    return wave.commit_on(branch, above.id if above else None, description=description)


def finish(db: sqlite3.Connection, commit: Commit, *, error: str = "", description: str = "") -> None:
    """Close a commit; it is finished when the finisher has validated it."""
    if commit.finishing:
        raise RefusedError(f"commit {refs.spoken(db, commit)} has already finished")
    db.execute(
        "UPDATE commits SET finishing = ?, error = ?, description = CASE WHEN ? = '' THEN description ELSE ? END"
        " WHERE id = ?",
        (now(), error, description, description, commit.id),
    )


def pipeline_of(db: sqlite3.Connection, commit: Commit) -> str:
    """Name the pipeline that writes a commit; empty when people do."""
    row = db.execute(
        "SELECT p.project || '/' || p.name FROM repos r JOIN pipelines p ON p.project = r.project AND p.name = r.name"
        " WHERE r.id = ? AND (r.type = 'meta' OR (r.type = 'user' AND p.output_branch = ?))",
        (commit.repo, commit.branch),
    ).fetchone()
    return str(row[0]) if row else ""


def finish_by_hand(db: sqlite3.Connection, commit: Commit, *, error: str, description: str, force: bool) -> None:
    """Close a commit because a client asks; those of pipelines only by force."""
    pipeline = pipeline_of(db, commit)
    if pipeline and commit.origin == refs.AUTO and not force:
        raise RefusedError(
            f"cannot finish a commit that pipeline {pipeline} is writing: {refs.spoken(db, commit)}; use stop job"
        )
    finish(db, commit, error=error, description=description)


def open_commit(db: sqlite3.Connection, commit: Commit) -> Commit:
    """Check that a commit can still be written."""
    if commit.finishing:
        raise RefusedError(f"commit {refs.spoken(db, commit)} has already finished: it cannot be written")
    return commit


def end_job(db: sqlite3.Connection, job: int, state: int, reason: str) -> None:
    """End a job that is live, finishing what it was writing with the reason as error."""
    row = db.execute(f"SELECT output FROM jobs WHERE id = ? AND state IN {LIVE_JOBS}", (job,)).fetchone()  # noqa: S608  a constant of ours
    if row is None:
        return
    db.execute("UPDATE jobs SET state = ?, reason = ?, finished = ? WHERE id = ?", (state, reason, now(), job))
    for commit in outputs_of(db, int(row[0])):
        if not commit.finishing:
            finish(db, commit, error=reason)


def outputs_of(db: sqlite3.Connection, output: int) -> list[Commit]:
    """Read a job's output commit and its companion in the meta repo."""
    found = refs.find_commit(db, output)
    if found is None:
        return []
    repo = refs.repo_by_id(db, found.repo)
    meta = refs.find_repo(db, refs.RepoName(repo.project, repo.name, "meta"))
    if meta is None:
        return [found]
    return [found, *refs.commits(db, "WHERE repo = ? AND set_id = ?", (meta.id, found.set_id))]


def stop_jobs_of(db: sqlite3.Connection, pipeline: int, reason: str) -> None:
    """End every live job of a pipeline."""
    rows = db.execute(f"SELECT id FROM jobs WHERE pipeline = ? AND state IN {LIVE_JOBS}", (pipeline,)).fetchall()  # noqa: S608  a constant of ours
    for row in rows:
        end_job(db, int(row[0]), KILLED, reason)


# -- taking back ------------------------------------------------------------------------------------------------------


def _children(db: sqlite3.Connection, commit: Commit) -> list[Commit]:
    return refs.commits(db, "WHERE parent = ? ORDER BY id", (commit.id,))


def _subvenance(db: sqlite3.Connection, found: list[Commit]) -> list[Commit]:
    """Read the commits that depend on any of these, these included, newest first."""
    marks = ",".join("?" * len(found))
    return refs.commits(
        db,
        f"""WHERE id IN (WITH RECURSIVE down(id) AS (
               SELECT id FROM commits WHERE id IN ({marks})
               UNION SELECT p.downstream FROM commit_provenance p JOIN down ON p.upstream = down.id)
             SELECT id FROM down) ORDER BY id DESC""",  # noqa: S608  question marks only
        tuple(c.id for c in found),
    )


def with_subvenance(db: sqlite3.Connection, commit: Commit, *, recursive: bool, verb: str) -> list[Commit]:
    """List what goes with a commit; more than itself only when the client says so."""
    found = _subvenance(db, [commit])
    if len(found) > 1 and not recursive:
        raise RefusedError(
            f"cannot {verb} commit {refs.spoken(db, commit)}: {len(found) - 1} commits depend on it; ask for recursive"
        )
    return found


def set_of(db: sqlite3.Connection, set_id: str, verb: str) -> list[Commit]:
    """List the commits of a set, newest first; refused while other sets depend on it."""
    found = refs.commits(db, "WHERE set_id = ? ORDER BY id DESC", (set_id,))
    if not found:
        raise RefusedError(f"no commits found for commitset {set_id}", "NOT_FOUND")
    outside = [c for c in _subvenance(db, found) if c.set_id != set_id]
    if outside:
        raise RefusedError(f"cannot {verb} commit set {set_id}: commit {refs.spoken(db, outside[0])} depends on it")
    return found


def drop(db: sqlite3.Connection, found: list[Commit]) -> None:
    """Remove commits that nobody continues, content and all; heads move to the parent."""
    going = {c.id for c in found}
    for commit in found:
        if any(child.id not in going for child in _children(db, commit)):
            raise RefusedError(f"cannot drop a commit that has children: {refs.spoken(db, commit)}")
    _remove(db, found)


def squash(db: sqlite3.Connection, found: list[Commit]) -> None:
    """Remove commits whose content lives on in their children."""
    for commit in found:
        children = _children(db, commit)
        if not children:
            raise RefusedError(f"cannot squash a commit that has no children: {refs.spoken(db, commit)}")
        if any(not child.finished for child in children):
            raise RefusedError(f"cannot squash commit {refs.spoken(db, commit)}: a child has not been finished")
    for commit in sorted(found, key=lambda c: c.id):  # oldest first: content may pass through several
        if not commit.error:
            for child in _children(db, commit):
                layers.fold(db, commit.id, child.id)
    _remove(db, found)


def _remove(db: sqlite3.Connection, found: list[Commit]) -> None:
    """Take commits out of the graph, newest first, jobs included."""
    for commit in sorted(found, key=lambda c: c.id, reverse=True):
        repo = refs.repo_by_id(db, commit.repo)
        if repo.type == "spec":
            raise RefusedError(f"commit {refs.spoken(db, commit)} cannot be removed: it made or updated a pipeline")
        db.execute("DELETE FROM jobs WHERE output = ?", (commit.id,))
        db.execute("UPDATE commits SET parent = ? WHERE parent = ?", (commit.parent, commit.id))
        heads = [
            refs.branch_by_id(db, int(r[0]))
            for r in db.execute("SELECT id FROM branches WHERE head = ?", (commit.id,)).fetchall()
        ]
        db.execute("UPDATE branches SET head = ? WHERE head = ?", (commit.parent, commit.id))
        db.execute("DELETE FROM commits WHERE id = ?", (commit.id,))
        if commit.parent is None:
            for branch in heads:
                Wave(db).commit_on(branch, None, origin=refs.AUTO, done=True)
    db.execute("INSERT OR REPLACE INTO facts VALUES ('garbage', '1')")
