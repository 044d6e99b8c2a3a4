"""Metadata: words that people keep beside projects, repos, branches, commits, pipelines and the cluster."""

import sqlite3
from typing import NamedTuple

from cdl.embedded.pachd import pickers
from cdl.embedded.pachd.refusals import RefusedError, invalid
from cdl.embedded.pachd.wire import Msg


class About(NamedTuple):
    """A thing that words are kept about: the column that names it, and its key; the cluster has neither."""

    column: str = ""
    key: str | int = ""

    @property
    def where(self) -> str:
        """Tell which rows are about it."""
        if self.column:
            return f"{self.column} = ?"
        return "COALESCE(project, repo, branch, commit_id, pipeline) IS NULL"

    @property
    def values(self) -> tuple[str | int, ...]:
        """Tell what the question mark of `where` stands for."""
        return (self.key,) if self.column else ()


CLUSTER = About()


def read(db: sqlite3.Connection, about: About) -> dict[str, str]:
    """Read what is kept about a thing."""
    rows = db.execute(f"SELECT key, value FROM metadata WHERE {about.where} ORDER BY key", about.values)  # noqa: S608  columns of ours
    return {str(key): str(value) for key, value in rows}


def _write(db: sqlite3.Connection, about: About, words: dict[str, str]) -> None:
    db.execute(f"DELETE FROM metadata WHERE {about.where}", about.values)  # noqa: S608  columns of ours
    named, mark = (f"{about.column}, ", "?, ") if about.column else ("", "")
    db.executemany(
        f"INSERT INTO metadata ({named}key, value) VALUES ({mark}?, ?)",  # noqa: S608  columns of ours
        [(*about.values, key, value) for key, value in words.items()],
    )


def edit(db: sqlite3.Connection, edits: list[Msg]) -> None:
    """Make every edit, in order; one that cannot be made refuses them all."""
    for number, wanted in enumerate(edits):
        try:
            about = _target(db, wanted)
            _write(db, about, _edited(read(db, about), wanted))
        except RefusedError as error:
            raise RefusedError(f"edit #{number}: {error.text}", error.code) from error


def _target(db: sqlite3.Connection, wanted: Msg) -> About:
    kind = wanted.WhichOneof("target")
    if kind == "cluster":
        return CLUSTER
    if kind == "project":
        return About("project", pickers.project(db, wanted.project))
    if kind == "repo":
        return About("repo", pickers.repo(db, wanted.repo).id)
    if kind == "branch":
        return About("branch", pickers.branch(db, wanted.branch).id)
    if kind == "commit":
        return About("commit_id", pickers.commit(db, wanted.commit).id)
    if kind == "pipeline":
        return About("pipeline", pickers.pipeline(db, wanted.pipeline).id)
    raise invalid("no target is set: name a project, commit, branch, repo, pipeline or the cluster")


def _edited(words: dict[str, str], wanted: Msg) -> dict[str, str]:
    kind = wanted.WhichOneof("op")
    if kind == "replace":
        return dict(wanted.replace.replacement)
    if kind is None:
        raise invalid("no op is set: one of replace, add_key, edit_key and delete_key is needed")
    key = getattr(wanted, kind).key
    if not key:
        raise invalid(f"{kind}.key is empty")
    if kind == "delete_key":
        return {found: value for found, value in words.items() if found != key}
    if kind == "add_key" and key in words:
        raise RefusedError(f'add_key target key "{key}" already exists; use edit_key instead')
    return {**words, key: getattr(wanted, kind).value}
