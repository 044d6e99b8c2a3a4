"""Write a folder into a repository, as one commit with a name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from pachyderm_sdk.api import pfs

from cdl.api.conditions import Reason
from cdl.ports.errors import Conflict, Rejected, Unavailable

from . import wire
from .door import nobody_answers
from .translate import BRANCH, INGEST, CommitSeen, commit_named, commit_seen, forbidden_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pachyderm_sdk import Client

ABANDONED = "abandoned"
"""Error of a commit whose writer died: Pachyderm leaves its content out of every later commit."""


def rewrite(client: Client, repo: pfs.Repo, key: str, folder: Path, files: dict[str, Path], *, by_url: bool) -> None:
    """Make the repository hold exactly the files, in one commit called by key; nobody else may be writing.

    Raises:
        Unavailable: Pachyderm took the files and could not finish the commit.
    """
    written(client, repo, key, _requests(folder, files, by_url=by_url))


def written(client: Client, repo: pfs.Repo, key: str, requests: Iterable[bytes]) -> None:
    """Change what the repository holds in one commit called by key; nobody else may be writing.

    Raises:
        Unavailable: Pachyderm took the changes and could not finish the commit.
    """
    commit = client.pfs.start_commit(branch=pfs.Branch(repo=repo, name=BRANCH), description=f"{INGEST}{key}")
    here = commit_named(repo, commit.id)
    try:
        wire.write(client, here, requests)
    except (grpc.RpcError, OSError):
        abandon(client, here)
        raise
    client.pfs.finish_commit(commit=here, description=f"{INGEST}{key}")
    done = commit_seen(client.pfs.inspect_commit(commit=here, wait=pfs.CommitState.FINISHED))
    if done.error:
        message = f"writing {key} into {repo.name}: {done.error}"
        raise Unavailable(message)


def abandon(client: Client, commit: pfs.Commit) -> None:
    """Close a commit that will never be whole; its content never becomes visible."""
    client.pfs.finish_commit(commit=commit, error=ABANDONED)
    client.pfs.inspect_commit(commit=commit, wait=pfs.CommitState.FINISHED)


def heal(client: Client, repo: pfs.Repo, newest: CommitSeen | None, good: CommitSeen | None) -> CommitSeen | None:
    """Make the branch end with what counts: close a dead writer's commit and put an empty one on top.

    Gives what counts then: an empty commit has the content of the newest one before it without an error.

    Raises:
        Conflict: somebody else is writing; their commit is left alone.
    """
    if newest is None or newest.good:
        return good
    if not newest.finished:
        if newest.ingest is None:
            message = (
                f"repository {repo.name}: somebody else is writing commit {newest.id[:12]}; it must be finished first"
            )
            raise Conflict(message)
        _close(client, commit_named(repo, newest.id))
    if good is None:
        return None
    branch = pfs.Branch(repo=repo, name=BRANCH)
    fresh = commit_named(repo, client.pfs.start_commit(branch=branch, description=good.description).id)
    client.pfs.finish_commit(commit=fresh, description=good.description)
    return commit_seen(client.pfs.inspect_commit(commit=fresh, wait=pfs.CommitState.FINISHED))


def _close(client: Client, commit: pfs.Commit) -> None:
    try:
        abandon(client, commit)
    except grpc.RpcError as error:
        if nobody_answers(error):
            raise  # it is open still, and to wait for its end would be to wait for ever
        # It was closed already and Pachyderm is still checking it: wait for that instead.
        client.pfs.inspect_commit(commit=commit, wait=pfs.CommitState.FINISHED)


def files_of(folder: Path) -> dict[str, Path]:
    """List the files of a folder by their path in the repository.

    Raises:
        Rejected: with reason SourceUnusable when a path holds a character that Pachyderm does not take.
    """
    found = {path: Path(f"{folder}{path}") for path in sorted(_paths(str(folder)))}
    wrong = next((sentence for path in found if (sentence := forbidden_path(path))), "")
    if wrong:
        sentence = f"file {wrong}; allowed in Pachyderm: printable ASCII without * ? [ ] {{ }} ! ( ) @ + ^"
        raise Rejected(sentence, Reason.SOURCE_UNUSABLE)
    return found


def _paths(folder: str, below: str = "") -> Iterator[str]:
    """Give the files below a folder as paths in the repository; by names alone, a Path costs as much as its file."""
    with os.scandir(folder + below) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _paths(folder, path)
            elif entry.is_file():
                yield path


def _requests(folder: Path, files: dict[str, Path], *, by_url: bool) -> Iterator[bytes]:
    yield wire.emptied()
    if by_url and files:
        yield wire.fetched("/", folder.resolve().as_uri())
        return
    for path, file in files.items():
        yield from wire.added(path, file)
