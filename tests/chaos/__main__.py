"""`python -m tests.chaos`: the long battery, enumerated first and then by chance; docs/how-to/chaos.md."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cdl.embedded.controlplane.find import find
from tests.chaos import materials
from tests.chaos.course import DATA, DOORS, Course, Scenario, ViolationError
from tests.chaos.journal import Journal
from tests.chaos.kube import is_ready
from tests.chaos.longrun import NAMESPACE, LongRun
from tests.chaos.rig import rig, rights, say
from tests.chaos.sweep import Sweep, kills
from tests.kube.conftest import CRDS, Cluster

if TYPE_CHECKING:
    from tests.chaos.rig import Rig

MOST_RUNS = 8


def main() -> int:
    """Run the battery; 0 when everything held and the run counts."""
    told = _parser().parse_args()
    told.out.unlink(missing_ok=True)
    journal = Journal(told.seed, told.out)
    home = Path(tempfile.mkdtemp(prefix="cdl-chaos-"))
    cluster = Cluster(home / "cluster", find(say))
    held = False
    try:
        cluster.start()
        cluster.kubectl("apply", "-f", CRDS)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", CRDS)
        rights(cluster)
        with rig(home / "home", cluster) as made:
            _prepared(made)
            held = (told.no_sweeps or _sweeps(made, journal)) and LongRun(made, journal, told.minutes).run()
    except ViolationError as violation:
        say(str(violation))
    finally:
        cluster.stop()
        print(json.dumps(journal.summary()))
        if held:
            shutil.rmtree(home, ignore_errors=True)
        else:
            say(f"not good; logs and data are kept in {home}, the faults in {told.out}; again: --seed {told.seed}")
    return 0 if held else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="decides every choice (default 7)")
    parser.add_argument("--minutes", type=float, default=30, help="how long faults fall by chance (default 30)")
    parser.add_argument("--out", type=Path, default=Path("chaos.jsonl"), help="one JSON line a fault goes here")
    parser.add_argument("--no-sweeps", action="store_true", help="leave the enumerated part out")
    return parser


def _prepared(made: Rig) -> None:
    made.operator.start()
    made.kube.namespace(NAMESPACE)
    made.kube.create(materials.pipeline(NAMESPACE, DATA, made.source(DATA), step=""))
    made.kube.until("DataPipeline", NAMESPACE, DATA, is_ready)


def _sweeps(made: Rig, journal: Journal) -> bool:
    """Kill at every call in every state, before and after, reads too, until a run comes by nothing new."""
    for kind in DOORS:
        sweep = Sweep(f"{{{kind.lower()}}}", DOORS[kind], partial(kills, reads_twice=True), journal, fine=True)
        made.gate.plan, made.gate.answered = sweep.plan, sweep.answered
        for run in range(MOST_RUNS):
            Course(Scenario(made, kind, NAMESPACE, f"{kind.lower()[:3]}-swept-{run}"), sweep, quiet_seconds=5).run()
            say(f"{kind}, run {run + 1}: {sweep.fresh} faults, {json.dumps(sweep.figures())}")
            if not sweep.fresh:
                break
        say(sweep.table())
        journal.violations += [f"{kind}: never a victim: {line}" for line in sweep.lacking()]
    return not journal.violations


if __name__ == "__main__":
    sys.exit(main())
