"""Who answers for a deployment: arms with weights, chosen by chance, never one that is not ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from cdl.embedded.seldon.endpoint import Endpoint

Key = tuple[str, str]


class Replica(Protocol):
    """A process that may be ready."""

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it listens, while it is ready."""
        ...


@dataclass(frozen=True)
class RouteArm:
    """One predictor as the router sees it."""

    predictor: str
    weight: int
    shadow: bool
    replicas: Sequence[Replica]

    def endpoints(self, without: Endpoint | None = None) -> list[Endpoint]:
        """List the replicas that are ready."""
        found = [replica.endpoint for replica in self.replicas]
        return [endpoint for endpoint in found if endpoint is not None and endpoint is not without]


@dataclass(frozen=True)
class Route:
    """One deployment as the router sees it; replaced whole, so a request sees one set of weights."""

    arms: tuple[RouteArm, ...]
    timeout_seconds: float

    def choose(self, chance: float, turn: int, without: Endpoint | None = None) -> tuple[str, Endpoint] | None:
        """Choose a predictor by chance (0 <= chance < 1) and a replica in turn.

        A predictor without a ready replica takes no part: its share goes to the others, in proportion. A weight of
        0 is never chosen.
        """
        able = [
            (arm, endpoints)
            for arm in self.arms
            if not arm.shadow and arm.weight > 0 and (endpoints := arm.endpoints(without))
        ]
        place = chance * sum(arm.weight for arm, _ in able)
        for arm, endpoints in able:
            if place < arm.weight or arm is able[-1][0]:
                return arm.predictor, endpoints[turn % len(endpoints)]
            place -= arm.weight
        return None

    def shadows(self, chance: float) -> list[tuple[str, Endpoint]]:
        """List the shadows that get a copy; a shadow without traffic gets them all, as with Istio's mirror."""
        return [
            (arm.predictor, endpoints[0])
            for arm in self.arms
            if arm.shadow and (endpoints := arm.endpoints()) and chance * 100 < (arm.weight or 100)
        ]


class Routes:
    """The table: every deployment that exists, with its route once there is one."""

    def __init__(self) -> None:
        self._routes: dict[Key, Route | None] = {}
        self._turns = count()

    def expect(self, key: Key) -> None:
        """Note that a deployment exists, ready or not."""
        self._routes.setdefault(key, None)

    def put(self, key: Key, route: Route) -> None:
        """Set a deployment's route, from one request to the next."""
        self._routes[key] = route

    def remove(self, key: Key) -> None:
        """Forget a deployment."""
        self._routes.pop(key, None)

    def known(self, key: Key) -> bool:
        """Whether there is such a deployment."""
        return key in self._routes

    def get(self, key: Key) -> Route | None:
        """Give a deployment's route, if it has one yet."""
        return self._routes.get(key)

    def turn(self) -> int:
        """Count, so that replicas take turns."""
        return next(self._turns)

    def listed(self) -> list[str]:
        """List the paths of all deployments."""
        return [f"/seldon/{namespace}/{name}/" for namespace, name in sorted(self._routes)]
