"""The measurements, one function each; a new namespace for each, so that they cannot disturb one another."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cdl.kube import paths

from .client import Client, Readiness, collection, identity
from .documents import pushed
from .meters import Calls, Meters, Span, memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import psutil

    from .place import Place

    Document = dict[str, Any]
    Make = Callable[[str], Sequence[Document]]
    """Gives the documents of a namespace."""

SAMPLE_SECONDS = 0.2
SETTLE_SECONDS = 60.0
RESTLESS_SECONDS = 0.05
KINDS = ("DataPipeline", "Experiment", "ModelDeployment", "Release")
DELETED = ("ModelDeployment", "Experiment", "Release", "DataPipeline")
"""In this order: what serves a Release keeps it, and a Release keeps its data."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Floor:
    """What the API server itself takes: each document posted, and its status written once."""

    objects: int
    seconds: float
    cpu: float
    """Seconds of processor time in the API server and etcd."""
    load: float


@dataclass(frozen=True, slots=True)
class Burst:
    """From the first create until the last of all is Ready."""

    objects: int
    seconds: float
    median: float
    """How long one took, from before its create: half of them less than this."""
    p95: float
    calls: dict[str, int]
    cpu: dict[str, float]
    memory: float
    """The operator's resident memory at its highest, in MiB."""
    files: int
    """Its open file descriptors at their most."""
    load: float

    @property
    def calls_per_object(self) -> float:
        """Requests of everybody about our kinds and our events, but for watches."""
        return sum(n for call, n in self.calls.items() if not call.startswith("WATCH")) / self.objects

    @property
    def events_per_object(self) -> float:
        """Of these, those about events: so many at once and so many a second, however many resources there are."""
        return sum(n for call, n in self.calls.items() if call.endswith(" events")) / self.objects


@dataclass(frozen=True, slots=True)
class Idle:
    """A while in which nobody does anything."""

    objects: int
    seconds: float
    cpu: float
    """The operator's share of one core."""
    cpu_others: dict[str, float]
    writes: dict[str, int]
    leases: int
    changed: int
    """Resources whose version is another one at the end."""
    reads: dict[str, int]
    memory: float
    load: float


@dataclass(frozen=True, slots=True)
class Restart:
    """From the kill of the operator until its successor has looked at everything and is quiet."""

    objects: int
    seconds: float
    cpu: float
    lists: dict[str, int]
    writes: dict[str, int]
    changed: int
    memory: float
    load: float


