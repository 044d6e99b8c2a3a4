"""`cdl conformance`: which steps of the workflow were taken for a model, by whom, and which were skipped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cdl.reconcile.conformance import Conformance, Role, Told, compare, released
from cdl.reconcile.history import stood

from .ledger import entries, opened, statuses
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cdl.reconcile.record import Entry


@click.command(
    "conformance", help="Compare how the model or Release called NAME came to be with the workflow's flow chart."
)
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Every Release, not only the last of each model.")
@click.option(
    "--role", "roles", multiple=True, metavar="ROLE=PERSON", help="Who has which role; repeatable. Then it is checked."
)
@click.option(
    "--strict", is_flag=True, help="Exit with 1 when a step was skipped, out of order or by the wrong person."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    name: str | None, namespace: str, roles: tuple[str, ...], output: str, *, everything: bool, strict: bool
) -> None:
    """Compare."""
    who = _roles(roles)
    with one_sentence():
        told = [entry for entry in stood(entries(opened().rows()), statuses()) if entry.namespace == namespace]
    chosen = _chosen(released(told, name or ""), everything=everything)
    if not chosen:
        known = ", ".join(sorted({entry.name for entry in released(told)})) or "none"
        message = (
            f"{name or 'conformance'}: the ledger knows no such Release in namespace {namespace}; there are: {known}"
        )
        raise Refusal(message)
    found = [compare(told, release, who) for release in chosen]
    if output == "json":
        click.echo(json.dumps([_plain(one) for one in found], indent=2))
    else:
        for one in found:
            _show(one)
    if strict and any(one.faults for one in found):
        raise SystemExit(1)


def _roles(words: Iterable[str]) -> dict[str, frozenset[str]]:
    """Read ROLE=PERSON; a role may be written with dashes and in lower case.

    Raises:
        Refusal: there is no such role.
    """
    known = {role.value.lower().replace(" ", "-"): role.value for role in Role}
    found: dict[str, frozenset[str]] = {}
    for word in words:
        role, sign, person = word.partition("=")
        plain = role.lower().replace(" ", "-")
        if not sign or not person or plain not in known:
            message = f"--role: found {word!r}, allowed: ROLE=PERSON with a ROLE of {', '.join(known)}"
            raise Refusal(message)
        found[known[plain]] = found.get(known[plain], frozenset()) | {person}
    return found


def _chosen(releases: Sequence[Entry], *, everything: bool) -> tuple[Entry, ...]:
    """Leave only the last Release of each model, unless all are wanted; they come in the order of their versions."""
    if everything:
        return tuple(releases)
    last = {entry.name.rpartition("-")[0]: entry for entry in releases}
    return tuple(last.values())


def _show(found: Conformance) -> None:
    rows = (
        (one.step.pipeline, one.step.title, one.step.role.value, one.state.value, one.who, _when(one), _why(one))
        for one in found.steps
    )
    columns = ("PIPELINE", "STEP", "ROLE", "STATE", "WHO", "WHEN", "WHY")
    table(f"release {found.release} of model {found.model}", columns, rows)
    if found.faults:
        by_state = {one.state.value: 0 for one in found.faults}
        for one in found.faults:
            by_state[one.state.value] += 1
        click.echo(", ".join(f"{count} {state}" for state, count in by_state.items()))
    else:
        click.echo("as the flow chart has it")


def _when(one: Told) -> str:
    return one.entry.at.strftime("%Y-%m-%d %H:%M:%SZ") if one.entry else "-"


def _why(one: Told) -> str:
    return one.why or (one.entry.why if one.entry else "") or one.step.note


def _plain(found: Conformance) -> dict[str, object]:
    steps = [
        {
            "pipeline": one.step.pipeline,
            "step": one.step.name,
            "role": one.step.role.value,
            "state": one.state.value,
            "who": one.who,
            "at": one.entry.at.isoformat() if one.entry else None,
            "entry": one.entry.key if one.entry else None,
            "why": _why(one),
        }
        for one in found.steps
    ]
    return {"release": found.release, "model": found.model, "faults": len(found.faults), "steps": steps}
