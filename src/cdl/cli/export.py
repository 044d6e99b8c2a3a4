"""`cdl export`: a Release in forms that other tools and people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.loop.papers import gathered
from cdl.reconcile.release import Silence

from .context import settings_of
from .meant import meant
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdl.reconcile.release.papers import Papers
    from cdl.settings import Settings


def _intoto(papers: Papers) -> str:
    name, told = papers.release.metadata.name, [name for name, _ in papers.addresses()]
    if "provenance" not in told:
        message = f"release {name}: nothing is signed yet; an operator that looks after Experiments does that at once"
        raise Refusal(message)
    return "".join(json.dumps(envelope, separators=(",", ":"), sort_keys=True) + "\n" for envelope in papers.statements)


def _cyclonedx(papers: Papers) -> str:
    from cdl.reconcile.release.bom import bill_of_materials

    return json.dumps(bill_of_materials(papers), indent=2, ensure_ascii=False) + "\n"


def _card(papers: Papers) -> str:
    from cdl.reconcile.release.card import model_card
    from cdl.reconcile.release.card_text import markdown

    return markdown(model_card(papers))


def _page(papers: Papers) -> str:
    from cdl.reconcile.release.card import model_card
    from cdl.reconcile.release.card_page import page

    return page(model_card(papers))


def _openlineage(papers: Papers) -> str:
    from cdl.reconcile.release.openlineage import run_events

    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in run_events(papers))


FORMS: dict[str, Callable[[Papers], str]] = {
    "intoto": _intoto,
    "cyclonedx": _cyclonedx,
    "model-card": _card,
    "model-card-html": _page,
    "openlineage": _openlineage,
}


@click.command(
    "export",
    help="Write the Release NAME, or what the ModelDeployment NAME serves, in a form that others read: signed in-toto "
    "statements, a CycloneDX bill of materials, a model card, or OpenLineage events. --public-key writes the key "
    "that checks the signatures.",
)
@click.argument("name", required=False)
@click.option("--as", "form", type=click.Choice(list(FORMS)), help="In which form.")
@click.option("--public-key", is_flag=True, help="Write the public key, as PEM.")
@click.option("-o", "--output", metavar="FILE", help="Where to write it; default: to the screen.")
@click.option("-n", "--namespace", default="default", show_default=True)
def command(name: str | None, form: str | None, public_key: bool, output: str | None, namespace: str) -> None:  # noqa: FBT001 - click's flag
    """Export a Release, or the key."""
    settings = settings_of()
    with one_sentence():
        if public_key and name is None and form is None:
            text = _public_key(settings)
        elif public_key or name is None or form is None:
            message = "export: allowed is a NAME with --as, or --public-key alone"
            raise Refusal(message)
        else:
            store = compose.store(settings)
            release = meant(store, name, namespace)
            text = FORMS[form](gathered(store, compose.artifacts(settings), release))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--output: cannot write {output}: {error.strerror or error}"
        raise Refusal(message) from error
    click.echo(f"wrote {output}", err=True)


def _public_key(settings: Settings) -> str:
    """Give every public key whose signatures count; where there is none, none is made to be shown."""
    found = compose.keys(settings)
    if isinstance(found, Silence):
        message = f"--public-key: {found.why}"
        raise Refusal(message)
    return found.trusted