@dataclass(slots=True)
class Sampler:
    """The highest memory and the most descriptors of a process while it is watched."""

    process: psutil.Process
    memory: float = 0.0
    files: int = 0
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._look()

    def _look(self) -> None:
        resident, files = memory(self.process)
        self.memory, self.files = max(self.memory, resident), max(self.files, files)

    async def _run(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(SAMPLE_SECONDS)


class Bench:
    """The measurements at one place."""

    def __init__(self, place: Place, quiet: float) -> None:
        """Measure here; a burst is over when nothing was written for so many seconds."""
        self._place = place
        self._quiet_seconds = quiet
        self._meters = Meters(place)
        self._statuses: dict[str, Document] = {}
        """The last status that the operator wrote to a resource of each kind."""

    async def learn(self, make: Make) -> None:
        """Have the operator make these Ready, and remember what it wrote: a floor writes the same."""
        await self.burst(make, keep=True)
        async with Client(self._place.api) as client:
            self._statuses = {kind: there["status"] for kind in KINDS for there in await _listed(client, kind)}
        await self.clear()

    @asynccontextmanager
    async def _fresh(self) -> AsyncIterator[tuple[Client, str]]:
        async with Client(self._place.api) as client:
            name = f"bench-{next(_numbers)}"
            await client.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
            yield client, name

    async def floor(self, make: Make) -> Floor:
        """Post each document and write the status that the operator would, and clear them away; nobody reacts."""
        async with self._fresh() as (client, namespace):
            documents = make(namespace)

            async def both(document: Document) -> None:
                stored = await client.create(document)
                version = {"resourceVersion": stored["metadata"]["resourceVersion"]}
                await client.merge(
                    document, {"metadata": version, "status": self._statuses[document["kind"]]}, "/status"
                )

            before, begun = self._meters.read(), time.monotonic()
            await client.each(documents, both)
            seconds = time.monotonic() - begun
            span = self._meters.since(before)

            async def release(document: Document) -> None:
                await client.merge(document, {"metadata": {"finalizers": []}})

            await client.each(documents, release)  # of the webhook, when it is asked
            for place in sorted({collection(document) for document in documents}):
                await client.ask("DELETE", place)
        return Floor(len(documents), seconds, span.cpu["kube-apiserver"] + span.cpu["etcd"], span.load)

    async def burst(self, make: Make, *, keep: bool = False, settle: bool = True) -> Burst:
        """Create everything and wait until the operator made it Ready; then delete it, unless it is kept.

        With `settle` counted is also what comes after, until nothing is written any more.
        """
        async with self._fresh() as (client, namespace):
            documents = make(namespace)
            wanted = {identity(document) for document in documents}
            async with Readiness(client, KINDS) as seen:
                begun: dict[tuple[str, str], float] = {}

                async def create(document: Document) -> None:
                    begun[identity(document)] = time.monotonic()
                    await client.create(document)

                before = self._meters.read()
                async with Sampler(self._place.operator()) as peak:
                    start = time.monotonic()
                    await client.each(documents, create)
                    end = await seen.all_in(seen.ready, wanted)
                    if settle:
                        await self.settle()
                span = self._meters.since(before)
                took = sorted(seen.ready[one] - begun[one] for one in wanted)
                if not keep:
                    await _deleted(client, seen, namespace)
        return Burst(
            objects=len(documents),
            seconds=end - start,
            median=statistics.median(took),
            p95=took[int(0.95 * (len(took) - 1))],
            calls=_words(span.ours()),
            cpu=dict(span.cpu),
            memory=peak.memory,
            files=peak.files,
            load=span.load,
        )

    async def settle(self) -> None:
        """Wait until nothing was written for a while.

        Raises:
            RuntimeError: it goes on and on.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            before = self._meters.read()
            await asyncio.sleep(self._quiet_seconds)
            if not self._meters.since(before).writes():
                return
        raise RuntimeError(f"still writing after {SETTLE_SECONDS:.0f} s: {_words(self._meters.since(before).writes())}")

    async def idle(self, seconds: float) -> Idle:
        """Do nothing, and look who does."""
        async with Client(self._place.api) as client:
            versions = await self._versions(client)
            before = self._meters.read()
            await asyncio.sleep(seconds)
            span = self._meters.since(before)
            changed = versions.items() ^ (await self._versions(client)).items()
        return Idle(
            objects=len(versions),
            seconds=span.seconds,
            cpu=span.cpu["operator"] / span.seconds,
            cpu_others={name: spent / span.seconds for name, spent in span.cpu.items() if name != "operator"},
            writes=_words(span.writes()),
            leases=span.leases(),
            changed=len({name for name, _ in changed}),
            reads=_words(_reads(span)),
            memory=memory(self._place.operator())[0],
            load=span.load,
        )

    async def restart(self) -> Restart:
        """Kill -9 the operator, and see what its successor does."""
        async with Client(self._place.api) as client:
            versions = await self._versions(client)
            before = self._meters.read()
            process = await asyncio.to_thread(self._place.crash)
            quiet_at = await self._quiet(process)
            span, used = self._meters.since(before), process.cpu_times()
            changed = versions.items() ^ (await self._versions(client)).items()
        return Restart(
            objects=len(versions),
            seconds=quiet_at - before.at,
            cpu=used.user + used.system,
            lists=_words(Calls({key: n for key, n in span.ours().items() if key[0] == "LIST"})),
            writes=_words(span.writes()),
            changed=len({name for name, _ in changed}),
            memory=memory(process)[0],
            load=span.load,
        )

    async def poisoned(self, sort: str, make: Make) -> Burst:
        """Measure a burst beside one resource that the engines, or a person, treat badly; `none`: beside none."""
        if sort == "none":
            return await self.burst(make)
        async with self._fresh() as (client, namespace):
            poison = pushed(namespace, f"{sort}-1")
            await client.create(poison)
            unrest = asyncio.create_task(_restless(client, poison)) if sort == "restless" else None
            await asyncio.sleep(2.0)
            try:
                return await self.burst(make, settle=False)  # beside poison there is no silence
            finally:
                if unrest is not None:
                    unrest.cancel()
                    await asyncio.gather(unrest, return_exceptions=True)
                await client.merge(poison, {"metadata": {"finalizers": []}})
                await client.delete(poison)

    async def clear(self) -> float:
        """Delete everything there is, and say how long that took."""
        async with Client(self._place.api) as client, Readiness(client, KINDS) as seen:
            begun = time.monotonic()
            await _deleted(client, seen)
            return time.monotonic() - begun

    async def _quiet(self, process: psutil.Process) -> float:
        """Wait until a process rests, and say since when it does."""
        before, at = sum(process.cpu_times()[:2]), time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            now = sum(process.cpu_times()[:2])
            if now - before < 0.05:
                return at
            before, at = now, time.monotonic()

    async def _versions(self, client: Client) -> dict[str, str]:
        listed = [document for kind in KINDS for document in await _listed(client, kind)]
        return {str(d["metadata"]["uid"]): str(d["metadata"]["resourceVersion"]) for d in listed}


async def _deleted(client: Client, seen: Readiness, namespace: str = "") -> None:
    """Delete everything there is, in a namespace or in all of them, Releases that the operator wrote among it."""
    for kind in DELETED:
        there = [d for d in await _listed(client, kind) if namespace in {"", d["metadata"]["namespace"]}]
        if there:
            await client.each(there, client.delete)
            await seen.all_in(seen.gone, {identity(document) for document in there})


async def _listed(client: Client, kind: str) -> list[Document]:
    found = await client.ask("GET", paths.collection(kind))
    return [{**document, "kind": kind} for document in found["items"]]


async def _restless(client: Client, document: Document) -> None:
    for number in itertools.count(2):
        await client.merge(document, {"spec": {"timeout": f"{number % 600 + 1}m"}})
        await asyncio.sleep(RESTLESS_SECONDS)


def _reads(span: Span) -> Calls:
    writes = span.writes()
    return Calls({key: n for key, n in span.ours().items() if key not in writes})


def _words(calls: Calls) -> dict[str, int]:
    return {f"{verb} {resource}": n for (verb, resource), n in sorted(calls.items())}
