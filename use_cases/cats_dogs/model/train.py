"""Entrypoint of a trial: `python3 train.py`."""

import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow loads: its greeting says nothing about the trial

import determined
import keras
import network
import pictures
from determined import core
from transform import SIDE, scaled

from cdl.training import data
from cdl.training.keras import KerasTrial


def train(context: core.Context, cluster: determined.ClusterInfo) -> None:
    """Train for the configured number of epochs, from the trial's last checkpoint or as `warmStart` says."""
    hparams = cluster.trial.hparams
    keras.utils.set_random_seed(cluster.trial.trial_seed)
    side = int(hparams.get("side", SIDE))
    training, validation = pictures.read(data.fetch(), side).split(int(hparams["split_seed"]))
    model = network.compiled(float(hparams["learning_rate"]), side)
    trial = KerasTrial(context, model, extra_files=lambda folder: network.describe(folder, side))
    trial.fit(
        scaled(training.pixels, side),
        training.labels,
        batch_size=int(hparams["batch_size"]),
        epochs=int(hparams["epochs"]),
        validation_data=(scaled(validation.pixels, side), validation.labels),
    )


def main() -> None:
    """Run the trial."""
    logging.basicConfig(level=logging.INFO, format=determined.LOG_FORMAT)
    cluster = determined.get_cluster_info()
    if cluster is None:
        raise SystemExit("train.py runs inside a Determined trial: det experiment create const.yaml .")
    distributed = core.DummyDistributedContext()  # one process drives the trial
    with core.init(distributed=distributed, tensorboard_mode=core.TensorboardMode.MANUAL) as context:
        train(context, cluster)


if __name__ == "__main__":
    main()
