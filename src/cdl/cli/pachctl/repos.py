"""Repositories, branches and commits."""

from __future__ import annotations

import click

from cdl.cli.refusal import one_sentence

from .speaking import RAW, at, habits, moment, tell, tell_one


@click.command("repo", help="Create the repository REPO.")
@click.argument("repo")
@click.option("-d", "--description", default="", help="What it is for.")
def create(repo: str, description: str) -> None:
    """Create a repository."""
    with one_sentence():
        habits().create_repo(repo, description)


@click.command("repo", help="Delete the repository REPO and all that it holds.")
@click.argument("repo")
@click.option("-f", "--force", is_flag=True, help="Also when something depends on it.")
def delete(repo: str, *, force: bool) -> None:
    """Delete a repository."""
    with one_sentence():
        habits().delete_repo(repo, force=force)


@click.command("repo", help="List repositories.")
@RAW
def listed(*, raw: bool) -> None:
    """List repositories."""
    with one_sentence():
        head = ("NAME", "CREATED", "SIZE", "DESCRIPTION")
        tell(
            habits().repos(),
            head,
            lambda a: (
                at(a, "repo", "name"),
                moment(a, "created"),
                at(a, "size_bytes_upper_bound").replace("-", "0"),
                at(a, "description"),
            ),
            raw=raw,
        )


@click.command("branch", help="List the branches of REPO.")
@click.argument("repo")
@RAW
def branches(repo: str, *, raw: bool) -> None:
    """List branches."""
    with one_sentence():
        head = ("BRANCH", "HEAD", "TRIGGER")
        tell(
            habits().branches(repo),
            head,
            lambda a: (at(a, "branch", "name"), at(a, "head", "id"), at(a, "trigger", "branch")),
            raw=raw,
        )


@click.command("commit", help="List the commits of REPO or REPO@BRANCH, the newest first.")
@click.argument("where")
@click.option("-n", "--number", default=0, help="At most so many.")
@RAW
def commits(where: str, number: int, *, raw: bool) -> None:
    """List commits."""
    with one_sentence():
        head = ("REPO", "COMMIT", "STARTED", "FINISHED", "SIZE", "ERROR", "DESCRIPTION")
        tell(
            habits().commits(where, number),
            head,
            lambda a: (
                at(a, "commit", "repo", "name"),
                at(a, "commit", "id"),
                moment(a, "started"),
                moment(a, "finished"),
                at(a, "size_bytes_upper_bound").replace("-", "0"),
                at(a, "error"),
                at(a, "description"),
            ),
            raw=raw,
        )


@click.command("commit", help="Show everything about REPO@BRANCH or REPO@COMMIT, as JSON.")
@click.argument("where")
def commit(where: str) -> None:
    """Show a commit."""
    with one_sentence():
        tell_one(habits().commit(where))


@click.command("commit", help="Come back when REPO@BRANCH or REPO@COMMIT is finished; 1 when it has an error.")
@click.argument("where")
def wait(where: str) -> None:
    """Wait for a commit."""
    with one_sentence():
        found = habits().commit(where, wait=True)
    click.echo(at(found, "commit", "id"))
    if found.get("error"):
        click.echo(f"commit {where}: {found['error']}", err=True)
        raise click.exceptions.Exit(1)
