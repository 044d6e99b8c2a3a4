"""Run the measurements: `python -m benchmarks.data`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

from . import report
from .course import Plan, run

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
DVC = Path(__file__).parents[2] / ".cache" / "dvc"


def main() -> int:
    """Read the options, measure, print, and tell by the exit status whether every target was met."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # a server must not be left behind
    warnings.simplefilter("ignore")  # of the SDKs' own packages
    plan = Plan(
        files=options.files,
        size=options.size,
        large=options.large,
        many=options.many,
        rounds=options.rounds,
        dvc=None if options.no_dvc else options.dvc,
    )
    place = options.place or (MEMORY if MEMORY.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="cdl-bench-", dir=place) as folder:
        figures = run(plan, Path(folder), _say)
    sys.stdout.write(report.text(figures))
    if options.json:
        options.json.write_text(json.dumps(asdict(figures), indent=1, default=str) + "\n")
    if options.write:
        report.write(figures)
        _say(f"wrote {report.PAGE}")
    return 0 if all(line.met for line in report.lines(figures)) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="small files (default: %(default)s)")
    parser.add_argument("--size", type=int, default=800, help="bytes of a small file, about (default: %(default)s)")
    parser.add_argument("--large", type=int, default=200, help="MiB of the large file (default: %(default)s)")
    parser.add_argument("--many", type=int, default=100_000, help="files in one commit (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="everybody in turns, so often (default: %(default)s)")
    parser.add_argument("--place", type=Path, help="where to write (default: /dev/shm where there is one)")
    parser.add_argument("--dvc", type=Path, default=DVC, help="DVC's own environment (default: %(default)s)")
    parser.add_argument("--no-dvc", action="store_true", help="leave DVC out")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reference/data-speed.md")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
