"""Measure lists of a full master: `python -m benchmarks.experiment_lists --experiments 10000 --metrics 100 --write`.

An embedded master runs a first experiment's worth of rows, which are then copied in its database while it is down, one
trial and so many validations each. Afterwards pages are asked for over HTTP as the SDK and the operator ask.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "list-speed.md"
MARK = "<!-- What follows is written by `python -m benchmarks.experiment_lists --write`. -->"
GOAL = 0.200
CONFIG = """
name: bench
entrypoint: python3 train.py
labels: [cdl, "cdl-owner=default.bench-0", "cdl-key=k"]
searcher: {name: single, metric: accuracy, smaller_is_better: false, max_length: 1}
resources: {slots_per_trial: 1}
hyperparameters: {rate: 0.1}
max_restarts: 0
"""
PAGES = {
    "newest 50 experiments": "experiments?limit=50&orderBy=ORDER_BY_DESC&sortBy=SORT_BY_ID",
    "50 in the middle": "experiments?limit=50&offset={middle}",
    "runs of one Experiment, by label": "experiments?labels=cdl-owner%3Ddefault.bench-{middle}",
    "trials of one": "experiments/{middle}/trials?limit=50",
}


def main() -> int:
    """Measure, print, and write the page if asked to."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="cdl-bench-") as folder:
        state = Path(folder) / "state"
        with _master(state) as address:
            _created(address)
        _copied(state, options.experiments, options.metrics)
        with _master(state) as address:
            told = _report(address, options)
    sys.stdout.write(told)
    if options.write:
        above = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(f"{above}{MARK}\n\n{told}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiment_lists", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000, help="how many (default: %(default)s)")
    parser.add_argument("--metrics", type=int, default=100, help="validations of each (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=50, help="times each page is asked for (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reference/list-speed.md")
    return parser.parse_args()


@contextlib.contextmanager
def _master(state: Path) -> Iterator[str]:
    """Run a master on a folder; gives its address."""
    command = [sys.executable, "-m", "cdl.embedded.determined", "--data", str(state), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if process.stdout is None:
        raise RuntimeError("the master has no output")
    try:
        yield process.stdout.readline().strip().removeprefix("determined ready ")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def _asked(address: str, path: str, token: str = "", body: object = None) -> dict[str, object]:
    content = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{address}/api/v1/{path}", content, headers)  # noqa: S310 - our own master
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        found: dict[str, object] = json.load(answer)
    return found


def _token(address: str) -> str:
    return str(_asked(address, "auth/login", body={"username": "determined", "password": ""})["token"])


def _created(address: str) -> None:
    """Make the experiment whose rows are copied; it never runs."""
    wish = {"config": CONFIG, "modelDefinition": [], "activate": False}
    _asked(address, "experiments", _token(address), wish)


def _copied(state: Path, experiments: int, metrics: int) -> None:
    """Copy the rows: every copy has ended, has one trial, and as many validations as are wished for."""
    (file,) = [path for path in state.rglob("*.db") if _holds_experiments(path)]
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        row = database.execute("SELECT * FROM experiments").fetchone()
        columns = [column[1] for column in database.execute("PRAGMA table_info(experiments)")]
        first = dict(zip(columns, row, strict=True))
        database.execute("DELETE FROM experiments")
        database.execute("DELETE FROM trials")
        marks = ", ".join(f":{name}" for name in columns)
        ended = {"state": "COMPLETED", "tidied": 1, "end_time": time.time()}
        for number in range(1, experiments + 1):
            own = {"id": number, "config": str(first["config"]).replace("bench-0", f"bench-{number}")}
            database.execute(f"INSERT INTO experiments VALUES ({marks})", first | ended | own)  # noqa: S608 - our names
            database.execute(
                "INSERT INTO trials (id, experiment_id, request_id, task_id, seed, hparams, state, start_time, "
                "end_time, queued_at) VALUES (?, ?, 'r', ?, 1, '{\"rate\": 0.1}', 'COMPLETED', 1, 2, 1)",
                (number, number, f"trial.{number}"),
            )
        database.execute(
            "WITH RECURSIVE step (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM step WHERE n < ?) "
            "INSERT INTO metrics (trial_id, run_id, kind, steps, metrics, end_time) SELECT trials.id, 1, 'validation', "
            "n * 10, json_object('accuracy', 1 - 1.0 / (n + trials.id % 7), 'epochs', n), 2 FROM trials, step",
            (metrics,),
        )


def _holds_experiments(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as database:
        asked = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'experiments'")
        return bool(asked.fetchone()[0])


def _report(address: str, options: argparse.Namespace) -> str:
    token, middle = _token(address), options.experiments // 2
    rows = options.experiments * options.metrics
    lines = [f"{options.experiments:,} experiments, {rows:,} rows of metrics; each page {options.rounds} times.", ""]
    lines += ["| page | p50 | p95 | goal: p95 at most 200 ms |", "|---|---|---|---|"]
    for name, path in PAGES.items():
        times = []
        for _ in range(options.rounds):
            begun = time.perf_counter()
            _asked(address, path.format(middle=middle), token)
            times.append(time.perf_counter() - begun)
        times.sort()
        half, most = times[len(times) // 2], times[min(len(times) * 95 // 100, len(times) - 1)]
        lines.append(
            f"| {name} | {half * 1000:.0f} ms | {most * 1000:.0f} ms | {'met' if most <= GOAL else 'missed'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
