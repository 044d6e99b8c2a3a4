"""Label Studio's own Python environment: made once a user, of pinned packages with their hashes, in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Say = Callable[[str], None]

PINS = Path(__file__).with_name("requirements.txt")
PROGRAM = Path(__file__).with_name("launch.py")
DATABASE = "label_studio.sqlite3"
PREPARED = "prepared"
"""The folder in an environment that has an empty database: making one takes longer than all else of a first start."""
DONE = ".complete"
"""Lies in an environment that was made to the end."""
WORD_SECONDS = 10
"""How often somebody who waits hears a word."""
PATIENCE = "180"
"""Seconds that uv waits for a package index that is silent."""
ASK_SECONDS = 20


class LabelStudioError(Exception):
    """The environment cannot be made; the message is one sentence."""


def folder() -> Path:
    """Where the environment of these pins and of this Python is, or will be."""
    root = os.environ.get("XDG_CACHE_HOME") or ""
    cache = Path(root) if root.startswith("/") else Path.home() / ".cache"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return cache / "cdl" / "label-studio" / f"{hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]}-py{version}"


def made() -> bool:
    """Tell whether it is there."""
    return (folder() / DONE).is_file() and python().exists()


def python() -> Path:
    """Name its interpreter."""
    return folder() / "bin" / "python"


def make(say: Say) -> Path:
    """Make the environment unless it is there, and give its interpreter; two callers make it once.

    Raises:
        LabelStudioError: it cannot be made, as without a network.
    """
    there = folder()
    try:
        there.parent.mkdir(parents=True, exist_ok=True)
        with (there.parent / f".{there.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made():
                shutil.rmtree(there, ignore_errors=True)
                _make(there, say)
                (there / DONE).touch()
    except OSError as error:
        raise LabelStudioError(f"Label Studio's environment cannot be made in {there}: {error}") from error
    return python()


def lay(data: Path) -> None:
    """Have there be a data folder, at first with an empty database; the environment is made.

    Raises:
        LabelStudioError: it cannot be written.
    """
    if data.is_dir():
        return
    beside = data.with_suffix(".new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        shutil.copyfile(folder() / PREPARED / DATABASE, beside / DATABASE)
        beside.rename(data)
    except OSError as error:
        raise LabelStudioError(f"Label Studio's data folder cannot be made in {data}: {error}") from error


def _make(there: Path, say: Say) -> None:
    packages = sum("==" in line for line in PINS.read_text().splitlines())
    say(f"making Label Studio's environment in {there}: {packages} packages, about 1 GB; once, for minutes")
    uv = _uv()
    target = ("--requirement", str(PINS), "--require-hashes")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(there)], there, 0, say)
        install = [uv, "pip", "install", "--python", str(there / "bin" / "python"), "--compile-bytecode", *target]
    else:
        _run([sys.executable, "-m", "venv", str(there)], there, 0, say)
        told = ("--quiet", "--disable-pip-version-check", "--no-input")
        install = [str(there / "bin" / "python"), "-m", "pip", "install", *told, *target]
    _run(install, there, packages, say)
    say("preparing an empty database for Label Studio: half a minute")
    prepared = there / PREPARED
    prepared.mkdir()
    _run([str(there / "bin" / "python"), "-I", str(PROGRAM), "--data", str(prepared), "--prepare"], there, 0, say)
    say("Label Studio's environment is made")


def _uv() -> str:
    """Find uv, which takes a quarter of pip's time; nothing where there is none."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("uv") or ""


def _run(command: Sequence[str], there: Path, packages: int, say: Say) -> None:
    """Run one step of it, with a word for whoever waits.

    Raises:
        LabelStudioError: it fails.
    """
    log = there.parent / f".{there.name}.log"
    begun = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=_environment())
        try:
            while _still(process):
                found = sum(1 for _ in there.glob("lib/python*/site-packages/*.dist-info"))
                done = f"{found} of {packages} packages are installed" if packages else "still working"
                say(f"  {done} after {time.monotonic() - begun:.0f} s")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        words = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        last = " ".join(words[-3:])[-600:] or "it said nothing"
        raise LabelStudioError(f"Label Studio's environment cannot be made ({Path(command[0]).name}): {last}")
    log.unlink()


def _still(process: subprocess.Popen[bytes]) -> bool:
    """Wait a little; tell whether it runs on."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(WORD_SECONDS)
        return False
    return True


def _environment() -> dict[str, str]:
    """Tell uv what this machine tells pip: where packages come from. It does not read pip's settings."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    told.setdefault("UV_HTTP_TIMEOUT", PATIENCE)
    if not told.get("UV_DEFAULT_INDEX") and not told.get("UV_INDEX_URL"):
        index = told.get("PIP_INDEX_URL") or _setting("global.index-url")
        if index:
            told["UV_DEFAULT_INDEX"] = index
    return told


def _setting(name: str) -> str:
    """Ask pip for one of its settings; nothing where there is no pip, or no such setting."""
    command = [sys.executable, "-m", "pip", "config", "get", name]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
