"""The vault of a home folder: tokens made once, and the rules by which its pachd gives out the test side."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.settings import Settings

PLATFORM, EVALUATOR = "platform", "evaluator"
TEST_SIDE = ("*-test", "*-test_taken", "*-test_labelled")
"""How the repositories of a test side are called."""


def kept(settings: Settings) -> bool:
    """Tell whether this home folder has a vault, or is to have one; what once was hidden stays so."""
    return settings.vault or _rules(settings).exists()


def options(settings: Settings) -> tuple[str, ...]:
    """Give what a pachd is told of the vault; its tokens are made the first time."""
    if not kept(settings):
        return ()
    made = {who: _token(settings, who) for who in (PLATFORM, EVALUATOR)}
    shown = {who: hashlib.sha256(token.encode()).hexdigest() for who, token in made.items()}
    _written(_rules(settings), json.dumps({"repositories": TEST_SIDE, "tokens": shown}, sort_keys=True))
    return "--vault", str(_rules(settings))


def told(settings: Settings) -> dict[str, str]:
    """Give what an operator's environment says of it: where evaluations find their token."""
    return {"CDL_PACHD_EVALUATOR_TOKEN_FILE": str(_place(settings, EVALUATOR))} if kept(settings) else {}


def hidden(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Give what nobody else may read of that environment: the platform's own token."""
    return (("CDL_PACHD_TOKEN", _token(settings, PLATFORM)),) if kept(settings) else ()


def opened(settings: Settings) -> Settings:
    """Fill in what this machine's pachd wants to be shown, unless the settings name something else."""
    if settings.pachd_token or not kept(settings):
        return settings
    found = {"pachd_token": _token(settings, PLATFORM), "pachd_evaluator_token_file": _place(settings, EVALUATOR)}
    return settings.model_copy(update=found)


def _token(settings: Settings, who: str) -> str:
    place = _place(settings, who)
    if not place.exists():
        _written(place, secrets.token_urlsafe(32))
    return place.read_text(encoding="utf-8")


def _place(settings: Settings, who: str) -> Path:
    return settings.home.resolve() / "vault" / f"{who}.token"


def _rules(settings: Settings) -> Path:
    return settings.home.resolve() / "vault" / "vault.json"


def _written(place: Path, text: str) -> None:
    """Write what only we may read, whole or not at all."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(place)
