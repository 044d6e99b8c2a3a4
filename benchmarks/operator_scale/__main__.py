"""Run the measurements: `python -m benchmarks.operator_scale`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from . import report
from .course import Plan, run


def main() -> int:
    """Read the options, measure, print, and tell by the exit status whether every target was met."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an API server must not be left behind
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    plan = Plan(options.objects, options.rounds, options.idle, options.others)
    with tempfile.TemporaryDirectory(prefix="cdl-scale-") as folder:
        figures = asyncio.run(run(plan, Path(folder), _say))
    sys.stdout.write(report.text(figures))
    if options.json:
        options.json.write_text(json.dumps(asdict(figures), indent=1) + "\n")
    if options.write:
        report.write(figures)
        _say(f"wrote {report.PAGE}")
    return 0 if all(line.met for line in report.lines(figures)) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator_scale", description=__doc__)
    parser.add_argument("--objects", type=int, default=1000, help="resources in a burst (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="floors and bursts, taken in turns (default: %(default)s)"
    )
    parser.add_argument("--idle", type=float, default=600, help="seconds of doing nothing (default: %(default)s)")
    parser.add_argument(
        "--others", type=int, default=200, help="resources beside a poisoned one (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reference/scale.md")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
