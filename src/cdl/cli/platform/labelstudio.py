"""The Label Studio of a home folder: its environment, its first user, what an operator is told of it."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import httpx

from cdl.cli.refusal import Refusal
from cdl.embedded.labelstudio.environment import PROGRAM, LabelStudioError, lay, make
from cdl.embedded.stack import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cdl.settings import Settings

    Say = Callable[[str], None]

LABEL_STUDIO = "label-studio"
USER = "labeler@localhost"
"""Who signs in first, called after the thesis's role; others are invited in Label Studio."""
ANSWER_SECONDS = 5
PATIENCE = 300
"""Seconds: a newer Label Studio may first bring a large database up to date."""


@dataclass(frozen=True, slots=True)
class Login:
    """How one signs in, as a person and as a program."""

    user: str
    password: str
    token: str


def kept(settings: Settings) -> bool:
    """Tell whether the home folder has a Label Studio of its own."""
    return _record(settings).is_file()


def found(settings: Settings, say: Say) -> None:
    """Have there be its environment, and write down who its first user will be; what is there stays.

    Raises:
        Refusal: the environment cannot be made.
    """
    _made(say)
    if kept(settings):
        return
    folder = _record(settings).parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = Login(USER, secrets.token_urlsafe(12), secrets.token_hex(20))
    beside = _record(settings).with_suffix(".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(asdict(new), out)
    beside.replace(_record(settings))


def login(settings: Settings) -> Login:
    """Say how one signs in.

    Raises:
        Refusal: there is no Label Studio yet.
    """
    try:
        return Login(**json.loads(_record(settings).read_text()))
    except OSError as error:
        message = "there is no Label Studio in this home folder yet; `cdl labelstudio up` starts one"
        raise Refusal(message) from error
    except (ValueError, TypeError) as error:
        raise Refusal(f"{_record(settings)} cannot be read: {error}") from error


def ports_needed(settings: Settings) -> tuple[str, ...]:
    """Name what needs a port for its sake."""
    return (LABEL_STUDIO,) if kept(settings) else ()


def address(at: Mapping[str, int]) -> str:
    """Say where it is."""
    return f"http://127.0.0.1:{at[LABEL_STUDIO]}"


def invitation(settings: Settings, url: str) -> str:
    """Say how a person gets in."""
    return f"Label Studio at {url}: sign in as {login(settings).user}, `cdl labelstudio password` prints the password"


def service(settings: Settings, at: Mapping[str, int], say: Say) -> tuple[Service, ...]:
    """Describe the server; nothing where there is none.

    Raises:
        Refusal: its environment is gone and cannot be made.
    """
    if not kept(settings):
        return ()
    known = login(settings)
    data = _record(settings).parent / "data"
    command = (_made(say, data), "-I", str(PROGRAM), "--data", str(data), "--port", str(at[LABEL_STUDIO]))
    hidden = {"USERNAME": known.user, "PASSWORD": known.password, "USER_TOKEN": known.token}
    told = tuple((f"LABEL_STUDIO_{name}", value) for name, value in hidden.items())

    def ready() -> bool:
        """It knows us: what answers there is no other program."""
        head = {"Authorization": f"Token {known.token}"}
        try:
            url = f"{address(at)}/api/current-user/whoami"
            return httpx.get(url, headers=head, timeout=ANSWER_SECONDS, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    return (Service(LABEL_STUDIO, command, ready, secrets=told, patience=PATIENCE),)


def told(settings: Settings, at: Mapping[str, int]) -> dict[str, str]:
    """Give what an operator's environment says about it; the token is apart."""
    return {"CDL_LABEL_STUDIO": address(at)} if kept(settings) else {}


def hidden(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Give what nobody else may read of that environment."""
    return (("CDL_LABEL_STUDIO_TOKEN", login(settings).token),) if kept(settings) else ()


def _made(say: Say, data: Path | None = None) -> str:
    """Give the interpreter of its environment, once that and its data folder are there."""
    try:
        interpreter = make(say)
        if data is not None:
            lay(data)
        return str(interpreter)
    except LabelStudioError as error:
        raise Refusal(str(error)) from error


def _record(settings: Settings) -> Path:
    return settings.home.resolve() / LABEL_STUDIO / "login.json"
