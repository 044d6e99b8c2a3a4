"""`cdl logs`: what a step, a trial, a model server or a platform process printed."""

from __future__ import annotations

import click

from cdl import compose
from cdl.api.meta import Key
from cdl.api.v1alpha1 import KINDS, Release

from .context import settings_of
from .get import kind_named
from .platform import ENGINES, OPERATOR, forge, log_of, reached
from .platform.processes import ADMISSION, LAST
from .refusal import Refusal, one_sentence

PROCESSES = (OPERATOR, *ENGINES, ADMISSION, *LAST, forge.FORGE)


@click.command(
    "logs",
    help="Show the log of the KIND called NAME, or of a platform process (operator, pachd, determined, seldon, ...).",
)
@click.argument("kind")
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="default", show_default=True)
def command(kind: str, name: str | None, namespace: str) -> None:
    """Print a log."""
    settings = settings_of()
    if kind in PROCESSES or kind in forge.doors(settings):
        log = log_of(settings, kind)
        if not log.exists():
            message = f"{kind} never ran here; `cdl run FOLDER` or `cdl up` starts it"
            raise Refusal(message)
        click.echo(log.read_text(errors="replace"), nl=False)
        return
    if name is None:
        message = f"logs {kind}: which one? cdl logs KIND NAME, or one of {', '.join(PROCESSES)}"
        raise Refusal(message)
    key = Key(kind_named(kind), namespace, name)
    if key.kind == Release.__name__:
        message = f"{key.kind} {name}: a release runs nothing; what made it is in the log of its Experiment"
        raise Refusal(message)
    with one_sentence():
        if compose.store(settings).get(KINDS[key.kind], namespace, name) is None:
            message = f"{key.kind} {name}: not found in namespace {namespace}"
            raise Refusal(message)
        for line in compose.logs(reached(settings), key):
            click.echo(line)
