"""`cdl up`: a Kubernetes API server of plain processes, with engines and operators, on this machine."""

from __future__ import annotations

import shlex
import time

import click

from .context import settings_of
from .platform.cluster import raise_cluster


@click.command("up", help="Start a Kubernetes API server, the engines and the operators on this machine.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the served models.")
def command(port: int | None) -> None:
    """Bring a cluster up; what runs already is left alone."""
    begun = time.monotonic()

    def say(line: str) -> None:
        # progress is not for `eval "$(cdl up)"`
        click.echo(f"[{time.monotonic() - begun:6.1f} s] {line}", err=True)

    cluster = raise_cluster(settings_of(), say, {"seldon-router": port} if port else None)
    say(f"{cluster.server} is ready" if cluster.started else f"{cluster.server} was running; nothing was started")
    click.echo(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
