"""The platform on this machine: which processes it is made of, and how to reach them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cdl.embedded.stack import Service, Stack, StackError, ports

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdl.settings import Settings

ENGINES = ("pachd", "determined", "seldon")
NAMES = (*ENGINES, "seldon-router")
STEPS_IN_IMAGE = "/opt/cdl/pipelines"


def bring_up(settings: Settings, wished: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """Make sure engines and operator run, leaving alone what runs already; name the processes that had to be started.

    Raises:
        Refusal: one did not come up.
    """
    home = settings.home.resolve()
    try:
        stack = Stack(home)
        with stack.alone():
            at = ports(home, NAMES, wished)
            operator = _operator(settings, *_addresses(at))
            return stack.start(_engines(settings, at)) + stack.start((operator,))
    except (StackError, OSError) as error:
        raise Refusal(str(error)) from error


def take_down(settings: Settings) -> tuple[str, ...]:
    """End every process of the platform; give their names.

    Raises:
        Refusal: one would not end.
    """
    if not settings.home.exists():
        return ()
    try:
        stack = Stack(settings.home.resolve())
        with stack.alone():
            return stack.stop()
    except (StackError, OSError) as error:
        raise Refusal(str(error)) from error


def reached(settings: Settings) -> Settings:
    """Fill in where the engines of this machine answer.

    Raises:
        Refusal: they do not run.
    """
    down = [name for name in ended(settings) if name in ENGINES]
    if down:
        message = f"not running: {', '.join(down)}; `cdl run FOLDER` starts it"
        raise Refusal(message)
    at = ports(settings.home.resolve(), NAMES)
    pachd, determined, seldon = _addresses(at)
    return settings.model_copy(update={"pachd": pachd, "determined": determined, "seldon": seldon})


def running(settings: Settings) -> dict[str, int]:
    """The processes that run, with their ids."""
    if not settings.home.exists():
        return {}
    return {name: server.pid for name, server in Stack(settings.home.resolve()).running().items()}


def ended(settings: Settings) -> tuple[str, ...]:
    """The processes of the platform that do not run."""
    alive = running(settings)
    return tuple(name for name in (*ENGINES, "operator") if name not in alive)


def log_of(settings: Settings, name: str) -> Path:
    """Where a process of the platform writes its log."""
    return Stack(settings.home.resolve()).log(name)


def _addresses(at: Mapping[str, int]) -> tuple[str, str, str]:
    pachd, determined, seldon = (at[name] for name in ENGINES)
    return f"grpc://127.0.0.1:{pachd}", f"http://127.0.0.1:{determined}", f"http://127.0.0.1:{seldon}"


def _engines(settings: Settings, at: Mapping[str, int]) -> tuple[Service, ...]:
    home = settings.home.resolve()
    return (
        _server(
            "pachd",
            home / "pachd",
            at["pachd"],
            *("--allow-file-root", str(home / "sources")),
            *("--map", f"{STEPS_IN_IMAGE}={settings.programs.resolve()}"),
        ),
        _server("determined", home / "determined", at["determined"], "--slots", str(settings.slots)),
        _server(
            "seldon",
            home / "seldon",
            at["seldon"],
            *("--router-port", str(at["seldon-router"])),
            *("--image", f"{settings.serving_image}={sys.executable} -m cdl.serving"),
        ),
    )


def _server(name: str, data: object, port: int, *more: str) -> Service:
    command = (sys.executable, "-m", f"cdl.embedded.{name}", "--data", str(data), "--port", str(port), *more)
    return Service(name, command, f"{name} ready")


def _operator(settings: Settings, pachd: str, determined: str, seldon: str) -> Service:
    data = str(settings.data_roots[0]) if settings.data_roots else ""
    told = {
        "CDL_HOME": str(settings.home.resolve()),
        "CDL_PACHD": pachd,
        "CDL_DETERMINED": determined,
        "CDL_SELDON": seldon,
        "CDL_PROGRAMS": str(settings.programs.resolve()),
        **({"CDL_DATA": data} if data else {}),
    }
    # the engines' addresses are part of the command, so that a moved engine gets a new operator
    command = (sys.executable, "-m", "cdl.cli.operate", pachd, determined, seldon, data)
    return Service("operator", command, "operator ready", tuple(told.items()))
