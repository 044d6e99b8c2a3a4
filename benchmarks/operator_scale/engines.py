"""Engines that take no time: the first look finds nothing, the action creates it, the next look finds it done.

They keep the ports' promises as far as a resource that is created, made Ready and deleted can tell. An owner whose
name begins with `hangs` or `fails` meets an engine that does not answer, late or at once.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cdl.api.canonical import digest, short
from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import Side
from cdl.loop import Engines
from cdl.ports.errors import Rejected, Unavailable
from cdl.reconcile.datapipeline import DataSeen, ManifestSeen, SideSeen, SourceSeen, StepSeen
from cdl.reconcile.experiment import CheckpointSeen, Measurement, RunPhase, RunSeen
from cdl.reconcile.modeldeployment import ServingPhase, ServingSeen
from cdl.testing.builders import signer

from .history import NoDataHistory, NoTrainingHistory
from .kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Source, Split
    from cdl.ports.resources import ResourceStore
    from cdl.reconcile.datapipeline import StepWish
    from cdl.reconcile.experiment import TrainWish
    from cdl.reconcile.modeldeployment import ServingWish

HANG_SECONDS = 20.0
"""After so long the client of a real engine gives up, too."""
PROGRAMS = {"text/clean": "sha256:clean-1"}
SOURCES = Key("Source", "", "")
FILES = 12


def engines(resources: ResourceStore, journal: Path) -> Engines:
    """Give a set of engines that share one journal."""
    kept = Kept(journal)
    return Engines(
        resources=resources,
        sources=StubSources(kept),
        data=StubData(kept),
        training=StubTraining(kept),
        serving=StubServing(kept),
        artifacts=StubArtifacts(),
        signer=signer(),
    )


def trouble(owner: Key) -> None:
    """Behave as the owner's name asks for.

    Raises:
        Unavailable: the name begins with hangs or fails.
    """
    if owner.name.startswith("hangs"):
        time.sleep(HANG_SECONDS)
        message = f"the engine did not answer within {HANG_SECONDS:.0f} s"
        raise Unavailable(message)
    if owner.name.startswith("fails"):
        message = "the engine refuses the connection"
        raise Unavailable(message)


class StubSources:
    """A SourceCollector whose places have everything."""

    def __init__(self, kept: Kept) -> None:
        """Keep what was fetched."""
        self._kept = kept

    def look(self, sources: tuple[Source, ...]) -> tuple[SourceSeen, ...]:
        """Say which sources were collected."""
        there = self._kept.of(SOURCES) if sources else {}
        return tuple(SourceSeen(s.name, there.get(s.uri)) for s in sources)

    def collect(self, source: Source, due: datetime | None = None) -> None:
        """Fetch a source."""
        self._kept.put(SOURCES, source.uri, hashlib.sha256(source.uri.encode()).hexdigest())

    def lay_out(self, sources: tuple[Source, ...], split: Split | None, side: Side) -> Path:
        """Name a folder; nobody reads it."""
        return Path(side)


class StubData(NoDataHistory):
    """A DataEngine. Somebody else pushes to a pipeline without sources, and has done so before the first look."""

    def __init__(self, kept: Kept) -> None:
        """Keep what was made."""
        self._kept = kept

    def look(self, owner: Key, spec: DataPipelineSpec) -> DataSeen:
        """Report sides, steps and, when they are there, the result."""
        trouble(owner)
        there = self._kept.of(owner)
        sides, steps, manifests = [], [], []
        for side in Side:
            ingest = there.get(f"ingest/{side}")
            head = short([str(owner), side, ingest]) if ingest or not spec.sources else None
            sides.append(SideSeen(side, f"{owner.name}-{side}", head, ingest, FILES, 1000 * FILES))
            before = head or ""
            for step in spec.steps:
                wish = there.get(f"step/{side}/{step.name}")
                after = short([before, wish])
                seen = StepSeen(step.name, side, wish, before, after, done=True)
                steps.append(seen if wish else StepSeen(step.name, side, None))
                before = after if wish else ""
            if before:
                repo = f"{owner.name}-{spec.steps[-1].name}-{side}" if spec.steps else f"{owner.name}-{side}"
                manifests.append(ManifestSeen(side, repo, before, digest(before), FILES, digest([before]), FILES))
        return DataSeen(tuple(sides), PROGRAMS, tuple(steps), tuple(manifests))

    def ingest(self, owner: Key, side: Side, key: str, folder: Path) -> None:
        """Write a side."""
        self._kept.put(owner, f"ingest/{side}", key)

    def ensure_step(self, owner: Key, side: Side, wish: StepWish, reads: str, like: Key | None = None) -> None:
        """Make a step's pipeline be as wished."""
        self._kept.put(owner, f"step/{side}/{wish.step.name}", wish.digest)

    def manifest(self, repo: str, commit: str, namespace: str = "default") -> Mapping[str, str]:
        """Name as many files as `look` counts."""
        return {f"/{number}.txt": digest([commit, number]) for number in range(FILES)}

    def remove_stray(self, owner: Key, name: str) -> None:
        """Have none to remove."""

    def forget(self, owner: Key) -> None:
        """Remove everything of the owner."""
        self._kept.forget(owner)

    def beat(self) -> Mapping[Key, str]:
        """Tell what changed."""
        return self._kept.changes("DataPipeline")


