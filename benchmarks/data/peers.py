"""The others: cp, git and DVC, each as a person would call it; a measurement is the time of the whole command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .materials import gone

MINUTES = 20
GIT = ("git", "-c", "user.name=b", "-c", "user.email=b@localhost", "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null")


class NotMeasuredError(Exception):
    """One of them is not to be had; the sentence says why."""


def timed(command: tuple[str, ...], folder: Path) -> float:
    """Run a command in a folder; gives its seconds.

    Raises:
        NotMeasuredError: it failed.
    """
    quiet = {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60 * MINUTES, env=quiet
    )
    took = time.perf_counter() - begun
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotMeasuredError(f"{Path(command[0]).name} ended with {done.returncode}: {said[-1] if said else ''}")
    return took


@dataclass(frozen=True, slots=True)
class Copy:
    """`cp -r`: the floor."""

    place: Path
    name: str = "cp -r"

    def commit(self, folder: Path) -> float:
        """Copy everything, again each time: cp knows no other way."""
        target = self.place / "copied"
        gone(target)
        return timed(("cp", "-r", str(folder), str(target)), self.place)

    def read_back(self) -> float:
        """Copy it somewhere else."""
        target = self.place / "copied back"
        gone(target)
        return timed(("cp", "-r", str(self.place / "copied"), str(target)), self.place)


@dataclass(frozen=True, slots=True)
class Git:
    """`git add` and `git commit`, the files lying in the repository already."""

    place: Path
    name: str = "git add + commit"

    def commit(self, folder: Path) -> float:
        """Add and commit; that the files have to be put there first is not counted."""
        repository = self.place / "repository"
        if not repository.is_dir():
            repository.mkdir()
            timed((*GIT, "init", "-q"), repository)
        _mirror(folder, repository / "data")
        added = timed((*GIT, "add", "-A"), repository)
        return added + timed((*GIT, "commit", "-q", "-m", "m"), repository)

    def read_back(self) -> float:
        """Clone what was committed."""
        target = self.place / "cloned"
        gone(target)
        return timed((*GIT, "clone", "-q", "--no-hardlinks", str(self.place / "repository"), str(target)), self.place)


@dataclass(frozen=True, slots=True)
class Dvc:
    """`dvc add`, in a folder of its own; DVC's own link types as they come."""

    place: Path
    program: Path
    name: str = "dvc add"

    def commit(self, folder: Path) -> float:
        """Add the folder; that the files have to be put there first is not counted."""
        project = self.place / "project"
        if not project.is_dir():
            project.mkdir()
            timed((str(self.program), "init", "--no-scm", "-q"), project)
        _mirror(folder, project / "data")
        return timed((str(self.program), "add", "-q", "data"), project)

    def read_back(self) -> float:
        """Take the files out of the cache again."""
        project = self.place / "project"
        gone(project / "data")
        return timed((str(self.program), "checkout", "-q", "data.dvc"), project)


def dvc_program(folder: Path, say: Callable[[str], None]) -> Path:
    """Have DVC in an environment of its own; nothing of it comes near cdl's.

    Raises:
        NotMeasuredError: it cannot be installed.
    """
    program = folder / "bin" / "dvc"
    if not program.is_file():
        say(f"installing DVC into {folder}")
        try:
            venv.create(folder, with_pip=True, clear=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotMeasuredError(f"no environment for DVC can be made: {error}") from error
        try:
            timed((str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "dvc"), folder)
        except NotMeasuredError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return program


def dvc_version(program: Path) -> str:
    """Say which DVC was measured."""
    done = subprocess.run((str(program), "--version"), capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def python() -> str:
    """Say which Python runs us."""
    return ".".join(map(str, sys.version_info[:3]))


def _mirror(folder: Path, target: Path) -> None:
    """Make the target hold what the folder holds, touching only what differs, as an editor would have."""
    for source in sorted(folder.rglob("*")):
        place = target / source.relative_to(folder)
        if source.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.is_file() or place.read_bytes() != source.read_bytes():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)  # DVC may have made it a link into its cache, or read-only
            shutil.copyfile(source, place)
