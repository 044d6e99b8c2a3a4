"""The ledger in PostgreSQL: the database numbers and chains what is added, one writer at a time."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from cdl.api.canonical import canonical
from cdl.ports.errors import PortError
from cdl.reconcile.chain import Fault, Row, follow

from .door import connect, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.reconcile.record import Entry

    from .door import Connection

PAGE = 500
ADD = "INSERT INTO cdl.ledger (key, entry) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING"
ROWS = """
SELECT number, entry, previous, hash FROM cdl.ledger
WHERE number > %(after)s
  AND (%(kind)s::text IS NULL OR (
        entry::jsonb ->> 'kind' = %(kind)s AND entry::jsonb ->> 'namespace' = %(namespace)s
        AND entry::jsonb ->> 'name' = %(name)s))
  AND (%(since)s::timestamptz IS NULL OR (entry::jsonb ->> 'at')::timestamptz >= %(since)s)
ORDER BY number LIMIT %(page)s
"""
RELEASES = "SELECT document FROM cdl.release WHERE namespace = %s AND name = %s ORDER BY number"
OTHERWISE = """
SELECT coalesce(l.number, r.number),
       CASE WHEN r.number IS NULL THEN 'is missing in' WHEN l.number IS NULL THEN 'was put into' ELSE 'differs in' END
FROM (SELECT number, entry::jsonb AS told FROM cdl.ledger WHERE entry::jsonb -> 'details' ? 'release') l
FULL JOIN cdl.release r ON r.number = l.number
WHERE r.number IS NULL OR l.number IS NULL OR r.document IS DISTINCT FROM l.told -> 'details' -> 'release'
   OR (r.namespace, r.name, r.digest) IS DISTINCT FROM (l.told ->> 'namespace', l.told ->> 'name', l.told ->> 'digest')
ORDER BY 1 LIMIT 1
"""


class PostgresLedger:
    """A Ledger; threads may share one."""

    def __init__(self, address: str) -> None:
        """Name the database and the role that adds; nobody is asked yet."""
        self._address = address
        self._writing = threading.Lock()
        self._writer: Connection | None = None

    def close(self) -> None:
        """Give the connection back."""
        with self._writing:
            self._drop()

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in their order, all or none; see the port.

        Raises:
            Unavailable: nobody answered; some of it may have been kept nevertheless.
        """
        with self._writing:
            try:
                connection = self._connected()
                with translated(), connection.transaction():
                    for entry in entries:
                        connection.execute(ADD, (entry.key, entry.text()))
            except PortError:
                self._drop()
                raise

    def rows(self, about: Key | None = None, since: datetime | None = None) -> Iterator[Row]:
        """Give the rows in their order; read page by page."""
        asked: dict[str, Any] = {
            "kind": about.kind if about else None,
            "namespace": about.namespace if about else None,
            "name": about.name if about else None,
            "since": since,
            "page": PAGE,
            "after": 0,
        }
        with self._reading() as connection:
            while True:
                with translated():
                    page = [Row(*row) for row in connection.execute(ROWS, asked).fetchall()]
                yield from page
                if len(page) < PAGE:
                    return
                asked["after"] = page[-1].number

    def releases(self, namespace: str, name: str) -> tuple[str, ...]:
        """Give what was kept of a Release, oldest first."""
        with self._reading() as connection, translated():
            found = connection.execute(RELEASES, (namespace, name)).fetchall()
        return tuple(canonical(document).decode() for (document,) in found)

    def fault(self) -> Fault | None:
        """Say which row is the first that was changed behind the ledger's back, in either table."""
        broken = follow(self.rows())
        with self._reading() as connection, translated():
            row = connection.execute(OTHERWISE).fetchone()
        otherwise = Fault(int(str(row[0])), f"{row[1]} the table of Releases") if row else None
        faults = [fault for fault in (broken, otherwise) if fault is not None]
        return min(faults, key=lambda fault: fault.number, default=None)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with connect(self._address) as connection:
            yield connection

    def _connected(self) -> Connection:
        if self._writer is None or self._writer.closed:
            self._writer = connect(self._address)
        return self._writer

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
