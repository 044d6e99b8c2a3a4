"""Jobs, datums and their logs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from cdl.api.duration import length
from cdl.cli.refusal import Refusal, one_sentence

from .speaking import RAW, at, habits, moment, tell, tell_one

if TYPE_CHECKING:
    from cdl.engines.pachyderm.habits import Answer

TIME = re.compile(r"([0-9]+[dhms])+")
JOB = click.argument("job", metavar="PIPELINE@JOB")


def _state(answer: Answer) -> str:
    return at(answer, "state").removeprefix("JOB_").lower()


@click.command("job", help="List jobs, the newest first.")
@click.option("-p", "--pipeline", default="", help="Only those of one pipeline.")
@click.option("-n", "--number", default=0, help="At most so many.")
@RAW
def listed(pipeline: str, number: int, *, raw: bool) -> None:
    """List jobs."""
    with one_sentence():
        head = ("PIPELINE", "ID", "STARTED", "FINISHED", "RESTART", "PROGRESS", "STATE", "REASON")
        tell(habits().jobs(pipeline, number), head, _job_row, raw=raw)


def _job_row(answer: Answer) -> tuple[str, ...]:
    done, skipped, total = (int(answer.get(f"data_{name}", 0)) for name in ("processed", "skipped", "total"))
    odd = {name: int(answer.get(f"data_{name}", 0)) for name in ("failed", "recovered")}
    return (
        at(answer, "job", "pipeline", "name"),
        at(answer, "job", "id"),
        moment(answer, "started"),
        moment(answer, "finished"),
        at(answer, "restart").replace("-", "0"),
        f"{done} + {skipped} / {total}" + "".join(f", {n} {word}" for word, n in odd.items() if n),
        _state(answer),
        at(answer, "reason"),
    )


@click.command("job", help="Show everything about a job, as JSON.")
@JOB
def inspect(job: str) -> None:
    """Show a job."""
    with one_sentence():
        tell_one(habits().job(job))


@click.command("job", help="Stop a job.")
@JOB
def stop(job: str) -> None:
    """Stop a job."""
    with one_sentence():
        habits().stop_job(job)


@click.command("job", help="Come back when a job has ended; 1 unless it succeeded.")
@JOB
def wait(job: str) -> None:
    """Wait for a job."""
    with one_sentence():
        found = habits().job(job, wait=True)
    click.echo(_state(found))
    if _state(found) != "success":
        click.echo(f"job {job}: {at(found, 'reason')}", err=True)
        raise click.exceptions.Exit(1)


@click.command("datum", help="List the datums of a job.")
@JOB
@RAW
def datums(job: str, *, raw: bool) -> None:
    """List datums."""
    with one_sentence():
        head = ("ID", "STATE", "FILES")
        tell(habits().datums(job), head, _datum_row, raw=raw)


def _datum_row(answer: Answer) -> tuple[str, ...]:
    read = " ".join(at(file, "file", "path") for file in answer.get("data", []))
    return (at(answer, "datum", "id"), at(answer, "state").lower(), read)


@click.command("datum", help="Show everything about the datum DATUM of a job, as JSON.")
@JOB
@click.argument("datum")
def datum(job: str, datum: str) -> None:
    """Show a datum."""
    with one_sentence():
        tell_one(habits().datum(job, datum))


@click.command("logs", help="Show what a pipeline, a job or a datum printed.")
@click.option("-p", "--pipeline", default="", help="All jobs of a pipeline.")
@click.option("-j", "--job", default="", metavar="PIPELINE@JOB", help="One job.")
@click.option("--datum", default="", help="One datum of the job.")
@click.option("--inputs", multiple=True, metavar="FILE", help="Only datums that read this, a path or a hash.")
@click.option("--master", is_flag=True, help="Only what the engine itself says.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come; a job's log ends with the job.")
@click.option("--tail", default=0, help="Only the last so many lines of what is there.")
@click.option("--since", default="24h", show_default=True, help="Only what was printed within that time.")
@RAW
def logs(pipeline: str, job: str, datum: str, inputs: tuple[str, ...], since: str, *, raw: bool, **how: object) -> None:
    """Print a log."""
    if bool(pipeline) == bool(job) or (datum and not job):
        message = "give one of -p PIPELINE and -j PIPELINE@JOB, and --datum only with a job"
        raise Refusal(message)
    if not TIME.fullmatch(since) or not length(since):
        message = f"--since: found {since!r}, allowed: a time as in 90s, 15m, 24h or 7d"
        raise Refusal(message)
    with one_sentence():
        found = habits().logs(pipeline, job, datum, data_filters=list(inputs), since=length(since), **how)
        for line in found:
            click.echo(json.dumps(line) if raw else line.get("message", ""))
