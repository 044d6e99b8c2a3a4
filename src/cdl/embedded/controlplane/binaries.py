"""The programs a control plane is made of, and the folder where cdl keeps those it fetched or built."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager")


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
