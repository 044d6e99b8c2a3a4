"""`cdl up`: a Kubernetes API server of plain processes, with engines and operators, on this machine."""

from __future__ import annotations

import shlex
import time

import click

from .context import settings_of
from .platform import labelstudio
from .platform.cluster import raise_cluster
from .platform.labelstudio import LABEL_STUDIO


@click.command("up", help="Start a Kubernetes API server, the engines and the operators on this machine.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the served models.")
@click.option(
    "--with",
    "beside",
    type=click.Choice([LABEL_STUDIO]),
    multiple=True,
    help="Start Label Studio, too, installing it the first time; from then on it belongs to this home folder.",
)
def command(port: int | None, beside: tuple[str, ...]) -> None:
    """Bring a cluster up; what runs already is left alone."""
    begun, settings = time.monotonic(), settings_of()

    def say(line: str) -> None:
        # progress is not for `eval "$(cdl up)"`
        click.echo(f"[{time.monotonic() - begun:6.1f} s] {line}", err=True)

    if LABEL_STUDIO in beside:
        labelstudio.found(settings, say)
    cluster = raise_cluster(settings, say, {"seldon-router": port} if port else None)
    say(f"{cluster.server} is ready" if cluster.started else f"{cluster.server} was running; nothing was started")
    click.echo(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
