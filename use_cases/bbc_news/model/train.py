"""Entrypoint of a trial: `python3 train.py`."""

import logging

import determined
from determined import pytorch
from model_def import NewsTrial


def main() -> None:
    """Train for the configured number of epochs, continuing from the trial's last checkpoint."""
    logging.basicConfig(level=logging.INFO, format=determined.LOG_FORMAT)
    cluster = determined.get_cluster_info()
    if cluster is None:
        raise SystemExit("train.py runs inside a Determined trial: det experiment create const.yaml .")
    hparams = cluster.trial.hparams
    # Without this, Determined's logging imports TensorFlow wherever it is installed: seconds for nothing.
    with pytorch.init(hparams=hparams, enable_tensorboard_logging=False) as context:
        trainer = pytorch.Trainer(NewsTrial(context), context)
        trainer.fit(
            max_length=pytorch.Epoch(int(hparams["epochs"])),
            validation_period=pytorch.Epoch(1),
            checkpoint_policy="best",
            latest_checkpoint=cluster.latest_checkpoint,
        )


if __name__ == "__main__":
    main()
