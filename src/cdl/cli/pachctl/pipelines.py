"""Pipelines."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cdl.cli.refusal import Refusal, one_sentence

from .speaking import RAW, at, habits, moment, tell, tell_one

FILE = click.option("-f", "--file", "source", required=True, help="Specs in JSON or YAML; - is standard input.")
NAME = click.argument("pipeline")


@click.command("pipeline", help="Create the pipelines of a file. Specs of Pachyderm 1.x are brought up to date.")
@FILE
def create(source: str) -> None:
    """Create pipelines."""
    _write(source, update=False, reprocess=False)


@click.command("pipeline", help="Update the pipelines of a file, or create those that are not there.")
@FILE
@click.option("--reprocess", is_flag=True, help="Process every datum again.")
def update(source: str, *, reprocess: bool) -> None:
    """Update pipelines."""
    _write(source, update=True, reprocess=reprocess)


def _write(source: str, *, update: bool, reprocess: bool) -> None:
    from cdl.engines.pachyderm.old_specs import read

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{source}: {getattr(error, 'strerror', None) or 'it is not text'}"
        raise Refusal(message) from error
    with one_sentence():
        speaker = habits()
        for found in read(text, source):
            for change in found.changes:
                click.echo(f"{found.name}: {change}", err=True)
            speaker.write_pipeline(found, update=update, reprocess=reprocess)
            click.echo(found.name)


@click.command("pipeline", help="List pipelines.")
@RAW
def listed(*, raw: bool) -> None:
    """List pipelines."""
    with one_sentence():
        head = ("NAME", "VERSION", "CREATED", "STATE", "LAST JOB", "DESCRIPTION")
        tell(
            habits().pipelines(),
            head,
            lambda a: (
                at(a, "pipeline", "name"),
                at(a, "version"),
                moment(a.get("details") or {}, "created_at"),
                at(a, "state").removeprefix("PIPELINE_").lower(),
                at(a, "last_job_state").removeprefix("JOB_").lower(),
                at(a, "details", "description"),
            ),
            raw=raw,
        )


@click.command("pipeline", help="Show everything about PIPELINE, as JSON.")
@NAME
def inspect(pipeline: str) -> None:
    """Show a pipeline."""
    with one_sentence():
        tell_one(habits().pipeline(pipeline))


@click.command("pipeline", help="Delete PIPELINE with its jobs and outputs.")
@NAME
@click.option("-f", "--force", is_flag=True, help="Also when something depends on it.")
def delete(pipeline: str, *, force: bool) -> None:
    """Delete a pipeline."""
    with one_sentence():
        habits().steer("delete", pipeline, force=force)


@click.command("pipeline", help="Start PIPELINE again: one job for what came meanwhile.")
@NAME
def start(pipeline: str) -> None:
    """Start a pipeline."""
    with one_sentence():
        habits().steer("start", pipeline)


@click.command("pipeline", help="Stop PIPELINE.")
@NAME
def stop(pipeline: str) -> None:
    """Stop a pipeline."""
    with one_sentence():
        habits().steer("stop", pipeline)


@click.command("cron", help="Let the cron inputs of PIPELINE tick now.")
@NAME
def run_cron(pipeline: str) -> None:
    """Tick."""
    with one_sentence():
        habits().steer("run", pipeline)
