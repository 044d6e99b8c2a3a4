"""Write a folder into a repository, as one commit with a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from pachyderm_sdk.api import pfs

from cdl.ports.errors import Conflict, Unavailable

from . import wire
from .difference import Kept, after, compare, fingerprint, pieces
from .door import nobody_answers
from .translate import BRANCH, INGEST, CommitSeen, commit_named, commit_seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pachyderm_sdk import Client

    from .difference import Listing

MUCH = 0.25
"""Share of the files beyond which Pachyderm reads all of them by itself faster than it is sent some."""
LARGE = 256 << 10
"""Bytes of a file that Pachyderm had better read by itself."""
ABANDONED = "abandoned"
"""Error of a commit whose writer died: Pachyderm leaves its content out of every later commit."""


def rewrite(client: Client, repo: pfs.Repo, key: str, now: Listing, kept: Kept | None, *, by_url: bool) -> Kept:
    """Make the repository hold exactly the files, in one commit called by key; nobody else may be writing.

    Of a folder that the head, a commit of ours, holds in part, only the difference is sent. Gives what to keep.

    Raises:
        Unavailable: Pachyderm took the files and could not finish the commit.
    """
    sending = Sending(now, kept, by_url=by_url)
    here = _begun(client, repo, key)
    # Should nobody answer now, the commit stays open, as a dead writer's would, and is healed as one.
    if kept is not None and _parent(client, here) != kept.commit:
        sending = Sending(now, None, by_url=by_url)  # somebody was faster, and what they wrote is not known
    _filled(client, repo, here, key, sending.requests())
    return Kept(str(here.id), key, after(now, sending.doubtful), sending.contents)


def written(client: Client, repo: pfs.Repo, key: str, requests: Iterable[bytes]) -> None:
    """Change what the repository holds in one commit called by key; nobody else may be writing.

    Raises:
        Unavailable: Pachyderm took the changes and could not finish the commit.
    """
    _filled(client, repo, _begun(client, repo, key), key, requests)


def _begun(client: Client, repo: pfs.Repo, key: str) -> pfs.Commit:
    commit = client.pfs.start_commit(branch=pfs.Branch(repo=repo, name=BRANCH), description=f"{INGEST}{key}")
    return commit_named(repo, commit.id)


def _parent(client: Client, commit: pfs.Commit) -> str:
    found = client.pfs.inspect_commit(commit=commit).parent_commit
    return str(found.id) if found else ""


def _filled(client: Client, repo: pfs.Repo, here: pfs.Commit, key: str, requests: Iterable[bytes]) -> None:
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


class Sending:
    """The changes of one commit, and what was read on the way."""

    def __init__(self, now: Listing, kept: Kept | None, *, by_url: bool) -> None:
        """Find out what has to be sent; Pachyderm reads by itself what is large or much, where it can."""
        self._now, self._by_url = now, by_url
        difference = compare(now, kept) if kept is not None else None
        if difference is not None and by_url and len(difference.sent) > MUCH * len(now.files):
            difference = None
        self._difference = difference
        self.doubtful = difference.doubtful if difference is not None else list(now.files)
        """Those whose stamps are not known to be settled."""
        known = kept.contents if kept is not None and difference is not None else {}
        self.contents = {path: known[path] for path in known.keys() & now.files.keys()}

    def requests(self) -> Iterator[bytes]:
        """Give the messages; a changed file is removed first, for adding appends to it."""
        if self._difference is None:
            yield wire.emptied()
            if self._by_url and self._now.files:
                yield wire.fetched("/", Path(self._now.root).resolve().as_uri())
                return
        gone, changed, _, sent = self._difference or ([], [], [], sorted(self._now.files))
        for path in (*gone, *changed):
            yield wire.deleted(path)
        for path in sent:
            yield from self._added(path)

    def _added(self, path: str) -> Iterator[bytes]:
        file = self._now.root + path
        self.contents.pop(path, None)
        if self._by_url and self._now.size(path) >= LARGE:
            yield wire.fetched(path, Path(file).resolve().as_uri())
            return
        read = fingerprint()
        for piece in pieces(file):
            read.update(piece)
            yield wire.piece(path, piece)
        self.contents[path] = read.digest()
