"""`cdl logs`: what a step, a trial, a model server or a platform process printed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.meta import Key
from cdl.api.v1alpha1 import KINDS, Experiment, Release

from .context import settings_of
from .get import kind_named
from .platform import ENGINES, OPERATOR, forge, log_of, reached
from .platform.processes import ADMISSION, LAST
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from cdl.settings import Settings

PROCESSES = (OPERATOR, *ENGINES, ADMISSION, *LAST, forge.FORGE)


FOLLOW = click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until nothing runs any more.")
TRIAL = click.option("--trial", type=int, metavar="N", help="Only this trial of the experiment.")


@click.command(
    "logs",
    help="Show the log of the KIND called NAME, or of a platform process (operator, pachd, determined, seldon, ...).",
)
@click.argument("kind")
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="default", show_default=True)
@TRIAL
@FOLLOW
def command(kind: str, name: str | None, namespace: str, trial: int | None, follow: bool) -> None:  # noqa: FBT001 - click's flag
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
    if key.kind == Experiment.__name__:
        of_experiment(name, namespace, trial, follow=follow)
        return
    if follow or trial is not None:
        message = f"{'--follow' if follow else '--trial'}: found a {key.kind}, allowed with the log of an Experiment"
        raise Refusal(message)
    with one_sentence():
        _known(settings, key)
        for line in compose.logs(reached(settings), key):
            click.echo(line)


def of_experiment(name: str, namespace: str, trial: int | None, *, follow: bool) -> None:
    """Print what the trials of an Experiment printed."""
    settings, key = settings_of(), Key(Experiment.__name__, namespace, name)
    with one_sentence(), contextlib.suppress(KeyboardInterrupt):  # who follows ends it so
        _known(settings, key)
        for line in compose.trial_logs(reached(settings), key, trial, follow=follow):
            click.echo(line)


def _known(settings: Settings, key: Key) -> None:
    if compose.store(settings).get(KINDS[key.kind], key.namespace, key.name) is None:
        message = f"{key.kind} {key.name}: not found in namespace {key.namespace}"
        raise Refusal(message)
