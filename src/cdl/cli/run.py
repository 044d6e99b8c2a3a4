"""`cdl run`: bring the platform up on this machine and drive a project to Ready."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdl import compose
from cdl.api.meta import REQUESTED_AT_ANNOTATION
from cdl.stores.artifacts import DirectoryArtifacts

from . import project, report, synthetic
from .context import settings_of
from .platform import bring_up, ended
from .refusal import Refusal, one_sentence
from .watch import Watch

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.compose import Shelf

    from .project import Document


@click.command("run", help="Bring the platform up on this machine and drive the project in FOLDER to Ready.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--data", "data", metavar="FOLDER|synthetic", help="Where data sets lie, or `synthetic` for generated look-alikes."
)
@click.option("--detach", is_flag=True, help="Come back at once; the platform goes on working.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the served models.")
@click.option("--timeout", default=3600, show_default=True, help="Seconds to wait for Ready.")
def command(folder: Path, data: str | None, detach: bool, port: int | None, timeout: int) -> None:  # noqa: FBT001 - click's flags
    """Run a project."""
    begun = time.monotonic()
    at = datetime.now(UTC)
    settings = settings_of(None if data == "synthetic" else data).model_copy(update={"kubeconfig": None})
    with one_sentence():
        documents = project.read(folder)
        made = synthetic.look_alike(folder, settings.home) if data == "synthetic" else None
        artifacts = DirectoryArtifacts(settings.home.resolve() / "artifacts")
        plain = [project.packed(document, artifacts) for document in documents]
        if made is not None:
            click.echo(f"data: SYNTHETIC look-alikes in {made}")
            plain = [synthetic.redirected(one, made) for one in plain]
        started = bring_up(settings, {"seldon-router": port} if port else None)
        for name in started:
            click.echo(f"[{time.monotonic() - begun:6.1f} s] started {name}")
        store = compose.store(settings)
        keys = _apply(store, documents, plain, begun)
        if detach:
            click.echo("the platform works in the background; `cdl get` shows how far it is, `cdl stop` ends it")
            return
        watch = Watch(store, keys, begun, settings.home, lambda: ended(settings))
        settled = watch.until_settled(timeout)
        report.show(store, keys, watch, at, folder)
        synthetic.announce(store)
    if not settled:
        message = "not Ready; the reasons stand above, `cdl describe KIND NAME` tells more"
        raise Refusal(message)


def _apply(store: Shelf, documents: tuple[Document, ...], plain: list[dict[str, Any]], begun: float) -> tuple[Key, ...]:
    """Write the resources, and ask for a look at each: what is as it should be is found so at once."""
    now = datetime.now(UTC).isoformat()
    for document, one in zip(documents, plain, strict=True):
        outcome, resource = store.apply(one)
        store.annotate(resource.key, REQUESTED_AT_ANNOTATION, now)
        click.echo(
            f"[{time.monotonic() - begun:6.1f} s] {resource.kind} {resource.metadata.name} {outcome} ({document.path})"
        )
    return tuple(document.resource.key for document in documents)
