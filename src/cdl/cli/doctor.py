"""`cdl doctor`: say what is installed, what runs and what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from typing import TYPE_CHECKING

import click

from cdl import compose

from .context import settings_of
from .platform import database, expected, running
from .screen import table

if TYPE_CHECKING:
    from cdl.settings import Settings

NEEDED = {
    "pachyderm-sdk": "data engine driver",
    "determined": "training engine driver, trials",
    "kubernetes": "serving engine driver",
    "grpcio": "embedded pachd",
    "uvicorn": "embedded servers, model server",
    "tensorflow-cpu": "Keras projects (make demo sets up)",
    "torch": "PyTorch projects (make demo-bbc sets up)",
}
ROOM_GB = 2


@click.command("doctor", help="Say what is installed, what runs and what is missing.")
def command() -> None:
    """Look at this machine; change nothing."""
    settings = settings_of()
    rows: list[tuple[str, str, str]] = [("python", platform.python_version(), sys.executable)]
    rows += [(name, _version(name), purpose) for name, purpose in NEEDED.items()]
    alive = running(settings)
    rows += [
        (f"process {n}", f"runs, pid {alive[n]}" if n in alive else "does not run", "") for n in expected(settings)
    ]
    rows.append(("control plane", _control_plane(settings), "etcd, kube-apiserver: cdl up"))
    rows.append(("history", _history(settings), "PostgreSQL; CDL_DATABASE names one, `cdl run` and `cdl up` bring one"))
    roots = ", ".join(str(r) for r in settings.data_roots)
    rows.append(("data sets", roots or "none at hand", "CDL_DATA; without it they are downloaded"))
    free = shutil.disk_usage(settings.home if settings.home.exists() else ".").free / 1e9
    rows.append(("free disk", f"{free:.1f} GB", "" if free > ROOM_GB else f"less than {ROOM_GB} GB: runs may fail"))
    table("", ("WHAT", "FOUND", "FOR"), rows)
    missing = [name for name in list(NEEDED)[:5] if _version(name) == "missing"]
    if missing:
        click.echo(f"missing: {', '.join(missing)}; `pip install cdl[run]` installs them")


def _control_plane(settings: Settings) -> str:
    try:
        from .platform.cluster import control_plane
    except ModuleNotFoundError as error:
        return f"needs {error.name}, which `pip install cdl[run]` installs"
    return control_plane(settings) or "none yet; `cdl up` fetches or builds it"


def _history(settings: Settings) -> str:
    if settings.database:
        kept = "kept where CDL_DATABASE says"
    elif database.kept(settings):
        kept = f"kept in {settings.home}"
    else:
        return f"not kept: {database.why_not()}" if database.why_not() else "none yet"
    waiting = len([*(settings.home / compose.OUTBOX).glob("*.json")])
    return f"{kept}, {waiting} entries wait for it to answer" if waiting else kept


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
