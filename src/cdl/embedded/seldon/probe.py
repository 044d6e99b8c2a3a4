"""Ask a model server whether it is ready: as v2, as Seldon, or by taking its connection."""

from __future__ import annotations

import asyncio

PATHS = ("/v2/health/ready", "/health/status")
SECONDS = 3.0


async def answers_ready(host: str, port: int) -> bool:
    """Say whether the server is ready; one that knows neither path is ready when it listens."""
    try:
        async with asyncio.timeout(SECONDS):
            for path in PATHS:
                status = await _status(host, port, path)
                if status != 404:
                    return status == 200
    except (OSError, TimeoutError, ValueError, EOFError):
        return False
    return True


async def _status(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        return int(line.split()[1]) if len(line.split()) > 1 else 0
    finally:
        writer.close()
