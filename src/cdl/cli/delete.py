"""`cdl delete`: delete a resource and what it made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.meta import Key
from cdl.api.v1alpha1 import KINDS, DataPipeline, Release
from cdl.ports.errors import Unreadable
from cdl.reconcile.protection import data_is_kept, pinned_by, release_is_kept

from .context import settings_of
from .get import kind_named
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from cdl.compose import Shelf

POLL_SECONDS = 0.2


@click.command("delete", help="Delete the KIND called NAME, and at the engines what it made (spec.deletionPolicy).")
@click.argument("kind")
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--timeout", default=60, show_default=True, help="Seconds to wait until it is gone.")
def command(kind: str, name: str, namespace: str, timeout: int) -> None:
    """Delete and wait until the operator has cleaned up."""
    key = Key(kind_named(kind), namespace, name)
    with one_sentence():
        store = compose.store(settings_of())
        kept = _kept(store, key)
        if kept:
            message = f"{key}: {kept}"
            raise Refusal(message)
        if not store.delete(key):
            message = f"{key}: not found"
            raise Refusal(message)
        deadline = time.monotonic() + timeout
        while store.get(KINDS[key.kind], namespace, name) is not None:
            if time.monotonic() > deadline:
                message = f"{key}: not gone after {timeout} s; it goes once the platform runs (`cdl describe` says why)"
                raise Refusal(message)
            time.sleep(POLL_SECONDS)
    click.echo(f"{key} deleted")


def _kept(store: Shelf, key: Key) -> str:
    """Say what needs the resource, before anything is asked for; empty: nothing does, or it cannot be read."""
    try:
        resource = store.get(KINDS[key.kind], key.namespace, key.name)
    except Unreadable:
        return ""
    match resource:
        case DataPipeline():
            return data_is_kept(resource, pinned_by(key.name, store.list(Release, key.namespace)))
        case Release():
            return release_is_kept(resource.status.served_by)
        case _:
            return ""
