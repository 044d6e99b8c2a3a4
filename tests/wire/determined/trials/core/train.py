"""A Core API trial of a second: counts epochs, checkpoints its place, obeys its hyperparameters."""

import json
import logging
import os
import time

import determined as det


def main() -> None:
    info = det.get_cluster_info()
    hparams = info.trial.hparams
    logging.basicConfig(level=logging.INFO, format=det.LOG_FORMAT)
    with det.core.init() as core:
        if hparams.get("invalid"):
            raise det.InvalidHP("not these")
        epoch = start(core, info)
        while epoch < hparams.get("epochs", 3):
            epoch += 1
            time.sleep(hparams.get("pause", 0.0))
            loss = hparams.get("loss", 1.0) / (9 if epoch == hparams.get("best_at") else epoch)
            core.train.report_training_metrics(steps_completed=epoch, metrics={"loss": loss})
            core.train.report_validation_metrics(
                steps_completed=epoch, metrics={"loss": float("nan") if hparams.get("nan") else loss, "epochs": epoch}
            )
            with core.checkpoint.store_path({"steps_completed": epoch}) as (path, _):
                (path / "place.json").write_text(json.dumps({"epoch": epoch, "run": info.trial._trial_run_id}))
            print(f"epoch {epoch} of run {info.trial._trial_run_id} pid {os.getpid()}", flush=True)
            if epoch == hparams.get("crash_at") and info.trial._trial_run_id == 1:
                raise RuntimeError("crashed as asked")
            if core.preempt.should_preempt():
                print("leaving early", flush=True)
                return
        core.train.set_metadata({"done": True})


def start(core, info) -> int:
    if info.latest_checkpoint is None:
        return 0
    with core.checkpoint.restore_path(info.latest_checkpoint) as path:
        place = json.loads((path / "place.json").read_text())
    print(f"continuing after epoch {place['epoch']}", flush=True)
    return place["epoch"]


main()
