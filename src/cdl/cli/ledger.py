"""What the verbs about the past share: where the ledger is, and which entries somebody asks about."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cdl import compose
from cdl.api.duration import length
from cdl.api.v1alpha1 import KINDS
from cdl.api.v1alpha1.resource import Status
from cdl.ports.errors import PortError
from cdl.reconcile.record import Entry

from .context import settings_of
from .platform import history
from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdl.reconcile.chain import Row
    from cdl.stores.postgres import PostgresLedger

OFF = (
    "no history is kept here: CDL_DATABASE names no PostgreSQL, and no `cdl run` or `cdl up` has made one in {home};"
    " with one, everything that happens is written down"
)


def opened() -> PostgresLedger:
    """Open the ledger to read it.

    Raises:
        Refusal: there is none, or it is the home folder's own and does not run.
    """
    settings = settings_of()
    address = history(settings)
    if not address:
        raise Refusal(OFF.format(home=settings.home))
    return compose.history(address)


def waiting() -> int:
    """How many entries an operator of this home folder could not tell the ledger yet."""
    return sum(1 for _ in (settings_of().home / compose.OUTBOX).glob("*.json"))


def moment(text: str | None) -> datetime | None:
    """Read a time, or how long ago it was, as in 2026-01-31, 2026-01-31T12:00:00+01:00 or 24h.

    Raises:
        Refusal: it is neither.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - _ago(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _ago(text: str) -> timedelta:
    if re.fullmatch(r"([0-9]+[dhms])+", text):
        return length(text)
    message = f"--since: found {text!r}, allowed: a time as in 2026-01-31T12:00:00Z, or how long ago, as in 24h"
    raise Refusal(message)


def statuses() -> dict[str, Status]:
    """What the resources say now, by uid; nothing where they cannot be asked, or know more than the ledger."""
    settings = settings_of()
    if waiting() or (settings.kubeconfig is None and not settings.home.exists()):
        return {}
    try:
        store = compose.store(settings)
        found = [resource for kind in KINDS.values() for resource in store.list(kind)]
    except PortError:
        return {}
    said = ((resource.metadata.uid, getattr(resource, "status", None)) for resource in found)
    return {uid: status for uid, status in said if isinstance(status, Status)}


def entries(rows: Iterable[Row]) -> Iterator[Entry]:
    """Read the entries of rows."""
    return (Entry.model_validate_json(row.entry) for row in rows)
