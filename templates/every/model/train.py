"""One trial: learns, reports and keeps a checkpoint an epoch."""

from typing import TypeVar

import determined
import inputs
from classifier import Classifier
from determined import core

from cdl.training import data

Thing = TypeVar("Thing")
VALIDATION = 5
"""Every fifth item is kept from training, to compare trials by."""


def accuracy(model: Classifier, items: list[object], labels: list[str]) -> float:
    """Give the share of items whose class is the most probable one."""
    return sum(a == b for a, b in zip(model.chosen(items), labels, strict=True)) / len(labels)


def parted(things: list[Thing]) -> tuple[list[Thing], list[Thing]]:
    """Cut into what trains and what validates, always alike."""
    return [t for i, t in enumerate(things) if i % VALIDATION], things[::VALIDATION]


def main() -> None:
    """Train with the hyperparameters of this trial."""
    info = determined.get_cluster_info()
    if info is None:
        raise SystemExit("train.py is a trial of an experiment: `cdl run .` starts it")
    hparams = info.trial.hparams
    items, labels = inputs.read(data.fetch())
    (learned, held), (names, wanted) = parted(items), parted(labels)
    model = Classifier.fresh(learned, names)
    with core.init(tensorboard_mode=core.TensorboardMode.MANUAL) as context:
        for epoch in range(1, hparams["epochs"] + 1):
            model.learn(learned, names, hparams["rate"])
            measured = {"accuracy": accuracy(model, held, wanted), "epochs": epoch}
            context.train.report_validation_metrics(epoch, measured)
            with context.checkpoint.store_path({"steps_completed": epoch}) as (folder, _):
                model.save(folder)
            if context.preempt.should_preempt():
                return


if __name__ == "__main__":
    main()
