"""The operator: kopf tells what changed, the loop does the rest, a Lease says who may act.

kopf is used as an informer and nothing else (`on.event`): no handler of its that writes to resources. What it needs
is registered by `register`, so that `kopf run operators/experiment.py` and the console script run the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import kopf

from cdl.api.meta import GROUP, VERSION
from cdl.api.v1alpha1 import KINDS

from .admission import connection
from .paths import plural
from .probes import Probes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cdl.loop import Runner

    from .client import Api
    from .feed import KubeFeed
    from .leadership import Leadership
    from .metrics import Metrics

REQUEST_SECONDS = 30
WATCH_SECONDS = 300
HEARTBEAT_SECONDS = 1.0
DEAF_SECONDS = 60.0
"""So long kopf's loop may be silent before a probe fails."""
LONGEST_BACKOFF = 30.0
GOODBYE_SECONDS = 10.0
"""What kopf has for its own goodbye after ours."""
LOST = 3
"""The exit status of a process that may not act any more; the supervisor starts it again, as a candidate."""

log = logging.getLogger(__name__)


class Operator:
    """One process: a feed, a runner, an election, and kopf that keeps the watches."""

    def __init__(
        self,
        api: Api,
        runner: Runner,
        feed: KubeFeed,
        leadership: Leadership,
        metrics: Metrics,
        *,
        namespaces: tuple[str, ...] = (),
        probes_at: tuple[str, int] | None = None,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the parts; nothing is asked of anybody yet. `closing` is called when all work has ended."""
        self._api = api
        self._runner = runner
        self._feed = feed
        self._leadership = leadership
        self._metrics = metrics
        self._namespaces = namespaces
        self._probes_at = probes_at
        self._closing = closing
        self._stop = threading.Event()
        self._work: threading.Thread | None = None
        self._probes: Probes | None = None
        self._heart: asyncio.Task[None] | None = None
        self._heard = time.monotonic()

    def run(self) -> None:
        """Run kopf in this thread until a signal or trouble that a new process has to mend."""
        registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
        self.register(registry)
        kopf.run(
            registry=registry,
            settings=settings,
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
        )

    def register(self, registry: kopf.OperatorRegistry | None = None) -> None:
        """Tell kopf what to do with what it sees; without a registry in the one `kopf run` uses."""
        known: dict[str, Any] = {} if registry is None else {"registry": registry}
        kopf.on.login(**known)(lambda **_: connection(self._api))
        kopf.on.startup(**known)(self._begin)
        kopf.on.cleanup(**known)(self._end)
        for kind in KINDS:
            kopf.on.event(GROUP, VERSION, plural(kind), **known)(self._event)

    async def _event(self, event: kopf.RawEvent, **_: object) -> None:
        self._feed.event(deleted=event["type"] == "DELETED", document=event["object"])

    async def _begin(self, settings: kopf.OperatorSettings, **_: object) -> None:
        """Lead first: until then nothing is watched and nobody works."""
        configure(settings, scanned=not self._namespaces)
        self._heart = asyncio.create_task(self._beat())
        if self._probes_at is not None:
            self._probes = Probes(self._metrics.registry, *self._probes_at, self.healthy, self.ready)
        try:
            await asyncio.to_thread(self._lead)
        except asyncio.CancelledError:
            self._stop.set()
            raise

    def _lead(self) -> None:
        if not self._leadership.acquire(self._stop):
            return
        self._work = threading.Thread(target=self._drive, name="cdl-runner")
        self._work.start()
        for task in (self._guard, self._announce):
            threading.Thread(target=task, name=f"cdl{task.__name__}", daemon=True).start()

    def _drive(self) -> None:
        """Work; what cannot go on ends the process, and its successor begins afresh."""
        try:
            self._runner.run(self._feed, self._stop)
        except RuntimeError:
            log.exception("the operator cannot go on")
            logging.shutdown()
            os._exit(LOST)

    def _announce(self) -> None:
        self._feed.primed.wait()
        log.info("operator ready: it leads, and every resource was listed")

    def _guard(self) -> None:
        """Who may not act any more ends at once: a thread may be in the middle of something."""
        self._leadership.lost.wait()
        logging.shutdown()
        os._exit(LOST)

    async def _end(self, **_: object) -> None:
        self._stop.set()
        if self._heart is not None:
            self._heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._heart
        await asyncio.to_thread(self._close)
        # kopf 1.45 does not cancel a watch that waits for its first answer, and would wait for it for minutes
        leave = threading.Timer(GOODBYE_SECONDS, _leave)
        leave.daemon = True
        leave.start()

    def _close(self) -> None:
        if self._work is not None:
            self._work.join()
        self._closing()
        self._leadership.release()
        if self._probes is not None:
            self._probes.close()

    async def _beat(self) -> None:
        while True:
            self._heard = time.monotonic()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def healthy(self) -> tuple[bool, str]:
        """Answer the liveness probe."""
        silent = time.monotonic() - self._heard
        if silent > DEAF_SECONDS:
            return False, f"the informer's loop has been silent for {silent:.0f} s"
        if self._work is not None and not self._work.is_alive() and not self._stop.is_set():
            return False, "the workers have ended"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Answer the readiness probe: a candidate that waits for the lease is ready to take over."""
        yes, why = self.healthy()
        if not yes or self._work is None:
            return yes, why if not yes else "waiting for the lease"
        return self._feed.primed.is_set(), "leading" if self._feed.primed.is_set() else "listing the resources"


def _leave() -> None:
    log.warning("kopf did not end within %.0f s of all work: left without it", GOODBYE_SECONDS)
    logging.shutdown()
    os._exit(LOST)


def missed(what: str) -> None:
    """End a process whose watch is dead; its successor lists everything afresh."""
    log.error("%s: starting afresh", what)
    logging.shutdown()
    os._exit(LOST)


def configure(settings: kopf.OperatorSettings, *, scanned: bool) -> None:
    """Have kopf watch patiently, write nothing, and know nobody else."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = not scanned
    settings.networking.request_timeout = REQUEST_SECONDS
    settings.networking.error_backoffs = _Patience()
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + REQUEST_SECONDS
    settings.persistence.diffbase_storage = _NoDifferences()
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # else a line for each event it heard


class _Patience:
    """How long to wait after each failure in a row: longer and longer, and for ever."""

    def __iter__(self) -> Iterator[float]:
        chance = random.SystemRandom()
        return (
            min(LONGEST_BACKOFF, 0.5 * 2**n) * chance.uniform(0.5, 1.0)
            for n in itertools.chain(range(7), itertools.repeat(7))
        )


class _NoDifferences(kopf.DiffBaseStorage):
    """Nothing to compare with: kopf copies each resource it hears of, to find out which of our handlers to call.

    `on.event` is called in any case, and that copy is half of what an event costs.
    """

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass
