"""The training engine: runs that search for a model (Determined)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.reconcile.experiment import RunSeen, TrainWish, TrialFound
    from cdl.reconcile.release import CheckpointFound, RunFound, VersionFound


class TrainingHistory(Protocol):
    """What was run once: runs, checkpoints and versions by the names that a Release has for them.

    All of it is read afresh, put away or not, and nothing is changed. None: it is not there.
    """

    def run(self, run: str) -> RunFound | None:
        """Say what a run was asked for and, if it evaluated, what it reported; one being deleted is not there."""

    def trials(self, run: str) -> tuple[TrialFound, ...] | None:
        """Give every trial of a run with all it reported, the first one first; of a run being deleted there is None."""

    def checkpoint(self, uuid: str) -> CheckpointFound | None:
        """Say whose a checkpoint is and where its files belong; one that was deleted is not there."""

    def version(self, namespace: str, model: str, number: int) -> VersionFound | None:
        """Say what a version of a namespace's model stands for by now."""


class TrainingEngine(TrainingHistory, Protocol):
    """Runs of Experiments; owner is the resource's key, uid its identity across re-creations."""

    def look(self, owner: Key) -> tuple[RunSeen, ...]:
        """Report every run of the owner, archived ones left out; changes nothing; an unknown owner is an empty report.

        A run that ended has its trials, its best checkpoint (by the searcher's metric) and, if it evaluated, its
        measurement.
        """

    def start(self, owner: Key, key: str, wish: TrainWish) -> None:
        """Make sure a run called key exists and is active unless it ended.

        A second call changes nothing, even after a lost reply; an ended run is never revived.
        """

    def stop(self, owner: Key, key: str) -> None:
        """Make sure no run called key goes on. Stopping what is not there or has ended is a success."""

    def register(self, namespace: str, model: str, checkpoint: str, digest: str) -> int:
        """Make sure the registry has a version of the model for this digest and give its number, counted from 1.

        A second call with the same digest gives the same number; a new digest a higher one. A model of another
        namespace is another model, whatever it is called.
        """

    def forget(self, owner: Key) -> None:
        """Stop and archive every run of the owner. Forgetting an unknown owner is a success."""
