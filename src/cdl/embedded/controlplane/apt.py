"""Debian packages without installing any: an apt of its own beside the system's, and `dpkg -x`; nothing needs root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .binaries import ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUITES = ("bookworm", "oldstable", "stable")
"""Debian 12 by name, and by what it was and is called meanwhile; other archives' suites are left out."""
SYSTEM = Path("/etc/apt")
LAST_LINES = 3


class Apt:
    """The package archive that this system knows, with sources, in a state of its own."""

    def __init__(self, folder: Path, lock: int, system: Path = SYSTEM) -> None:
        """Everything lies below the folder; the lock's file descriptor is held by every program that is started."""
        self._folder = folder
        self._lock = lock
        self._system = system
        self._options = (
            *("-q", "-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"),
            *("-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={folder / 'sources'}"),
            *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "-o", "Acquire::Languages=none"),
        )

    def update(self) -> None:
        """Read the lists of packages and of sources.

        Raises:
            ControlPlaneError: this system knows no archive of Debian 12.
        """
        for name in ("lists/partial", "cache/archives/partial", "sources", "debs", "source"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._folder / "sources")
        (self._folder / "sources").mkdir()
        stanzas = list(_stanzas(self._system))
        if not stanzas:
            raise ControlPlaneError(f"{self._system} names no archive of Debian 12")
        for number, (form, text) in enumerate(stanzas):
            (self._folder / "sources" / f"{number}.{form}").write_text(text)
        # one archive of several that does not answer is no reason to stop: what is missing shows in the next step
        self._get("update", check=False)

    def packages(self, names: Sequence[str], root: Path) -> None:
        """Fetch packages and lay their files below root.

        Raises:
            ControlPlaneError: a package cannot be had.
        """
        debs = self._folder / "debs"
        self._get("download", *names, where=debs)
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            newest = max(debs.glob(f"{name}_*.deb"), key=lambda deb: deb.stat().st_mtime)
            run(("dpkg", "-x", str(newest), str(root)), self._lock)

    def source(self, name: str) -> Path:
        """Fetch the source of a package; give the folder with its archives.

        Raises:
            ControlPlaneError: the source cannot be had.
        """
        self._get("source", "--download-only", name, where=self._folder / "source")
        return self._folder / "source"

    def _get(self, *words: str, where: Path | None = None, check: bool = True) -> None:
        run(("apt-get", *self._options, *words), self._lock, where=where, check=check)


def run(
    command: Sequence[str],
    lock: int,
    *,
    where: Path | None = None,
    environment: dict[str, str] | None = None,
    check: bool = True,
) -> str:
    """Run a program to its end; it holds the lock too, so that it keeps a second build out should it outlive us.

    Raises:
        ControlPlaneError: it failed; its last lines are in the message.
    """
    try:
        done = subprocess.run(
            command,
            cwd=where,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
            if environment is None
            else environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(lock,),
            check=False,
        )
    except OSError as error:
        raise ControlPlaneError(f"{command[0]} cannot be run: {error.strerror}") from error
    if check and done.returncode != 0:
        raise ControlPlaneError(f"`{' '.join(command[:1])}` ended with {done.returncode}: {last_lines(done.stdout)}")
    return done.stdout


def last_lines(text: str) -> str:
    """Give the end of what a program said, in one line."""
    return " / ".join([line.strip() for line in text.splitlines() if line.strip()][-LAST_LINES:])


def _stanzas(system: Path) -> Iterator[tuple[str, str]]:
    """Give every entry of the system's sources for Debian 12, asking for packages and sources: (form, text)."""
    for path in (system / "sources.list", *sorted((system / "sources.list.d").glob("*.list"))):
        for line in path.read_text().splitlines() if path.exists() else ():
            entry = re.match(r"deb(?:-src)?\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line)
            if entry and entry[3].startswith(SUITES):
                rest = f"{entry[1] or ''}{entry[2]} {entry[3]} {entry[4]}"
                yield "list", f"deb {rest}\ndeb-src {rest}\n"
    for path in sorted((system / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            suites = re.search(r"^Suites:\s*(\S+)", stanza, re.MULTILINE | re.IGNORECASE)
            if suites and suites[1].startswith(SUITES) and not re.search(r"(?im)^Enabled:\s*no", stanza):
                yield "sources", re.sub(r"(?im)^Types:.*$", "Types: deb deb-src", stanza) + "\n"
