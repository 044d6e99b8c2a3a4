"""The processes of a home folder: what is running, what is not, and the end of all of it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from cdl.cli.context import CLUSTER
from cdl.cli.refusal import Refusal
from cdl.embedded.controlplane.binaries import NEEDED, ControlPlaneError
from cdl.embedded.stack import Running, Service, Stack, StackError, ports

from . import database, forge, labelstudio, vault
from .database import POSTGRES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cdl.settings import Settings

ENGINES = ("pachd", "determined", "seldon")
OPERATOR, ADMISSION = "operator", "admission"
NAMES = (*ENGINES, "seldon-router", POSTGRES)
WITHHELD = (
    "CDL_FORGE_TOKEN",
    "CDL_DATABASE",
    "CDL_DATABASE_OWNER",
    "CDL_LABEL_STUDIO_TOKEN",
    "CDL_PACHD_TOKEN",
    "CDL_PACHD_TRIAL_TOKEN",
    "CDL_PACHD_EVALUATOR_TOKEN",
    "CDL_PACHD_EVALUATOR_TOKEN_FILE",
    "CDL_DETERMINED_PASSWORD",
)
"""What somebody may have named for the operator, and programs that an engine runs must not read."""
STEPS_IN_IMAGE = "/opt/cdl/pipelines"
CLUSTER_OPERATOR = (sys.executable, "-m", "cdl.cli.operator")
LAST = (POSTGRES, *NEEDED[::-1])
"""Ended after all others, who need them to say goodbye."""


@contextlib.contextmanager
def one_at_a_time(settings: Settings) -> Iterator[Stack]:
    """Hold the home folder and give its stack; what goes wrong meanwhile is told in one sentence.

    Raises:
        Refusal: a process did not come up, or would not end.
    """
    try:
        stack = Stack(settings.home.resolve())
        with stack.alone():
            yield stack
    except (StackError, ControlPlaneError, OSError) as error:
        raise Refusal(str(error)) from error


def take_down(settings: Settings) -> tuple[str, ...]:
    """End every process of the platform; give their names.

    Raises:
        Refusal: one would not end.
    """
    if not settings.home.exists():
        return ()
    with one_at_a_time(settings) as stack:
        ended = stack.stop(last=LAST)
        (settings.home.resolve() / CLUSTER).unlink(missing_ok=True)
        return ended


def ports_of(settings: Settings, wished: Mapping[str, int] | None = None) -> dict[str, int]:
    """Give every server of `cdl run` its port."""
    return ports(settings.home.resolve(), (*NAMES, *ports_of_people(settings)), wished)


def reached(settings: Settings) -> Settings:
    """Fill in where the engines of this machine answer, unless the settings name others.

    Raises:
        Refusal: they do not run.
    """
    if settings.pachd and settings.determined and settings.seldon:
        return settings
    down = [name for name in ended(settings) if name in ENGINES]
    if down:
        verb = "cdl up" if is_cluster(_servers(settings)) else "cdl run FOLDER"
        message = f"not running: {', '.join(down)}; `{verb}` starts it"
        raise Refusal(message)
    at = ports(settings.home.resolve(), NAMES)
    pachd, determined, seldon = addresses(at)
    return vault.opened(settings).model_copy(update={"pachd": pachd, "determined": determined, "seldon": seldon})


def answering(settings: Settings) -> tuple[Settings, str]:
    """Fill in where those engines of this machine answer that run; say of the others why they do not."""
    try:
        return reached(settings), ""
    except Refusal as refusal:
        alive = running(settings).keys() & set(ENGINES)
        if not alive:
            return settings, refusal.message
        known = dict(zip(ENGINES, addresses(ports(settings.home.resolve(), NAMES)), strict=True))
        return vault.opened(settings).model_copy(update={name: known[name] for name in alive}), refusal.message


def running(settings: Settings) -> dict[str, int]:
    """The processes that run, with their ids."""
    return {name: server.pid for name, server in _servers(settings).items()}


def expected(settings: Settings) -> tuple[str, ...]:
    """The processes that a platform like the running one is made of."""
    alive = _servers(settings)
    # where it could not be started nobody misses it: `cdl history` says so
    ledger = (POSTGRES,) if database.kept(settings) else ()
    ours = (*ENGINES, *ledger, *ports_of_people(settings), OPERATOR)
    return (*NEEDED, *ours, ADMISSION) if is_cluster(alive) else ours


def is_cluster(alive: Mapping[str, Running]) -> bool:
    """Tell whether what runs is a cluster's, as `cdl up` starts it."""
    ours = any(name in alive for name in (*NEEDED, ADMISSION))
    return ours or (OPERATOR in alive and alive[OPERATOR].command[:3] == CLUSTER_OPERATOR)


