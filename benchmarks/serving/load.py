"""Callers: so many at once, each asks again as soon as it is answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import uvloop

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Speed:
    """What one run saw."""

    a_second: float
    median_ms: float
    p99_ms: float


def measure(port: int, path: str, body: bytes, callers: int, seconds: float) -> Speed:
    """Ask for some seconds; every answer must be a 200."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_course(port, head.encode() + body, callers, seconds / 3))  # warm
        begun = time.perf_counter()
        took = sorted(runner.run(_course(port, head.encode() + body, callers, seconds)))
        passed = time.perf_counter() - begun
    return Speed(len(took) / passed, 1000 * took[len(took) // 2], 1000 * took[int(len(took) * 0.99)])


async def _course(port: int, request: bytes, callers: int, seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    async with asyncio.timeout(seconds + PATIENCE_SECONDS):
        return [
            took
            for part in await asyncio.gather(*(_caller(port, request, end) for _ in range(callers)))
            for took in part
        ]


async def _caller(port: int, request: bytes, end: float) -> list[float]:
    took: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not took or time.perf_counter() < end:
        begun = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"port {port} answered {head[:40]!r}")
        await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        took.append(time.perf_counter() - begun)
        if b"connection: close" in head:  # a server that begins anew for each request
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return took
