"""A serving engine in memory: what answered before answers until the new servers do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.canonical import short
from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected
from cdl.reconcile.modeldeployment import ServingPhase, ServingSeen
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.meta import Key
    from cdl.reconcile.modeldeployment import ReleaseSeen, ServingWish

BROKEN = "memory:///broken"
"""A release document that no server can load."""


@dataclass(slots=True)
class Deployed:
    """What runs for one owner."""

    wish: ServingWish
    phase: ServingPhase = ServingPhase.CREATING
    answering: ServingWish | None = None
    owner: str = ""
    """uid of the resource that takes it along."""


class MemoryServing:
    """A ServingEngine."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start with nothing running."""
        self.weather = weather or Weather()
        self.deployed: dict[Key, Deployed] = {}
        self.served: list[ReleaseSeen] = []
        """Every release that a server was ever started for."""

    def look(self, owner: Key) -> ServingSeen | None:
        """Report what runs for the owner; changes nothing; None when nothing does."""
        with self.weather.call("look at servers"):
            now = self.deployed.get(owner)
            if now is None:
                return None
            wanted = now.wish.spec.predictor.replicas
            return ServingSeen(
                key=now.wish.key,
                release=now.wish.release.name,
                phase=now.phase,
                url=f"http://127.0.0.1:9000/seldon/{owner.namespace}/{owner.name}",
                desired=wanted,
                ready=wanted if now.phase is ServingPhase.AVAILABLE else 0,
                message="the release document cannot be read" if now.phase is ServingPhase.FAILED else "",
            )

    def serve(self, owner: Key, wish: ServingWish) -> None:
        """Make the engine run the wish. A second call with an equal wish changes nothing.

        Raises:
            Rejected: the wish says why it may not be served.
        """
        with self.weather.call(f"serve {wish.release.name}"):
            if wish.refusal:
                raise Rejected(wish.refusal, Reason.NOT_APPROVED)
            now = self.deployed.get(owner)
            if now is not None and now.wish.key == wish.key:
                return
            self.deployed[owner] = Deployed(wish, answering=now.answering if now else None, owner=wish.owner)
            self.served.append(wish.release)

    def let_go(self, owner: Key) -> None:
        """Make what runs for the owner outlive it."""
        with self.weather.call("let servers go"):
            if owner in self.deployed:
                self.deployed[owner].owner = ""

    def bury(self, uid: str) -> None:
        """Take away what belongs to a resource that is gone, as Kubernetes does by itself."""
        self.deployed = {owner: now for owner, now in self.deployed.items() if now.owner != uid}

    def remove(self, owner: Key) -> None:
        """Stop and remove what runs for the owner."""
        with self.weather.call("remove servers"):
            self.deployed.pop(owner, None)

    def beat(self) -> Mapping[Key, str]:
        """Give a text for every owner that changes whenever a look would see something else."""
        with self.weather.call("beat of servers"):
            return {owner: short([now.wish.key, now.phase.value]) for owner, now in self.deployed.items()}

    def advance(self) -> None:
        """Let new servers come up, or give up."""
        for now in self.deployed.values():
            if now.phase is not ServingPhase.CREATING:
                continue
            if now.wish.release.document == BROKEN:
                now.phase = ServingPhase.FAILED
            else:
                now.phase, now.answering = ServingPhase.AVAILABLE, now.wish

    def answering(self, owner: Key) -> str:
        """Name the release that answers a request now; empty: nobody does."""
        now = self.deployed.get(owner)
        return now.answering.release.name if now and now.answering else ""
