"""Repositories of DataPipelines, made where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pachyderm_sdk.api import pfs

from cdl.ports.errors import Rejected

from .door import there
from .intake import heal
from .translate import owner_mark, project_of, repo_named

if TYPE_CHECKING:
    from pachyderm_sdk import Client

    from cdl.api.meta import Key

    from .reading import Reader
    from .translate import CommitSeen


def ensure_repo(client: Client, reader: Reader, owner: Key, name: str) -> pfs.Repo:
    """Have there be a repository that says whose it is, in a project.

    Raises:
        Rejected: a pipeline of that name writes it.
    """
    project = project_of(owner)
    repo = repo_named(project, name)
    handle = pfs.Project(name=project)
    if there(lambda: client.pfs.inspect_project(project=handle)) is None:
        client.pfs.create_project(project=handle)
    now = there(lambda: client.pfs.inspect_repo(repo=repo))
    if now is None:
        client.pfs.create_repo(repo=repo, description=owner_mark(owner), update=True)
    elif reader.pipeline(project, name) is not None:
        message = f"repository {name} is the output of a pipeline of that name; rename the DataPipeline"
        raise Rejected(message)
    return repo


def healed(client: Client, reader: Reader, project: str, repo: pfs.Repo) -> CommitSeen | None:
    """Close what a dead writer of ours left open, and give the newest commit whose content counts."""
    newest = reader.branch_head(project, repo.name)
    return heal(client, repo, newest, reader.good_head(project, repo.name, newest))
