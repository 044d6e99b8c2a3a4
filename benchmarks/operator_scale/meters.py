"""What can be counted from outside: requests by the API server's own counter, processor time and memory by /proc."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import urllib3

from cdl.api.meta import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdl.kube.client import Api

    from .place import Place

COUNTER = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
LEASE = "leases"
MIB = 2**20

Calls = Counter[tuple[str, str]]
"""Requests by verb and resource; a subresource follows a slash."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The meters at one moment."""

    at: float
    calls: Calls
    cpu: Mapping[str, float]
    """Seconds of processor time so far, by process."""


@dataclass(frozen=True, slots=True)
class Span:
    """What happened between two readings."""

    seconds: float
    calls: Calls
    cpu: Mapping[str, float]
    load: float
    """The machine's load average of one minute, at the end."""

    def ours(self) -> Calls:
        """Requests about our kinds and our events; watches are counted when they end."""
        return Counter({key: count for key, count in self.calls.items() if _plain(key[1]) not in (LEASE, "")})

    def writes(self) -> Calls:
        """Requests that change something of ours; the Lease apart."""
        return Counter({key: count for key, count in self.ours().items() if key[0] in WRITES})

    def leases(self) -> int:
        """Renewals of the Lease."""
        return sum(n for (verb, resource), n in self.calls.items() if resource == LEASE and verb in WRITES)


class Meters:
    """Reads the meters of a place."""

    def __init__(self, place: Place) -> None:
        """Know whom to read."""
        self._place = place
        self._api = place.api

    def read(self) -> Reading:
        """Read all of them now."""
        names = ("etcd", "kube-apiserver", "kube-controller-manager", "admission", "operator")
        cpu = {name: seconds for name in names if (seconds := self._seconds(name)) is not None}
        return Reading(time.monotonic(), Counter(dict(requests(self._api))), cpu)

    def since(self, before: Reading) -> Span:
        """Say what happened since a reading."""
        now = self.read()
        calls = Counter({key: count - before.calls[key] for key, count in now.calls.items()})
        cpu = {name: seconds - before.cpu.get(name, 0.0) for name, seconds in now.cpu.items()}
        return Span(now.at - before.at, +calls, cpu, os.getloadavg()[0])

    def _seconds(self, name: str) -> float | None:
        try:
            process = self._place.operator() if name == "operator" else self._place.process(name)
            used = process.cpu_times()
        except (KeyError, RuntimeError, psutil.NoSuchProcess):
            return None
        return float(used.user + used.system)


def memory(process: psutil.Process) -> tuple[float, int]:
    """Give a process's resident memory in MiB and its open file descriptors."""
    return process.memory_info().rss / MIB, process.num_fds()


def requests(api: Api) -> Iterator[tuple[tuple[str, str], int]]:
    """Read the API server's counter of requests: those of our kinds, of events and of leases.

    Raises:
        RuntimeError: it does not tell.
    """
    known = api.configuration
    with urllib3.PoolManager(ca_certs=known.ssl_ca_cert, cert_file=known.cert_file, key_file=known.key_file) as pool:
        answer = pool.request("GET", f"{known.host}/metrics")
    if answer.status != 200:
        raise RuntimeError(f"/metrics: {answer.status}")
    found: Calls = Counter()
    for labels, value in COUNTER.findall(answer.data.decode()):
        told = dict(LABEL.findall(labels))
        if told["group"] == GROUP or told["resource"] in ("events", LEASE):
            part = f"/{told['subresource']}" if told["subresource"] else ""
            found[told["verb"], f"{told['resource']}{part}"] += int(float(value))
    yield from found.items()


def _plain(resource: str) -> str:
    return resource.partition("/")[0]
