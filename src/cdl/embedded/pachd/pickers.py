"""Pickers: the newer way in which a request names a project, repo, branch, commit or pipeline."""

import sqlite3

from cdl.embedded.pachd import pipelines, refs, wire
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Branch, Commit, Repo
from cdl.embedded.pachd.refusals import invalid
from cdl.embedded.pachd.wire import Msg


def project(db: sqlite3.Connection, picker: Msg) -> str:
    """Find the project that a picker means."""
    return refs.project(db, picker.name)


def repo(db: sqlite3.Connection, picker: Msg) -> Repo:
    """Find the repo that a picker means."""
    return refs.repo(db, _repo_handle(picker))


def branch(db: sqlite3.Connection, picker: Msg) -> Branch:
    """Find the branch that a picker means."""
    return refs.branch(db, _branch_handle(picker))


def pipeline(db: sqlite3.Connection, picker: Msg) -> Pipeline:
    """Find the pipeline that a picker means."""
    handle = wire.pps.Pipeline(project={"name": picker.name.project.name}, name=picker.name.name)
    return pipelines.get(db, handle)


def commit(db: sqlite3.Connection, picker: Msg) -> Commit:
    """Find the commit that a picker means: a head, an id, an ancestor of another, or one counted from the root."""
    kind = picker.WhichOneof("picker")
    if kind == "branch_head":
        branch_handle = _branch_handle(picker.branch_head)
        return refs.commit(db, wire.pfs.Commit(repo=branch_handle.repo, branch=branch_handle))
    if kind == "id":
        return refs.commit(db, wire.pfs.Commit(repo=_repo_handle(picker.id.repo), id=picker.id.id))
    if kind == "ancestor":
        start = commit(db, picker.ancestor.start)
        return refs.ancestor(db, start, picker.ancestor.offset, refs.spoken(db, start))
    if kind == "branch_root":
        root = picker.branch_root
        branch_handle = _branch_handle(root.branch)
        text = f"{branch_handle.name}.{root.offset + 1}"  # the handle counts from 1, the picker from 0
        return refs.commit(db, wire.pfs.Commit(repo=branch_handle.repo, id=text))
    raise invalid("a commit picker names nothing: set branch_head, id, ancestor or branch_root")


def _repo_handle(picker: Msg) -> Msg:
    named = picker.name
    return wire.pfs.Repo(name=named.name, type=named.type, project={"name": named.project.name})


def _branch_handle(picker: Msg) -> Msg:
    return wire.pfs.Branch(repo=_repo_handle(picker.name.repo), name=picker.name.name)
