"""The PostgreSQL of a home folder, which keeps the history; none where CDL_DATABASE names another."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

from cdl.cli.refusal import one_sentence
from cdl.embedded.postgres.folder import DATABASE, OWNER, WRITER
from cdl.embedded.postgres.programs import hindrance
from cdl.embedded.stack import Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdl.embedded.stack import Running
    from cdl.settings import Settings

POSTGRES = "postgres"


def service(settings: Settings, at: Mapping[str, int]) -> tuple[Service, ...]:
    """Describe the server; nothing where it is not needed, or cannot be: then no history is kept, and nothing fails."""
    if settings.database or hindrance():
        return ()
    told = ("--data", str(_data(settings)), "--port", str(at[POSTGRES]))
    return (Service(POSTGRES, (sys.executable, "-m", "cdl.embedded.postgres", *told), "postgres ready"),)


def address(settings: Settings, at: Mapping[str, int], role: str = WRITER) -> str:
    """Give the address of the database for a role; the password stays in a file that only we can read."""
    if settings.database or not kept(settings) or hindrance():
        return settings.database
    return f"postgresql://{role}@127.0.0.1:{at[POSTGRES]}/{DATABASE}?passfile={quote(str(_secret(settings, role)))}"


def ready(settings: Settings, at: Mapping[str, int]) -> None:
    """Bring the tables of the running server up to date.

    Raises:
        Refusal: it does not answer, or its tables are not ours.
    """
    if settings.database or not kept(settings) or hindrance():
        return
    from cdl.stores.postgres import prepare

    with one_sentence():
        prepare(address(settings, at, OWNER), address(settings, at))


def kept(settings: Settings) -> bool:
    """Tell whether the home folder has a history of its own."""
    return not settings.database and _secret(settings, WRITER).is_file()


def why_not() -> str:
    """Say why this machine can have no server of its own; nothing when it can."""
    return hindrance()


def port_of(server: Running) -> int:
    """Tell at which port a server of ours was started."""
    return int(server.command[-1])


def _secret(settings: Settings, role: str) -> Path:
    return _data(settings) / "server" / f"{role}.pgpass"


def _data(settings: Settings) -> Path:
    return settings.home.resolve() / "postgres"
