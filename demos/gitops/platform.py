"""The platform of a home folder, as who uses the command line sees it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cdl import compose
from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1 import Experiment, ModelDeployment, Release, Resource
from cdl.api.v1alpha1.resource import Status
from cdl.cli.context import CLUSTER
from cdl.settings import Settings

from .people import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

R = TypeVar("R", bound=Resource)
ROLES = ("data-engineer", "labeler", "data-scientist", "validator", "software-engineer", "devops-engineer", "platform")
PRODUCTION = "production"
KEPT = ("sources", "cache")
"""What a new start need not load again."""
LOOK_SECONDS = 0.2


class Stuck(Exception):  # noqa: N818 - of the platform, said to a person
    """Something that should have happened did not; the message says what there was instead."""


def holds(resource: Resource | None, claim: ConditionType) -> bool:
    """Say whether a condition is true of a resource as it is asked for now."""
    status = getattr(resource, "status", None)
    if resource is None or not isinstance(status, Status) or status.observed_generation != resource.metadata.generation:
        return False
    found = status.condition(claim)
    return found is not None and found.status == "True"


def substance(release: Release) -> tuple[str, ...]:
    """Give the digests of what a Release is made of; where the same lies and who wrote it may differ."""
    members: Any = release.spec.members
    return (
        members["data"]["version"],
        members["labels"]["snapshot"],
        members["transforms"]["digest"],
        members["code"]["model"]["digest"],
        members["code"]["serve"]["digest"],
        members["experiment"]["config"]["digest"],
        members["checkpoint"]["digest"],
        members["evaluation"]["report"]["digest"],
        members["environment"]["lock"]["digest"],
    )


class Platform:
    """A home folder, the `cdl` command, and everybody of the team."""

    def __init__(self, home: Path, data: Path | None, limit: float = 300, *, cluster: bool = False) -> None:
        """Work below a folder, on an API server if so wished; nothing is started yet."""
        self.home = home.resolve()
        self.limit = limit
        self._cluster = cluster
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CDL_")}
        self._environment = {**ours, "CDL_HOME": str(self.home), "OMP_NUM_THREADS": "1"}
        if data is not None:
            self._environment["CDL_DATA"] = str(data.resolve())
        self.people: dict[str, Person] = {}

    def start_afresh(self) -> None:
        """End what still runs here, and forget what an earlier story made."""
        if self.home.exists():
            self.cdl("stop")
        for path in self.home.iterdir() if self.home.exists() else ():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.home.mkdir(parents=True, exist_ok=True)

    def open_forge(self, port: int | None = None) -> str:
        """Start the forge, sign everybody in, and give its address."""
        told = self.cdl("forge", "up", *(("--port", str(port)) if port else ()))
        address = told.split()[2].rstrip(";")
        desk = self.home / "desks"
        desk.mkdir(exist_ok=True)
        tokens = {name: self.cdl("forge", "token", name).strip() for name in ROLES}
        self.people = {name: Person(name, address, token, desk) for name, token in tokens.items()}
        if self._cluster:
            self.cdl("up")
        return address

    def cdl(self, *words: str) -> str:
        """Speak a verb; give what it printed.

        Raises:
            Stuck: it was refused.
        """
        command = [sys.executable, "-m", "cdl.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        if done.returncode != 0:
            message = f"cdl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}"
            raise Stuck(message)
        return done.stdout

    def kubectl(self, *words: str) -> str:
        """Ask the API server as who looks after it; give what is printed, nothing where there is no API server."""
        if not self._cluster:
            return ""
        command = ["kubectl", "--kubeconfig", str(self._kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    # --- what is stored -----------------------------------------------------------------------------------------------

    @cached_property
    def _store(self) -> compose.Shelf:
        return compose.store(Settings(home=self.home, kubeconfig=self._kubeconfig if self._cluster else None))

    @property
    def _kubeconfig(self) -> Path:
        return self.home / CLUSTER

    def find(self, kind: type[R], namespace: str, name: str) -> R | None:
        """Give a resource as it stands now."""
        return self._store.get(kind, namespace, name)

    def all(self, kind: type[R], namespace: str) -> Sequence[R]:
        """Give every resource of a kind."""
        return self._store.list(kind, namespace)

    def release_of(self, experiment: Experiment) -> Release | None:
        """Give the Release that an Experiment stands for now."""
        name = experiment.status.release
        return self.find(Release, experiment.metadata.namespace, name) if name else None

    def served(self, name: str) -> str:
        """Name the Release that answers in production; nothing: none does."""
        deployment = self.find(ModelDeployment, PRODUCTION, name)
        return deployment.status.release if deployment is not None else ""

    # --- waiting ------------------------------------------------------------------------------------------------------

    def until(self, what: str, said: Callable[[], R | str | bool | None], look: Callable[[], None]) -> float:
        """Wait until something is so, looking around meanwhile; give the moment.

        Raises:
            Stuck: it did not come to be.
        """
        deadline = time.monotonic() + self.limit
        while not said():
            if time.monotonic() > deadline:
                message = f"waited {self.limit:g} s in vain until {what}"
                raise Stuck(message)
            look()
            time.sleep(LOOK_SECONDS)
        look()
        return datetime.now(UTC).timestamp()
