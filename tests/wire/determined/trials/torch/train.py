"""Train the trial with the Trainer, one report an epoch."""

import logging

import determined as det
from determined import pytorch
from model_def import Linear

logging.basicConfig(level=logging.INFO, format=det.LOG_FORMAT)
info = det.get_cluster_info()
with pytorch.init(hparams=info.trial.hparams) as context:
    trainer = pytorch.Trainer(Linear(context), context)
    trainer.fit(
        max_length=pytorch.Epoch(info.trial.hparams.get("epochs", 2)),
        validation_period=pytorch.Epoch(1),
        checkpoint_period=pytorch.Epoch(1),
        reporting_period=pytorch.Epoch(1),
        latest_checkpoint=info.latest_checkpoint,
    )
