"""The way to the database: patience, and what goes wrong on it in our words."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cdl.ports.errors import NotPermitted, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 3
ANSWER_MILLISECONDS = 10_000
"""Who waits longer for one statement goes on without it."""

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(address: str) -> Connection:
    """Open a connection on which every statement is its own transaction.

    Raises:
        Unavailable: nobody answers, or not to us.
        Rejected: the address is none.
    """
    patience = f"-c statement_timeout={ANSWER_MILLISECONDS} -c lock_timeout={ANSWER_MILLISECONDS}"
    with translated():
        full = make_conninfo(
            address,
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=ANSWER_MILLISECONDS,
            application_name="cdl",
            options=patience,
        )
        return psycopg.connect(full, autocommit=True)


def role(address: str) -> str:
    """Give the name of the role an address logs in as.

    Raises:
        Rejected: it names none.
    """
    with translated():
        user = conninfo_to_dict(address).get("user")
    if not user:
        raise Rejected("CDL_DATABASE: found an address without a user, expected postgresql://WRITER@HOST/DATABASE")
    return str(user)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Say what went wrong in the errors of the ports.

    Raises:
        Unavailable: time may mend it.
        NotPermitted: a right is missing.
        Rejected: the tables are not there, or what was sent is wrong.
    """
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotPermitted(f"the database: {_sentence(error)}") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise Rejected("the database has no tables of cdl; `cdl audit prepare` makes them") from error
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.UniqueViolation) as error:
        raise Unavailable(f"the database: {_sentence(error)}") from error
    except psycopg.Error as error:
        raise Rejected(f"the database: {_sentence(error)}") from error


def _sentence(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