class StubTraining(NoTrainingHistory):
    """A TrainingEngine whose runs succeed at once."""

    def __init__(self, kept: Kept) -> None:
        """Keep what was started."""
        self._kept = kept

    def look(self, owner: Key) -> tuple[RunSeen, ...]:
        """Report every run."""
        trouble(owner)
        return tuple(_run(owner, key, evaluates=bool(value)) for key, value in self._kept.of(owner).items())

    def start(self, owner: Key, key: str, wish: TrainWish) -> None:
        """Make sure a run of this key exists."""
        self._kept.put(owner, key, wish.evaluates)

    def stop(self, owner: Key, key: str) -> None:
        """Have nothing to stop: every run has ended."""

    def register(self, namespace: str, model: str, checkpoint: str, digest: str) -> int:
        """Give a digest its number."""
        return self._kept.count(Key("Model", namespace, model), digest)

    def forget(self, owner: Key) -> None:
        """Remove every run of the owner."""
        self._kept.forget(owner)

    def beat(self) -> Mapping[Key, str]:
        """Tell what changed."""
        return self._kept.changes("Experiment")


def _run(owner: Key, key: str, *, evaluates: bool) -> RunSeen:
    name = short([str(owner), key])
    if evaluates:
        metrics = {"accuracy": 0.9}
        found = Measurement(metrics, {}, {"weights": digest(name)}, {"python": "3.11"}, {"metrics": {"accuracy": 0.9}})
        return RunSeen(key, name, RunPhase.SUCCEEDED, measurement=found)
    best = CheckpointSeen(f"ckpt-{name}", f"stub:///{name}", 1, 0.9, {"learning_rate": 0.1})
    return RunSeen(key, name, RunPhase.SUCCEEDED, best=best)


class StubServing:
    """A ServingEngine whose servers answer at once."""

    def __init__(self, kept: Kept) -> None:
        """Keep what is served."""
        self._kept = kept

    def look(self, owner: Key) -> ServingSeen | None:
        """Report what runs."""
        trouble(owner)
        there = self._kept.of(owner)
        if not there:
            return None
        key, release = there["wish"].split()
        return ServingSeen(key, release, ServingPhase.AVAILABLE, f"http://127.0.0.1/{owner.name}", 1, 1)

    def serve(self, owner: Key, wish: ServingWish) -> None:
        """Run the wish."""
        self._kept.put(owner, "wish", f"{wish.key} {wish.release.name}")

    def let_go(self, owner: Key) -> None:
        """Leave it running."""

    def remove(self, owner: Key) -> None:
        """Stop what runs."""
        self._kept.forget(owner)

    def beat(self) -> Mapping[Key, str]:
        """Tell what changed."""
        return self._kept.changes("ModelDeployment")


class StubArtifacts:
    """An ArtifactStore that has whatever is asked for by name, and gives nobody the content."""

    @property
    def shelf(self) -> str:
        """What every URI of `keep` begins with."""
        return "stub:///"

    def keep(self, content: bytes, suffix: str) -> str:
        """Say where it would be."""
        return f"{self.shelf}{hashlib.sha256(content).hexdigest()}{suffix}"

    def hashes(self, uri: str) -> Iterator[tuple[str, str]]:
        """Say that it is there: its name is its digest."""
        yield uri, uri.removeprefix(self.shelf).partition(".")[0]

    def fetch(self, uri: str, sha256: str) -> Path:
        """Have nothing.

        Raises:
            Rejected: always.
        """
        message = f"{uri}: nothing is there"
        raise Rejected(message)
