"""Run the measurements: `python -m benchmarks.serving`.

Caller and server share the machine, and the caller is Python too: what is fast looks slower than it is, so a ratio to a
slower server is a lower bound. Nothing is written down anywhere; the figures are those of this run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .load import Speed, measure
from .servers import Started, servers

PEERS = Path(__file__).parents[2] / ".cache" / "serving-peers"
LOADS = (1, 8, 32)


def main() -> int:
    """Start one after another, ask, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="for each server and load (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="everybody in turns, so often (default: %(default)s)")
    parser.add_argument(
        "--peers",
        type=Path,
        default=PEERS,
        help="folder of environments: fastapi, seldon, mlserver (default: %(default)s)",
    )
    options = parser.parse_args()
    best: dict[tuple[str, int], Speed] = {}
    with tempfile.TemporaryDirectory(prefix="cdl-bench-") as name:
        found, missing = servers(Path(name), options.peers)
        for number in range(options.rounds):
            for server in found:
                sys.stderr.write(f"round {number + 1} of {options.rounds}: {server.name}\n")
                with Started(server, Path(name)) as started:
                    for callers in LOADS:
                        seen = measure(started.port, server.path, server.body, callers, options.seconds)
                        key = (server.name, callers)
                        best[key] = max(seen, best.get(key, seen), key=lambda speed: speed.a_second)
    for sentence in missing:
        sys.stdout.write(sentence + "\n")
    sys.stdout.write(f"{'server':<20}{'callers':>8}{'per second':>12}{'median ms':>11}{'p99 ms':>9}{'ours is':>10}\n")
    for (name, callers), speed in best.items():
        ratio = best["ours", callers].a_second / speed.a_second
        figures = f"{speed.a_second:>12.0f}{speed.median_ms:>11.2f}{speed.p99_ms:>9.2f}{ratio:>9.2f}x"
        sys.stdout.write(f"{name:<20}{callers:>8}{figures}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
