"""A trial of a second: reports what its hyperparameters tell it to, and obeys."""

import time

import determined as det


def main() -> None:
    info = det.get_cluster_info()
    wanted = info.trial.hparams
    with det.core.init(tensorboard_mode=det.core.TensorboardMode.MANUAL) as core:
        for epoch in range(1, wanted.get("epochs", 2) + 1):
            time.sleep(wanted.get("pause", 0.0))
            metrics = {"accuracy": wanted.get("skill", 0.5) * epoch / (epoch + 1), "epochs": epoch}
            core.train.report_validation_metrics(steps_completed=epoch * 10, metrics=metrics)
            with core.checkpoint.store_path({"steps_completed": epoch * 10}) as (path, _):
                (path / "weights.txt").write_text(str(epoch))
            if wanted.get("breaks"):
                raise ValueError("the learning rate is a banana")
            if core.preempt.should_preempt():
                return


if __name__ == "__main__":
    main()