def is_local(alive: Mapping[str, Running]) -> bool:
    """Tell whether what runs is `cdl run`'s."""
    return OPERATOR in alive and not is_cluster(alive)


def ended(settings: Settings) -> tuple[str, ...]:
    """The processes of the platform that do not run."""
    alive = running(settings)
    return tuple(name for name in expected(settings) if name not in alive)


def history(settings: Settings) -> str:
    """Give the address of the database that keeps the history; nothing where none is kept.

    Raises:
        Refusal: it is the home folder's own, which does not run.
    """
    if not database.kept(settings):
        return settings.database
    server = _servers(settings).get(POSTGRES)
    if server is None:
        message = f"the history is kept in {settings.home}, whose PostgreSQL does not run; `cdl run FOLDER` starts it"
        raise Refusal(message)
    return database.address(settings, {POSTGRES: database.port_of(server)})


def log_of(settings: Settings, name: str) -> Path:
    """Where a process of the platform writes its log."""
    return Stack(settings.home.resolve()).log(name)


def addresses(at: Mapping[str, int]) -> tuple[str, str, str]:
    """Give the engines' addresses, in the order of ENGINES."""
    pachd, determined, seldon = (at[name] for name in ENGINES)
    return f"grpc://127.0.0.1:{pachd}", f"http://127.0.0.1:{determined}", f"http://127.0.0.1:{seldon}"


def engines(settings: Settings, at: Mapping[str, int], kubeconfig: Path | None = None) -> tuple[Service, ...]:
    """Describe the embedded engines; with a kubeconfig Seldon looks after the objects of that API server."""
    told = () if kubeconfig is None else ("--kubeconfig", str(kubeconfig))
    home = settings.home.resolve()
    return (
        _server(
            "pachd",
            home / "pachd",
            at["pachd"],
            *("--allow-file-root", str(home / "sources")),
            *("--map", f"{STEPS_IN_IMAGE}={settings.programs.resolve()}"),
            *vault.options(settings),
        ),
        _server("determined", home / "determined", at["determined"], "--slots", str(settings.slots)),
        _server(
            "seldon",
            home / "seldon",
            at["seldon"],
            *("--router-port", str(at["seldon-router"])),
            *("--image", f"{settings.serving_image}={sys.executable} -m cdl.serving"),
            *told,
        ),
    )


def told_of_engines(settings: Settings, at: Mapping[str, int]) -> dict[str, str]:
    """Give what an operator's environment says about this machine."""
    pachd, determined, seldon = addresses(at)
    data = str(settings.data_roots[0]) if settings.data_roots else ""
    return {
        "CDL_HOME": str(settings.home.resolve()),
        "CDL_PACHD": pachd,
        "CDL_DETERMINED": determined,
        "CDL_SELDON": seldon,
        "CDL_PROGRAMS": str(settings.programs.resolve()),
        # one that somebody named is inherited, and never written down with what was started
        **({} if settings.database else {"CDL_DATABASE": database.address(settings, at)}),
        **({"CDL_DATA": data} if data else {}),
        **vault.told(settings),
    }


def ports_of_people(settings: Settings) -> tuple[str, ...]:
    """Name the processes where people work, each of which has a port: a forge, who follows it, Label Studio."""
    return (*forge.ports_needed(settings), *labelstudio.ports_needed(settings))


def told_of_people(settings: Settings, at: Mapping[str, int]) -> dict[str, str]:
    """Give what an operator's environment says about where people work."""
    return forge.told(settings, at) | labelstudio.told(settings, at)


def hidden(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Give what nobody else may read of that environment."""
    return (*forge.hidden(settings), *labelstudio.hidden(settings), *vault.hidden(settings))


def tell(line: str) -> None:
    """Say to whoever waits what takes long; standard output is for answers."""
    print(line, file=sys.stderr, flush=True)


def _servers(settings: Settings) -> dict[str, Running]:
    return Stack(settings.home.resolve()).running() if settings.home.exists() else {}


def _server(name: str, data: object, port: int, *more: str) -> Service:
    command = (sys.executable, "-m", f"cdl.embedded.{name}", "--data", str(data), "--port", str(port), *more)
    return Service(name, command, f"{name} ready", withheld=WITHHELD)
