"""Measure what the registry of transforms saves a trial: `python -m benchmarks.transforms bbc-fulltext.tar.gz`.

Each figure is that of a fresh process which prepares the articles of the BBC use case: without the registry, as the
first that keeps its result, and as one that loads it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASE = ROOT / "use_cases" / "bbc_news"
PAGE = ROOT / "docs" / "reference" / "transform-speed.md"
MARK = "<!-- What follows is written by `python -m benchmarks.transforms --write`. -->"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
PROGRAM = """
import json, sys, time
from pathlib import Path
import torch, prepare
begun = time.perf_counter()
found = prepare.Prepared.of(Path(sys.argv[1]))
seconds = time.perf_counter() - begun
shape = found.training.counts.shape
print(json.dumps([seconds, shape[0] + len(found.validation.labels), shape[1]]))
"""


def main() -> int:
    """Measure, print, and write the page if asked to."""
    options = _options()
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="cdl-bench-", dir=place) as folder:
        told = _report(_measured(_articles(options.archive, Path(folder)), Path(folder), options.rounds))
    sys.stdout.write(told)
    if options.write:
        above = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(f"{above}{MARK}\n\n{told}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transforms", description=__doc__)
    parser.add_argument("archive", type=Path, nargs="?", help="the articles (default: a small look-alike)")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of each sort (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reference/transform-speed.md")
    return parser.parse_args()


def _articles(archive: Path | None, folder: Path) -> Path:
    if archive is None:
        subprocess.run([sys.executable, str(CASE / "synthetic.py"), str(folder / "made")], check=True)
        archive = next((folder / "made").rglob("*.tar.gz"))
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "articles", filter="data")
    return folder / "articles"


def _measured(articles: Path, folder: Path, rounds: int) -> dict[str, list[list[float]]]:
    """Ask a fresh process each time, the three sorts in turns."""
    found: dict[str, list[list[float]]] = {"computed": [], "computed and kept": [], "loaded": []}
    for number in range(rounds):
        cache = folder / f"cache-{number}"
        found["computed"].append(_once(articles, cache, "0"))
        found["computed and kept"].append(_once(articles, cache, "4096"))
        found["loaded"].append(_once(articles, cache, "4096"))
    return found


def _once(articles: Path, cache: Path, limit: str) -> list[float]:
    world = {**os.environ, "CDL_CACHE": str(cache), "CDL_TRANSFORMS_MIB": limit, "PYTHONPATH": str(CASE / "model")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(articles)], env=world, check=True, capture_output=True, text=True
    )
    figures: list[float] = json.loads(done.stdout)
    return figures


def _report(found: dict[str, list[list[float]]]) -> str:
    medians = {what: statistics.median(row[0] for row in rows) for what, rows in found.items()}
    _, articles, stems = found["loaded"][0]
    lines = [f"{articles:.0f} articles, {stems:.0f} stems, {len(found['loaded'])} fresh processes of each sort.", ""]
    lines += ["| what | seconds, median (each) | share of computing |", "|---|---|---|"]
    for what, rows in found.items():
        each = ", ".join(f"{row[0]:.2f}" for row in rows)
        lines.append(f"| {what} | {medians[what]:.2f} ({each}) | {medians[what] / medians['computed']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
