"""The programs a control plane is made of, and the folder where cdl keeps those it fetched or built."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager")
"""The programs, which are also the names of the services, in the order they need each other."""


class ControlPlaneError(Exception):
    """The programs cannot be had, or do not work; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The three programs, and where they were found."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    origin: str

    @property
    def paths(self) -> tuple[Path, ...]:
        """The programs, in the order of NEEDED."""
        return (self.etcd, self.apiserver, self.controller_manager)


def cache() -> Path:
    """Where fetched and built programs are kept for every home folder of this user."""
    root = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(root) if root.startswith("/") else Path.home() / ".cache") / "cdl" / "control-plane"


def program(path: Path) -> bool:
    """Tell whether a file can be run."""
    return path.is_file() and os.access(path, os.X_OK)


def keep(record: Path, binaries: Binaries) -> None:
    """Note which programs a data folder is used with: its next start should not take others by chance."""
    beside = record.with_suffix(".new")
    beside.write_text(json.dumps([str(path) for path in binaries.paths]))
    beside.replace(record)


def kept(record: Path) -> Binaries | None:
    """Give the programs that were used last, if all of them are still there."""
    try:
        etcd, apiserver, manager = (Path(path) for path in json.loads(record.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    held = Binaries(etcd, apiserver, manager, "the last start")
    return held if all(map(program, held.paths)) else None
