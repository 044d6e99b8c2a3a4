"""Cron inputs and cron triggers: what the clock writes, and the task that watches it."""

import asyncio
import contextlib
import sqlite3
import sys
from datetime import UTC, datetime
from typing import NamedTuple

from cdl.embedded.pachd import clock, commits, inputs, layers, pipelines, refs, trees, triggers
from cdl.embedded.pachd.blobs import EMPTY
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.inputs import Leaf
from cdl.embedded.pachd.pipelines import Pipeline
from cdl.embedded.pachd.refs import Repo
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import Store, now
from cdl.embedded.pachd.trees import DEFAULT_TAG, Change

PAUSE = 0.2  # seconds between two looks at the clock, however much is written meanwhile
LONGEST = 3600.0  # and between two looks at the most: the machine may have slept


class Cron(NamedTuple):
    """A cron input of a pipeline, and the repo into which it ticks."""

    repo: Repo
    leaf: Leaf


def of_pipeline(db: sqlite3.Connection, pipeline: Pipeline) -> list[Cron]:
    """List a pipeline's cron inputs."""
    spec = pipelines.spec_of(db, pipeline.id, pipeline.version).message()
    found = [(refs.find_repo(db, leaf.repo), leaf) for leaf in inputs.leaves(spec.input) if leaf.cron]
    return [Cron(repo, leaf) for repo, leaf in found if repo is not None]


def due(db: sqlite3.Connection, cron: Cron) -> int | None:
    """Tell when an input ticks next, counted from its last tick or its start."""
    row = db.execute("SELECT last FROM ticks WHERE repo = ?", (cron.repo.id,)).fetchone()
    return clock.schedule(cron.leaf.spec).after(int(row[0]) if row else cron.leaf.start)


def tick(wave: Wave, cron: Cron, at: int) -> None:
    """Write one commit whose only change is an empty file named by the time."""
    commit = commits.start(wave, wave.branch(cron.repo, "master"), parent=None, description="")
    path = "/" + datetime.fromtimestamp(at // clock.SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = [Change("del", "/", DEFAULT_TAG)] if cron.leaf.overwrite else []
    layers.add(wave.db, commit.id, [*made, trees.put(path, EMPTY)])
    commits.finish(wave.db, commit)


def run_now(wave: Wave, pipeline: Pipeline) -> None:
    """Let every cron input of a pipeline tick, in one commit set."""
    found = of_pipeline(wave.db, pipeline)
    if not found:
        raise RefusedError(f"pipeline {pipeline} must have a cron input to be run by hand")
    for cron in found:
        tick(wave, cron, wave.at)


class Clock:
    """Ticks what is due; what was due while nobody looked comes late, and nothing is left out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._crons: dict[tuple[int, int], list[Cron]] = {}
        self._looked: dict[int, int] = {}

    async def run(self) -> None:
        """Watch the clock; forever."""
        while True:
            turn = self._store.pulse.turn
            try:
                wait = self._round()
            except (RefusedError, sqlite3.OperationalError) as error:  # such as a head that somebody left open
                print(f"pachd: a cron input could not tick: {error}", file=sys.stderr)
                wait = 2.0
            await asyncio.sleep(min(wait, PAUSE))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(wait - PAUSE, LONGEST))):
                    await self._store.pulse.after(turn)

    def _round(self) -> float:
        """Tick what is due; tell after how many seconds to look again."""
        soonest: int | None = None
        for cron in self._active():
            at = due(self._store.db, cron)
            if at is not None and at <= now():
                with self._store.write() as db:
                    wave = Wave(db)
                    tick(wave, cron, at)
                    wave.spread()
                    db.execute("INSERT OR REPLACE INTO ticks VALUES (?, ?)", (cron.repo.id, at))
                at = due(self._store.db, cron)
            soonest = _sooner(soonest, at)
        for branch, trigger in triggers.on_the_clock(self._store.db):
            schedule = clock.schedule(trigger.cron_spec)
            at = schedule.after(max(branch.updated, self._looked.get(branch.id, 0)))
            if at is not None and at <= now():
                self._looked[branch.id] = now()
                with self._store.write() as db:
                    triggers.tick(db, branch, trigger)
                at = schedule.after(now())
            soonest = _sooner(soonest, at)
        return LONGEST if soonest is None else max(0.0, (soonest - now()) / clock.SECOND)

    def _active(self) -> list[Cron]:
        """List the cron inputs of pipelines that run; specs are read once per version."""
        rows = [Pipeline(*row) for row in self._store.db.execute("SELECT * FROM pipelines").fetchall()]
        active = [row for row in rows if not row.stopped and row.state != pipelines.FAILURE]
        known = self._crons
        self._crons = {}
        for row in active:
            key = (row.id, row.version)
            self._crons[key] = known[key] if key in known else of_pipeline(self._store.db, row)
        return [cron for found in self._crons.values() for cron in found]


def _sooner(one: int | None, two: int | None) -> int | None:
    return min((at for at in (one, two) if at is not None), default=None)
