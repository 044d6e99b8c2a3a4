"""What goes with an experiment: trials, metrics, logs and the files of its checkpoints."""

import shutil
from collections.abc import Iterable

from cdl.embedded.determined import storage
from cdl.embedded.determined.errors import refused
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.records import Experiment
from cdl.embedded.determined.states import TERMINAL

OF_TRIALS = ("metrics", "allocations", "checkpoints")


def remove(master: Master, doomed: Iterable[Experiment]) -> None:
    """Remove ended experiments, all or none.

    Raises:
        ApiError: one of them has not ended, or the model registry holds one of its checkpoints.
    """
    experiments = list(doomed)
    for found in experiments:
        _check(master, found)
    for found in experiments:
        _remove(master, found)


def tensorboard_files(master: Master, found: Experiment) -> None:
    """Remove the event files of an experiment, where this master can reach them."""
    if not storage.reachable(found.storage):
        return
    root = storage.root(found.storage) / master.place.cluster_id / "tensorboard" / "experiment"
    shutil.rmtree(root / str(found.id), ignore_errors=True)


def _check(master: Master, found: Experiment) -> None:
    if found.state not in TERMINAL:
        raise refused(f"cannot delete experiment {found.id} in state {found.state}")
    row = master.store.row(
        "SELECT checkpoint FROM model_versions WHERE checkpoint IN (SELECT uuid FROM checkpoints"
        " JOIN trials ON trials.id = trial_id WHERE experiment_id = ?)",
        found.id,
    )
    if row is not None:
        raise refused(f"checkpoint {row['checkpoint']} of experiment {found.id} is in the model registry")


def _remove(master: Master, found: Experiment) -> None:
    trials = master.ledger.trials(found.id)
    checkpoints = [c for trial in trials for c in master.ledger.checkpoints(trial.id)]
    with master.store.transaction():
        for trial in trials:
            for table in OF_TRIALS:
                master.store.run(f"DELETE FROM {table} WHERE trial_id = ?", trial.id)  # noqa: S608 - constants
        master.store.run("DELETE FROM trials WHERE experiment_id = ?", found.id)
        master.store.run("DELETE FROM experiments WHERE id = ?", found.id)
    if storage.reachable(found.storage):
        for one in checkpoints:
            storage.remove(found.storage, one.uuid, ["*"])
    tensorboard_files(master, found)
    for trial in trials:
        shutil.rmtree(master.place.log(trial.id, 1).parent, ignore_errors=True)
