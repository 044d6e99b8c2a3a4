"""One turn of the loop for one resource, and what to do when something goes wrong in it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic

from cdl.api.conditions import Condition, Reason
from cdl.api.duration import length
from cdl.api.meta import Key
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable, Unreadable
from cdl.reconcile.record import counted, unread
from cdl.reconcile.summary import busy, stalled, stamped, troubled

from .context import about
from .controller import Action, Controller, R, S, Seen
from .observer import SILENT, Outcome
from .telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from cdl.api.v1alpha1.resource import Resource
    from cdl.ports.ledger import Ledger
    from cdl.ports.resources import ResourceStore
    from cdl.reconcile.decision import Decision

    from .observer import Observer

FINALIZER = "cdl.dev/engines"
"""Keeps a deleted resource until its engine objects are gone."""
AT_ONCE = timedelta()
INVALID_AGAIN = timedelta(minutes=10)
ROUNDS = 5
"""How often one turn looks again after it acted; the next turn goes on from there."""
FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(minutes=1)

log = logging.getLogger(__name__)


class Unwritten(PortError):  # noqa: N818 - as the errors of the ports
    """Whether a status was written is not known: nobody answered."""


class Retry(timedelta):
    """A time to try again after trouble, whatever its length: not the wait for something that is going on."""


class Reconciler(Generic[R, Seen, S, Action]):
    """Brings resources of one kind closer to their specs, one turn at a time."""

    def __init__(
        self,
        controller: Controller[R, Seen, S, Action],
        store: ResourceStore,
        clock: Callable[[], datetime],
        *,
        may_act: Callable[[], bool] = lambda: True,
        observer: Observer = SILENT,
        ledger: Ledger | None = None,
    ) -> None:
        """Time is handed in, so that a test can play it; `may_act` turns false when another operator may lead."""
        self._controller = controller
        self._store = store
        self._clock = clock
        self._may_act = may_act
        self._observer = observer
        self._teller = Teller(ledger, clock)
        self._failures: dict[tuple[str, str], int] = {}
        self._standing: dict[tuple[str, str], tuple[int, str]] = {}
        """The wish whose last try ended in trouble, by resource."""
        self._faults: dict[tuple[str, str], str] = {}
        """The class of that trouble."""

    def turn(self, namespace: str, name: str) -> timedelta | None:
        """Look, decide, act and report; say when to look again. None: the resource is gone.

        Whatever goes wrong becomes a condition and a time to try again; nothing is raised.
        """
        begun, fault = time.monotonic(), ""
        try:
            again = self._turn(namespace, name)
            outcome, fault = self._outcome(again, (namespace, name))
        except Conflict:
            outcome, again = Outcome.CONFLICT, AT_ONCE
        except PortError as error:  # the store itself is in trouble: there is nowhere to write that down
            log.warning("%s %s/%s: %s", self._controller.kind.__name__, namespace, name, error)
            outcome, again, fault = Outcome.TROUBLE, self._retry((namespace, name)), type(error).__name__
        self._observer.turn(self._controller.kind.__name__, outcome, time.monotonic() - begun, fault or None)
        return again

    def _outcome(self, again: timedelta | None, place: tuple[str, str]) -> tuple[Outcome, str]:
        if again is None:
            return Outcome.GONE, ""
        fault = self._faults.get(place, "")
        return (Outcome.TROUBLE if fault else Outcome.DONE), fault

    def _turn(self, namespace: str, name: str) -> timedelta | None:
        place = (namespace, name)
        try:
            resource = self._store.get(self._controller.kind, namespace, name)
        except Unreadable as error:
            self._faults[place] = type(error).__name__
            return self._refuse(Key(self._controller.kind.__name__, namespace, name), error)
        if resource is None:
            self._failures.pop(place, None)
            self._standing.pop(place, None)
            self._faults.pop(place, None)
            return None
        if not resource.metadata.deleting and FINALIZER not in resource.metadata.finalizers:
            # before the first effect outside, so that a deletion can never overtake it
            finalizers = (*resource.metadata.finalizers, FINALIZER)
            self._store.write_finalizers(resource.key, finalizers, resource.metadata.resource_version)
            return AT_ONCE
        if self._controller.status(resource).last_handled_requested_at != resource.metadata.requested_at:
            self._failures.pop(place, None)  # somebody asks, who may have mended it: be quick again
        with about(resource.key, resource.metadata.generation):
            return self._work_on(resource, place)

    def _work_on(self, resource: R, place: tuple[str, str]) -> timedelta | None:
        try:
            decision = self._attempt(resource)
        except (Conflict, Unwritten):
            raise
        except PortError as error:
            self._faults[place] = type(error).__name__
            trouble, again = self._in_trouble(error, place)
        except Exception as error:
            log.exception("%s: internal fault", resource.key)
            self._faults[place] = type(error).__name__
            trouble = busy(Reason.INTERNAL_FAULT, f"{type(error).__name__}: {error}; the log has the traceback")
            again = self._retry(place)
        else:
            self._failures.pop(place, None)
            self._standing.pop(place, None)
            self._faults.pop(place, None)
            if not resource.metadata.deleting or decision.holds:
                return self._next(resource, decision.look_again_after)
            self._let_go(resource)
            return None
        self._standing[place] = _wish(resource)
        self._complain(resource, trouble)
        return self._next(resource, again)

    def _attempt(self, resource: R) -> Decision[S, Action]:
        """Look, decide and act until nothing is left to do at once, then report; before what takes long, say so."""
        # what failed at the last try stays said until it succeeds: a status must not flap at every try
        self._teller.begun(resource, self._controller.status(resource))
        standing = self._standing.get(_place(resource)) == _wish(resource)
        current, done = resource, None
        for _ in range(ROUNDS):
            decision = self._controller.decide(current, self._controller.look(current, self._clock()))
            if not decision.actions or decision.actions == done:
                break
            if not standing and any(isinstance(action, self._controller.slow) for action in decision.actions):
                self._report(resource, decision.status)
                resource = self._still_wished(resource)
            log.info("%s: %s", resource.key, ", ".join(type(action).__name__ for action in decision.actions))
            for action in decision.actions:
                self._act(resource, action)
            if resource.metadata.deleting:
                return decision
            current, done = resource.model_copy(update={"status": decision.status}), decision.actions
        self._report(resource, decision.status)
        return decision

    def _still_wished(self, resource: R) -> R:
        """Read the resource after a write of ours.

        Raises:
            Conflict: meanwhile somebody wishes for something else.
        """
        now = self._as_it_is_now(resource)
        if now is None or _wish(now) != _wish(resource) or now.metadata.deleting != resource.metadata.deleting:
            raise Conflict(f"{resource.key}: was changed while it was worked on")
        return now

    def _act(self, resource: R, action: Action) -> None:
        if not self._may_act():
            raise Unavailable("this operator does not lead any more")
        self._teller.asked(resource, action, self._controller.status(resource))
        self._controller.act(resource, action)

    def _refuse(self, key: Key, error: Unreadable) -> timedelta | None:
        """Say on a resource what is wrong with it; let a deleted one go, taking along what an earlier spec made."""
        meta: Mapping[str, Any] = error.document.get("metadata", {})
        version, generation = str(meta.get("resourceVersion", "")), int(meta.get("generation", 0))
        finalizers = tuple(str(f) for f in meta.get("finalizers", ()))
        if not meta.get("deletionTimestamp"):
            before = self._controller.kind.read_status(error.document)
            told = troubled(before, generation, stalled(Reason.INVALID_SPEC, str(error)))
            conditions = stamped(before.conditions, told.conditions, self._clock())
            told = counted(before, told.model_copy(update={"conditions": conditions}))
            self._teller.became(unread(key, meta), before, told)
            self._store.write_status(key, told, version)
            return INVALID_AGAIN
        if FINALIZER in finalizers:
            orphaned = (error.document.get("spec") or {}).get("deletionPolicy") == "Orphan"
            (self._controller.let_go if orphaned else self._controller.forget)(key)
            self._store.write_finalizers(key, tuple(f for f in finalizers if f != FINALIZER), version)
        return None

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

    def _retry(self, place: tuple[str, str]) -> Retry:
        """Wait twice as long after each failure in a row."""
        count = self._failures.get(place, 0)
        self._failures[place] = count + 1
        return Retry(seconds=min(FIRST_RETRY * (1 << min(count, 10)), LAST_RETRY).total_seconds())

    def _report(self, resource: R, status: S) -> None:
        """Write a status that says something new."""
        before = self._controller.status(resource)
        told = counted(
            before,
            status.model_copy(
                update={
                    "conditions": stamped(before.conditions, status.conditions, self._clock()),
                    "last_handled_requested_at": resource.metadata.requested_at,
                }
            ),
        )
        if told == before:
            return
        self._teller.became(resource, before, told)
        try:
            self._store.write_status(resource.key, told, resource.metadata.resource_version)
        except Unavailable as error:
            # it may well stand there by now: to complain of this in its place would take back what is true
            raise Unwritten(str(error)) from error

    @staticmethod
    def _next(resource: R, again: timedelta | None) -> timedelta:
        return again if again is not None else length(str(getattr(getattr(resource, "spec", None), "interval", "10m")))


def _place(resource: Resource) -> tuple[str, str]:
    return resource.metadata.namespace, resource.metadata.name


def _wish(resource: Resource) -> tuple[int, str]:
    """What a person can change to have it tried afresh: the spec, or a request to look."""
    return resource.metadata.generation, resource.metadata.requested_at
