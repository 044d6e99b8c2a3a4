"""What is followed now and how each of it stands: a value, for whoever tells others of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdl.api.meta import Key
from cdl.reconcile.gitops import State


@dataclass(frozen=True, slots=True)
class Target:
    """The branch, or an open merge request, and how its head stands."""

    project: str
    """The inventory: what `cdl.dev/managed-by` says on its resources."""
    namespace: str
    """Where its resources are; empty: where the files of the branch say."""
    sha: str
    """Its head; empty while nobody knows it."""
    state: State
    sentence: str
    inventory: tuple[Key, ...] = ()
    """What it keeps true."""
    merge_request: int = 0
    """Its number in the project; 0: the branch itself."""
    url: str = ""
    """The page of the merge request."""
    merged: tuple[Mapping[str, object], ...] = ()
    """Of a merge request: the documents that the branch would have if exactly this were merged, of every kind."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that one `cdl gitops` follows; nothing of it is older than its last look."""

    branch: str = ""
    forge_project: str = ""
    """Path of the project on the forge; empty: nobody is told."""
    targets: tuple[Target, ...] = ()


@dataclass(slots=True)
class Stage:
    """Where those who look put what they see, and who tells finds it: the branch, and the merge requests."""

    branch: str
    forge_project: str = ""
    _main: tuple[Target, ...] = ()
    _previews: tuple[Target, ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def show_branch(self, target: Target) -> None:
        """Take how the branch stands."""
        with self._lock:
            self._main = (target,)

    def show_previews(self, targets: tuple[Target, ...]) -> None:
        """Take how all merge requests stand; one that is missing is not open any more."""
        with self._lock:
            self._previews = targets

    def scene(self) -> Scene:
        """Give what is seen now."""
        with self._lock:
            return Scene(self.branch, self.forge_project, self._main + self._previews)
