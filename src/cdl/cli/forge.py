"""`cdl forge`: git repositories and merge requests on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .context import settings_of
from .platform import bring_up, bring_up_forge, follow
from .platform import forge as forge_of
from .refusal import one_sentence
from .screen import table

if TYPE_CHECKING:
    from cdl.settings import Settings


@click.group("forge", help="Keep git repositories and merge requests on this machine, and production true to them.")
def command() -> None:
    """Hold the verbs."""


@command.command("up", help="Start the forge, and what follows its projects; `cdl stop` ends it.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the forge; without: one that is free.")
def up(port: int | None) -> None:
    """Start the forge; at the first time make users and tokens."""
    settings = settings_of()
    address = bring_up_forge(settings, port)
    if forge_of.followed(settings):
        bring_up_all(settings)
    click.echo(f"forge at {address}; `cdl forge token USER` prints somebody's token, git takes it as the password\n")
    table("", ("USER", "ROLE"), forge_of.people(settings))


@command.command(
    "follow",
    help="Make PROJECT (as in team/news) on the forge unless it is there, and keep production true to its branch: "
    "merge requests are trained and evaluated, what is merged is served.",
)
@click.argument("project")
@click.option("--branch", default="main", show_default=True, help="What production is kept true to.")
@click.option("--path", "path", default=".", show_default=True, help="The project's folder in the repository.")
@click.option("-n", "--namespace", default="production", show_default=True, help="Where production is.")
def follow_project(project: str, branch: str, path: str, namespace: str) -> None:
    """Follow a project."""
    settings = settings_of()
    bring_up_forge(settings)
    wanted = forge_of.Followed(project, branch, path, namespace)
    with one_sentence():
        url = follow(settings, wanted)
        bring_up_all(settings)
    click.echo(f"{url}.git is followed by process {wanted.process}: {branch} goes to namespace {namespace}, merge")
    click.echo(f"request N to {wanted.name}-mr-N; its page is {url}, `cdl logs {wanted.process}` tells what happens")


@command.command("token", help="Print the token of USER: git takes it as the password, the pages to sign in.")
@click.argument("user")
def token(user: str) -> None:
    """Print a token."""
    click.echo(forge_of.token(settings_of(), user))


def bring_up_all(settings: Settings) -> None:
    """Start what is missing: of a cluster where the home folder is one's, else of `cdl run`."""
    if settings.kubeconfig is None:
        bring_up(settings)
        return
    from .platform.cluster import raise_cluster

    raise_cluster(settings, lambda line: click.echo(line, err=True))
