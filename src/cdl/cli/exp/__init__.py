"""`cdl exp`: what Experiments tried, what was stopped and why, and what came of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl.cli import logs as printed
from cdl.cli.refusal import Refusal, one_sentence
from cdl.cli.screen import table
from cdl.reconcile.trials import compare as differ
from cdl.reconcile.trials import tell

from .asking import asked, experiments
from .showing import described, differing, listed_row, notes, trials_of

if TYPE_CHECKING:
    from cdl.reconcile.trials import SearchFacts

NAMESPACE = click.option("-n", "--namespace", default="default", show_default=True)
OUTPUT = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.group(
    "exp",
    help="Look at experiments: their trials, curves (plot --svg FILE, --html FILE), events for TensorBoard (--serve), "
    "logs (--trial N, --follow) and reports (--out FILE).",
)
def command() -> None:
    """Hold the verbs."""


@command.command("list", help="List experiments with their newest run, its trials and what came of it.")
@NAMESPACE
@OUTPUT
def listed(namespace: str, output: str) -> None:
    """List Experiments; no engine is asked."""
    with one_sentence():
        found = experiments(namespace)
    if output == "json":
        click.echo(json.dumps([experiment.plain() for experiment in found], indent=2))
    elif found:
        columns = ("EXPERIMENT", "STATUS", "RUN", "TRIALS", "STOPPED", "FAILED", "BEST", "MEASURED", "RELEASE", "AGE")
        table("", columns, map(listed_row, found))
    else:
        click.echo("no experiments; `cdl run FOLDER` makes one")


@command.command("describe", help="Show the experiment NAME: its run, its best trials, what was measured, the gates.")
@click.argument("name")
@NAMESPACE
@OUTPUT
def describe(name: str, namespace: str, output: str) -> None:
    """Show an Experiment for people; for programs it is what `cdl exp trials` says."""
    facts = _asked(name, namespace)
    if output == "json":
        click.echo(tell(facts).model_dump_json(by_alias=True, exclude_none=True, indent=2))
        return
    described(facts)


@command.command("trials", help="List the trials of the experiment NAME, the best first.")
@click.argument("name")
@NAMESPACE
@OUTPUT
def trials(name: str, namespace: str, output: str) -> None:
    """List trials."""
    facts = _asked(name, namespace)
    told = tell(facts)
    if output == "json":
        click.echo(told.model_dump_json(by_alias=True, exclude_none=True, indent=2))
        return
    if not told.trials:
        click.echo(f"experiment {name} has no trials yet; `cdl exp describe {name}` says how it stands")
    trials_of(told)


@command.command("compare", help="Compare the experiments A and B: what was asked for, the best trials, the figures.")
@click.argument("a")
@click.argument("b")
@NAMESPACE
@OUTPUT
def compare(a: str, b: str, namespace: str, output: str) -> None:
    """Compare two Experiments."""
    told = differ(_asked(a, namespace), _asked(b, namespace))
    if output == "json":
        click.echo(told.model_dump_json(by_alias=True, exclude_none=True, indent=2))
    else:
        differing(told)


@command.command("logs", help="Show what the trials of the experiment NAME printed.")
@click.argument("name")
@printed.TRIAL
@printed.FOLLOW
@NAMESPACE
def logs(name: str, trial: int | None, follow: bool, namespace: str) -> None:  # noqa: FBT001 - click's flag
    """Show logs, as `cdl logs experiment NAME` does."""
    printed.of_experiment(name, namespace, trial, follow=follow)


@command.command("report", help="Write the experiment NAME as one HTML page that needs nothing else.")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; default: NAME.html here, `-`: shown.")
@NAMESPACE
def report(name: str, out: Path | None, namespace: str) -> None:
    """Write a report."""
    from cdl.reconcile.release.card_page import page
    from cdl.reconcile.trials.page import report as told

    text = page(told(_asked(name, namespace)))
    place = out or Path(f"{name}.html")
    if str(place) == "-":
        click.echo(text, nl=False)
        return
    _write(place, text, "--out")


@command.command(
    "plot", help="Draw how the trials of the experiment NAME learned: here, or as a picture (--svg) or page (--html)."
)
@click.argument("name")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the curves to this file as a picture.")
@click.option("--html", type=click.Path(path_type=Path), help="Write curves, hyperparameters and ends to this file.")
@NAMESPACE
def plot(name: str, svg: Path | None, html: Path | None, namespace: str) -> None:
    """Draw curves."""
    from cdl.reconcile.release.card_page import page
    from cdl.reconcile.trials.curves import learning
    from cdl.reconcile.trials.letters import letters
    from cdl.reconcile.trials.page import plots

    facts = _asked(name, namespace)
    drawn = learning(facts)
    if html is not None:
        _write(html, page(plots(facts)), "--html")
    if svg is not None:
        if not drawn:
            raise Refusal(_nothing(name))
        _write(svg, drawn, "--svg")
    if svg is None and html is None:
        click.echo(letters(facts) if drawn else _nothing(name))
    notes(facts.notes)


@command.command(
    "tensorboard", help="Write what the trials of the experiment NAME reported to a folder that TensorBoard reads."
)
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="The folder; default: NAME.tensorboard here.")
@click.option("--serve", is_flag=True, help="Start the tensorboard installed here on that folder, until Ctrl-C.")
@NAMESPACE
def tensorboard(name: str, out: Path | None, serve: bool, namespace: str) -> None:  # noqa: FBT001 - click's flag
    """Write events."""
    from .events import write

    facts, place = _asked(name, namespace), out or Path(f"{name}.tensorboard")
    notes(facts.notes)
    try:
        count = write(facts.trials, place)
    except OSError as error:
        message = f"--out: cannot write {place}: {error.strerror or error}"
        raise Refusal(message) from error
    if not count:
        raise Refusal(_nothing(name))
    click.echo(f"wrote the figures of {count} trials to {place}")
    program = shutil.which("tensorboard")
    if program is None:
        told = "tensorboard is not installed here: `pip install tensorboard`, then `tensorboard --logdir"
        if serve:
            message = f"--serve: {told} {place}`"
            raise Refusal(message)
        click.echo(f"{told} {place}` shows them")
    elif serve:
        sys.stdout.flush()
        raise SystemExit(subprocess.call([program, "--logdir", str(place)]))
    else:
        click.echo(f"`tensorboard --logdir {place}` shows them")


def _nothing(name: str) -> str:
    return f"experiment {name}: no trial has reported a validation yet, so there is no curve"


def _write(place: Path, text: str, option: str) -> None:
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{option}: cannot write {place}: {error.strerror or error}"
        raise Refusal(message) from error
    click.echo(f"wrote {place}")


def _asked(name: str, namespace: str) -> SearchFacts:
    with one_sentence():
        return asked(name, namespace)
