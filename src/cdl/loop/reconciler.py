"""One turn of the loop for one resource, and what to do when something goes wrong in it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Generic

from cdl.api.conditions import Condition, Reason
from cdl.api.duration import length
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected
from cdl.reconcile.summary import busy, stalled, stamped, troubled

from .controller import Action, Controller, R, S, Seen

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cdl.api.v1alpha1.resource import Resource
    from cdl.ports.resources import ResourceStore

FINALIZER = "cdl.dev/engines"
"""Keeps a deleted resource until its engine objects are gone."""
AT_ONCE = timedelta()
FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(minutes=1)

log = logging.getLogger(__name__)


class Reconciler(Generic[R, Seen, S, Action]):
    """Brings resources of one kind closer to their specs, one turn at a time."""

    def __init__(
        self, controller: Controller[R, Seen, S, Action], store: ResourceStore, clock: Callable[[], datetime]
    ) -> None:
        """Time is handed in, so that a test can play it."""
        self._controller = controller
        self._store = store
        self._clock = clock
        self._failures: dict[tuple[str, str], int] = {}
        self._standing: dict[tuple[str, str], tuple[int, str]] = {}
        """The wish whose last try ended in trouble, by resource."""

    @property
    def watches(self) -> frozenset[str]:
        """Other kinds whose changes matter to this one."""
        return self._controller.watches

    def turn(self, namespace: str, name: str) -> timedelta | None:
        """Look, decide, act and report once; say when to look again. None: the resource is gone.

        Whatever goes wrong becomes a condition and a time to try again; nothing is raised.
        """
        try:
            return self._turn(namespace, name)
        except Conflict:
            return AT_ONCE
        except PortError as error:  # the store itself is in trouble: there is nowhere to write that down
            log.warning("%s %s/%s: %s", self._controller.kind.__name__, namespace, name, error)
            return self._retry((namespace, name))

    def _turn(self, namespace: str, name: str) -> timedelta | None:
        resource = self._store.get(self._controller.kind, namespace, name)
        if resource is None:
            self._failures.pop((namespace, name), None)
            self._standing.pop((namespace, name), None)
            return None
        if not resource.metadata.deleting and FINALIZER not in resource.metadata.finalizers:
            # before the first effect outside, so that a deletion can never overtake it
            finalizers = (*resource.metadata.finalizers, FINALIZER)
            self._store.write_finalizers(resource.key, finalizers, resource.metadata.resource_version)
            return AT_ONCE
        place = (namespace, name)
        if self._controller.status(resource).last_handled_requested_at != resource.metadata.requested_at:
            self._failures.pop(place, None)  # somebody asks, who may have mended it: be quick again
        try:
            again = self._attempt(resource)
        except Conflict:
            raise
        except PortError as error:
            trouble, again = self._in_trouble(error, place)
        except Exception as error:
            log.exception("%s: internal fault", resource.key)
            trouble = busy(Reason.INTERNAL_FAULT, f"{type(error).__name__}: {error}; the log has the traceback")
            again = self._retry(place)
        else:
            self._failures.pop(place, None)
            self._standing.pop(place, None)
            if not resource.metadata.deleting:
                return self._next(resource, again)
            self._let_go(resource)
            return None
        self._standing[place] = _wish(resource)
        self._complain(resource, trouble)
        return self._next(resource, again)

    def _attempt(self, resource: R) -> timedelta | None:
        """Look, decide, say what is being done, do it."""
        seen = self._controller.look(resource, self._clock())
        decision = self._controller.decide(resource, seen)
        # what failed at the last try stays said until it succeeds: a status must not flap at every try
        standing = bool(decision.actions) and self._standing.get(_place(resource)) == _wish(resource)
        if not standing:
            self._report(resource, decision.status)
        for action in decision.actions:
            log.info("%s: %s", resource.key, type(action).__name__)
            self._controller.act(resource, action)
        now = self._as_it_is_now(resource) if standing else None
        if now is not None:
            self._report(now, decision.status)
        return decision.look_again_after

    def _as_it_is_now(self, resource: R) -> R | None:
        """Read the resource again: what was done meanwhile may have written to it."""
        return self._store.get(self._controller.kind, *_place(resource))

    def _let_go(self, resource: R) -> None:
        """Nothing of the resource is left at the engines."""
        now = self._as_it_is_now(resource)
        if now is not None:
            rest = tuple(f for f in now.metadata.finalizers if f != FINALIZER)
            self._store.write_finalizers(now.key, rest, now.metadata.resource_version)

    def _complain(self, resource: R, trouble: Condition) -> None:
        """Write the trouble down on the resource as it is by now."""
        now = self._as_it_is_now(resource)
        if now is not None:
            self._report(now, troubled(self._controller.status(now), now.metadata.generation, trouble))

    def _in_trouble(self, error: PortError, place: tuple[str, str]) -> tuple[Condition, timedelta | None]:
        """An error says by its class what must happen next."""
        match error:
            case Rejected():
                return stalled(error.reason, str(error)), None
            case NotPermitted():
                return stalled(Reason.NOT_PERMITTED, str(error)), None
            case _:  # Unavailable, and whatever else time may mend
                return busy(Reason.ENGINE_UNAVAILABLE, str(error)), self._retry(place)

    def _retry(self, place: tuple[str, str]) -> timedelta:
        """Wait twice as long after each failure in a row."""
        count = self._failures.get(place, 0)
        self._failures[place] = count + 1
        return min(FIRST_RETRY * (1 << min(count, 10)), LAST_RETRY)

    def _report(self, resource: R, status: S) -> None:
        before = self._controller.status(resource)
        told = status.model_copy(
            update={
                "conditions": stamped(before.conditions, status.conditions, self._clock()),
                "last_handled_requested_at": resource.metadata.requested_at,
            }
        )
        if told != before:
            self._store.write_status(resource.key, told, resource.metadata.resource_version)

    @staticmethod
    def _next(resource: R, again: timedelta | None) -> timedelta:
        return again if again is not None else length(str(getattr(getattr(resource, "spec", None), "interval", "10m")))


def _place(resource: Resource) -> tuple[str, str]:
    return resource.metadata.namespace, resource.metadata.name


def _wish(resource: Resource) -> tuple[int, str]:
    """What a person can change to have it tried afresh: the spec, or a request to look."""
    return resource.metadata.generation, resource.metadata.requested_at
