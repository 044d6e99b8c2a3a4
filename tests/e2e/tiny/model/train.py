"""A trial that takes no time: it looks at more of the training notes in every epoch."""

import json

import determined
import words
from determined import core

from cdl.training import data


def accuracy(known, notes):
    """Share of notes whose class is the most probable one."""
    chosen = [words.probabilities(known, text) for text, _ in notes]
    right = [words.CLASSES[p.index(max(p))] == label for p, (_, label) in zip(chosen, notes, strict=True)]
    return sum(right) / len(right)


def main():
    """Train, report and keep a checkpoint an epoch."""
    hparams = determined.get_cluster_info().trial.hparams
    notes = words.read(data.fetch())
    with core.init(tensorboard_mode=core.TensorboardMode.MANUAL) as context:
        for epoch in range(1, hparams["epochs"] + 1):
            known = words.learn(notes[: len(notes) * epoch // hparams["epochs"]])
            measured = {"accuracy": accuracy(known, notes) - abs(hparams["weight"] - 1) / 10, "epochs": epoch}
            context.train.report_validation_metrics(epoch, measured)
            with context.checkpoint.store_path({"steps_completed": epoch}) as (folder, _):
                (folder / words.FILE).write_text(json.dumps(known))
            if context.preempt.should_preempt():
                return


if __name__ == "__main__":
    main()
