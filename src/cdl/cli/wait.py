"""`cdl wait`: come back when a condition holds, as `kubectl wait` does, on a cluster and on a laptop."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.conditions import ConditionType
from cdl.api.meta import Key
from cdl.api.v1alpha1 import KINDS

from . import project
from .context import settings_of
from .get import kind_named
from .refusal import Refusal, one_sentence
from .watch import POLL_SECONDS, QUIET_POLLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1 import Resource
    from cdl.compose import Shelf

TOO_LATE = 3
"""What it ends with when the time is over; 1 says that time would not have helped."""
WISH = re.compile(r"(?:condition=)?(?P<name>[A-Za-z]+)(?:=(?P<status>[A-Za-z]+))?")
DELETE = "delete"
STATUSES = ("True", "False", "Unknown")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is waited for: a condition and its status, or that a resource is gone."""

    name: str
    status: str = "True"

    def __str__(self) -> str:
        """Say it as people do."""
        if self.name == DELETE:
            return "deleted"
        return self.name if self.status == "True" else f"{self.name}={self.status}"


@click.command(
    "wait",
    help="Wait until a condition holds: of the resource KIND NAME, of every KIND, of every resource of the project in "
    "FOLDER, or of those of one KIND in it. Ends with 0 when it holds, with 3 when --timeout is over, and with 1 as "
    "soon as time alone will not help.",
)
@click.argument("what", metavar="KIND|FOLDER")
@click.argument("name", metavar="[NAME|FOLDER]", required=False)
@click.option(
    "--for", "wish", default="Ready", show_default=True, metavar="CONDITION[=STATUS]|delete", help="What to wait for."
)
@click.option("--timeout", default=600.0, show_default=True, type=click.FloatRange(min=0), help="Seconds to wait.")
@click.option("-n", "--namespace", default="default", show_default=True)
def command(what: str, name: str | None, wish: str, timeout: float, namespace: str) -> None:
    """Wait."""
    wanted = _wish(wish)
    with one_sentence():
        store = compose.store(settings_of())
        keys = _keys(store, what, name, namespace)
        late = _until(store, keys, wanted, timeout)
    if late:
        click.echo(f"Error: {late}", err=True)
        sys.exit(TOO_LATE)


def _wish(text: str) -> Wish:
    found = WISH.fullmatch(text)
    names = {DELETE: DELETE} | {kind.value.lower(): kind.value for kind in ConditionType}
    name = names.get(found["name"].lower(), "") if found else ""
    status = (found["status"] or "True").capitalize() if found else ""
    if not name or status not in STATUSES:
        message = (
            f"--for: found {text!r}, allowed: delete, or one of {', '.join(ConditionType)}, "
            f"with =True, =False or =Unknown behind it"
        )
        raise Refusal(message)
    return Wish(name, status)


def _keys(store: Shelf, what: str, name: str | None, namespace: str) -> tuple[Key, ...]:
    """Find what is meant.

    Raises:
        Refusal: nothing is.
    """
    if name is None and Path(what).is_dir():
        return tuple(document.resource.key for document in project.read(Path(what)))
    kind = kind_named(what)
    if name is None:
        keys = tuple(resource.key for resource in store.list(KINDS[kind], namespace))
    elif name in {".", ".."} or "/" in name:
        keys = tuple(d.resource.key for d in project.read(Path(name)) if d.resource.kind == kind)
    else:
        keys = (Key(kind, namespace, name),)
    if not keys:
        message = f"{kind}: found none {f'in {name}' if name else f'in namespace {namespace}'}"
        raise Refusal(message)
    return keys


def _until(store: Shelf, keys: Sequence[Key], wish: Wish, timeout: float) -> str:
    """Look until the wish is true of all; say what is missing when the time is over.

    Raises:
        Refusal: it will not become true.
    """
    deadline, quiet = time.monotonic() + timeout, 0
    while True:
        seen = [(key, store.get(KINDS[key.kind], key.namespace, key.name)) for key in keys]
        missing = [(key, why) for key, resource in seen if (why := _missing(key, resource, wish))]
        over = time.monotonic() >= deadline
        quiet = 0 if missing else quiet + 1
        # what became true of one may be a reason for another to work again; it takes a moment to notice
        if quiet == (QUIET_POLLS if len(keys) > 1 else 1) or (over and not missing):
            for key in keys:
                click.echo(f"{key} {wish}")
            return ""
        if over:
            return "\n".join(f"{key}: not {wish} after {timeout:g} s: {why}" for key, why in missing)
        time.sleep(POLL_SECONDS)


def _missing(key: Key, resource: Resource | None, wish: Wish) -> str:
    """Say what the wish lacks; empty: it is true."""
    if wish.name == DELETE:
        return "" if resource is None else "it is still there"
    if resource is None:
        message = f"{key}: not found"
        raise Refusal(message)
    if _holds(resource, wish):
        return ""
    stalled = _now(resource, ConditionType.STALLED)
    if stalled is not None and stalled.status == "True":
        message = f"{key}: not {wish}, and time will not change that: {stalled.reason}: {stalled.message}"
        raise Refusal(message)
    ready = _now(resource, ConditionType.READY)
    return "nobody has looked at it yet" if ready is None else f"{ready.reason}: {ready.message}".rstrip(": ")


def _holds(resource: Resource, wish: Wish) -> bool:
    found = _now(resource, ConditionType(wish.name))
    return found is not None and found.status == wish.status


def _now(resource: Resource, kind: ConditionType) -> Condition | None:
    """Give a condition if it is about the spec and the request that are there, and not about earlier ones."""
    status = getattr(resource, "status", None)
    if status is None or status.observed_generation != resource.metadata.generation:
        return None
    if status.last_handled_requested_at != resource.metadata.requested_at:
        return None
    found: Condition | None = status.condition(kind)
    return found
