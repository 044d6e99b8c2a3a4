"""Fetch the rows of a query from a PostgreSQL database, as CSV with a header."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .faults import PlaceError

if TYPE_CHECKING:
    from typing import IO

SCHEME = "postgresql://"
READ_ONLY = "-c default_transaction_read_only=on"
CONNECT_SECONDS = 10


def rows(uri: str, query: str, out: IO[bytes]) -> None:
    """Write what the query gives to the open file; the same rows in the same order are the same bytes.

    Raises:
        PlaceError: the database does not answer, or refuses the query.
    """
    try:
        import psycopg  # noqa: PLC0415 - only who has such a source needs it
    except ImportError as error:
        raise PlaceError(f"{shown(uri)} needs the package psycopg, which is not installed", lasting=True) from error
    asked = query.strip().rstrip(";")
    try:
        with psycopg.connect(uri, connect_timeout=CONNECT_SECONDS, options=READ_ONLY) as database:
            # One whole statement, parsed and not run: what is that by itself cannot close the bracket below.
            parsed = database.pgconn.prepare(b"", asked.encode())
            if parsed.status != psycopg.pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(parsed)
            with database.cursor().copy(f"COPY ({asked}\n) TO STDOUT (FORMAT csv, HEADER)".encode()) as found:
                for piece in found:
                    out.write(piece)
    except psycopg.Error as error:
        refused = error.sqlstate is not None and not error.sqlstate.startswith(("08", "53", "57", "58"))
        raise PlaceError(f"{shown(uri)} gave no rows ({_short(error)})", lasting=refused) from error
    except UnicodeError as error:
        raise PlaceError(f"{shown(uri)} cannot be asked ({error})", lasting=True) from error


def shown(uri: str) -> str:
    """Say which database it is, without what stands behind the question mark."""
    at = urlsplit(uri)
    return f"{SCHEME}{at.netloc}{at.path}"


def _short(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
