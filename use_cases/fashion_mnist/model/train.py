"""Entrypoint of a trial: `python3 train.py`."""

import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow loads: its greeting says nothing about the trial

import determined
import images
import keras
import network
import tensorflow as tf
from determined import core
from transform import scaled

from cdl.training import data
from cdl.training.keras import KerasTrial

VALIDATION_BATCH = 1_000


def compiled(hparams: network.Hparams, rows: int) -> keras.Model:
    """Build and compile the network; its learning rate falls along a half cosine, so that the end is calm."""
    model = network.build(hparams)
    steps = int(hparams["epochs"]) * -(-rows // int(hparams["batch_size"]))
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(float(hparams["learning_rate"]), steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        # Fifty small batches a call into TensorFlow, for the call costs more than the batch; mirrored networks cannot.
        steps_per_execution=1 if tf.distribute.get_strategy().num_replicas_in_sync > 1 else 50,
    )
    return model


def train(context: core.Context, cluster: determined.ClusterInfo) -> None:
    """Train for the configured number of epochs, continuing from the trial's last checkpoint."""
    hparams = cluster.trial.hparams
    keras.utils.set_random_seed(cluster.trial.trial_seed)
    training, validation = images.read(data.fetch()).split()
    with strategy(len(cluster.slot_ids)).scope():
        model = compiled(hparams, len(training.labels))
    trial = KerasTrial(context, model, extra_files=lambda folder: network.describe(folder, hparams))
    trial.fit(
        scaled(training.pixels),
        training.labels,
        batch_size=int(hparams["batch_size"]),
        epochs=int(hparams["epochs"]),
        validation_data=(scaled(validation.pixels), validation.labels),
        validation_batch_size=VALIDATION_BATCH,
    )


def strategy(slots: int) -> tf.distribute.Strategy:
    """Mirror the network over the GPUs of this machine when the trial was given several."""
    gpus = tf.config.list_logical_devices("GPU")[:slots]
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]) if len(gpus) > 1 else tf.distribute.get_strategy()


def main() -> None:
    """Run the trial."""
    logging.basicConfig(level=logging.INFO, format=determined.LOG_FORMAT)
    cluster = determined.get_cluster_info()
    if cluster is None:
        raise SystemExit("train.py runs inside a Determined trial: det experiment create const.yaml .")
    distributed = core.DummyDistributedContext()  # one process drives all slots of the machine
    with core.init(distributed=distributed, tensorboard_mode=core.TensorboardMode.MANUAL) as context:
        train(context, cluster)


if __name__ == "__main__":
    main()
