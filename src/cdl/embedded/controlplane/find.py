"""Where the control plane's programs are taken from: the first place that has all of them, in a working state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .binaries import NEEDED, Binaries, ControlPlaneError, cache, program

if TYPE_CHECKING:
    from collections.abc import Callable


def find(say: Callable[[str], None]) -> Binaries:
    """Give the programs.

    Raises:
        ControlPlaneError: no place has them.
    """
    for folder in sorted(cache().glob("v*"), reverse=True):
        etcd, apiserver, manager = (folder / name for name in NEEDED)
        if all(map(program, (etcd, apiserver, manager))):
            found = Binaries(etcd, apiserver, manager, f"cdl's cache ({folder.name})")
            say(f"control plane from {found.origin}")
            return found
    message = "no kube-apiserver was found; `python -m cdl.embedded.controlplane` fetches or builds it"
    raise ControlPlaneError(message)


def kubectl(binaries: Binaries) -> Path:
    """Give a kubectl: the person's own, else the one that came with the programs.

    Raises:
        ControlPlaneError: there is none.
    """
    own = shutil.which("kubectl")
    beside = binaries.apiserver.parent / "kubectl"
    if own or program(beside):
        return Path(own or beside)
    message = "kubectl is neither on PATH nor beside kube-apiserver; install it"
    raise ControlPlaneError(message)
