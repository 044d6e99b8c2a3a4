"""What people see who type ``det``: experiments, trials, checkpoints, models."""

import re
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.wire.determined.dets import Det
from tests.wire.determined.masters import TRIALS, Determined, Experiment, config, create, ends, logs, state, until


@pytest.fixture(scope="module")
def done(sdk: Determined) -> Experiment:
    """An experiment of one trial that has ended with two checkpoints kept."""
    experiment = create(sdk, {"epochs": 2}, labels=["first"], checkpoint_storage={"save_trial_latest": 9})
    assert ends(experiment) == "COMPLETED"
    return experiment


@pytest.fixture
def idle(sdk: Determined) -> Experiment:
    experiment = create(sdk, {"epochs": 999, "pause": 0.2})
    until(lambda: "epoch 1 of" in (logs(experiment) if experiment.list_trials() else ""))
    yield experiment
    experiment.kill()
    ends(experiment)


def number(said: str) -> int:
    """Return the id in "Created experiment 5"."""
    return int(said.partition("Created experiment ")[2].partition("\n")[0])


def written(det: Det, **change: object) -> Path:
    return det.file("wish.yaml", yaml.safe_dump(config({"epochs": 1}) | change))


def test_create_and_follow_shows_the_log_until_the_end(det: Det, sdk: Determined) -> None:
    said = det.ok("experiment create --follow", written(det), TRIALS / "core")
    assert "Following first trial with ID" in said
    assert "epoch 1 of run 1" in said
    experiment = sdk.get_experiment(number(said))
    det.ok("experiment wait", experiment.id, "--polling-interval", 0)
    assert state(experiment) == "COMPLETED"


def test_create_with_overrides_paused_in_a_project(det: Det, sdk: Determined) -> None:
    said = det.ok("experiment create", written(det), TRIALS / "core", "--paused", "--config", "max_restarts=4")
    experiment = sdk.get_experiment(number(said))
    assert (state(experiment), experiment.config["max_restarts"]) == ("PAUSED", 4)
    assert f"Killed experiment {experiment.id}" in det.ok("experiment kill", experiment.id)
    assert ends(experiment) == "CANCELED"
    assert det.run("experiment wait", experiment.id).code == 1


def test_create_with_a_template(det: Det, sdk: Determined) -> None:
    det.ok("template create four", det.file("four.yaml", "max_restarts: 4\nlabels: [templated]\ndescription: theirs\n"))
    wish = written(det, labels=["mine"], description="mine")
    said = det.ok("experiment create --template four --paused", wish, TRIALS / "core")
    experiment = sdk.get_experiment(number(said))
    assert experiment.config["max_restarts"] == 0, "the config wins"
    assert experiment.config["description"] == "mine"
    assert experiment.labels == {"mine", "templated"}
    experiment.kill()
    assert "template 'five' not found" in det.no("experiment create --template five", wish, TRIALS / "core")


@pytest.mark.slow
def test_create_in_test_mode_runs_a_small_trial(det: Det) -> None:
    wish = written(det, searcher={"name": "single", "metric": "loss", "max_length": {"batches": 8}})
    assert "Model definition test succeeded" in det.ok("experiment create --test", wish, TRIALS / "core")
    bad = written(det, searcher={"name": "nonsense", "metric": "loss"})
    assert "<config>.searcher.name" in det.no("experiment create --test", bad, TRIALS / "core")


def test_lists_and_descriptions_of_experiments(det: Det, done: Experiment) -> None:
    assert re.search(rf"^{done.id},determined,.*,COMPLETED,100.0%", det.ok("experiment list --csv"), re.MULTILINE)
    assert "Uncategorized" in det.ok("experiment list --all --show_project")
    (shown,) = det.json("experiment describe", done.id)
    assert shown["experiment"]["state"] == "STATE_COMPLETED"
    told = det.ok("experiment describe --metrics", done.id)
    assert "Validation Metric: loss" in told
    assert "COMPLETED" in told
    trial = done.list_trials()[0].id
    assert f"{trial},COMPLETED" in det.ok("experiment list-trials --csv", done.id)
    best, worse = (found.uuid for found in done.list_checkpoints())
    listed = det.ok("experiment list-checkpoints", done.id)
    assert best in listed
    assert worse in listed
    listed = det.ok("experiment list-checkpoints --best 1", done.id)
    assert best in listed
    assert worse not in listed
    assert yaml.safe_load(det.ok("experiment config", done.id))["searcher"]["metric"] == "loss"
    assert "experiment '999' not found" in det.no("experiment describe 999")


def test_logs_of_experiments_and_trials_are_filtered(det: Det, done: Experiment) -> None:
    trial = done.list_trials()[0].id
    assert "epoch 2 of run 1" in det.ok("experiment logs", done.id)
    whole = det.ok("trial logs", trial).splitlines()
    ending = "Trial log stream ended"
    assert len([line for line in whole if ending in line]) == 1
    lines = [line for line in whole if ending not in line]
    assert [line for line in det.ok("trial logs --tail 2", trial).splitlines() if ending not in line] == lines[-2:]
    assert [line for line in det.ok("trial logs --head 3", trial).splitlines() if ending not in line] == lines[:3]
    for nothing in (["--stdtype", "stderr"], ["--agent-id", "other"], ["--rank-id", 7], ["--level", "CRITICAL"]):
        assert "epoch" not in det.ok("trial logs", trial, *nothing)
    assert "epoch 2" in det.ok("trial logs", trial, "--stdtype", "stdout", "--agent-id", "local", "--source", "task")
    assert "epoch" not in det.ok("trial logs", trial, "--timestamp-before", "2001-01-01T00:00:00Z")
    task = done._session.get(f"/api/v1/trials/{trial}").json()["trial"]["taskId"]
    assert "epoch 2" in det.ok("task logs", task)


def test_names_labels_and_settings_change(det: Det, done: Experiment) -> None:
    det.ok("experiment set name", done.id, "renamed")
    det.ok("experiment set description", done.id, "described")
    det.ok("experiment label add", done.id, "second")
    det.ok("experiment label remove", done.id, "first")
    det.ok("experiment set max-slots", done.id, 2)
    det.ok("experiment set weight", done.id, 3)
    det.ok("experiment set priority", done.id, 7)
    done.reload()
    assert (done.name, done.description, done.labels) == ("renamed", "described", {"second"})
    assert [done.config["resources"][name] for name in ("max_slots", "weight", "priority")] == [2, 3, 7]


def test_archive_hides_and_unarchive_shows(det: Det, done: Experiment) -> None:
    det.ok("experiment archive", done.id)
    assert f"\n{done.id}," not in det.ok("experiment list --csv")
    det.ok("experiment unarchive", done.id)
    assert f"\n{done.id}," in det.ok("experiment list --csv")


def test_pause_activate_and_cancel(det: Det, idle: Experiment) -> None:
    assert f"Paused experiment {idle.id}" in det.ok("experiment pause", idle.id)
    until(lambda: "leaving early" in logs(idle))
    assert state(idle) == "PAUSED"
    assert f"Activated experiment {idle.id}" in det.ok("experiment activate", idle.id)
    until(lambda: "of run 2" in logs(idle))
    assert "cannot archive" in det.no("experiment archive", idle.id)
    assert "cannot delete" in det.no("experiment delete --yes", idle.id)
    assert f"Canceled experiment {idle.id}" in det.ok("experiment cancel", idle.id)
    assert ends(idle) == "CANCELED"
    told = logs(idle)
    det.ok("experiment continue", idle.id, "--config", "hyperparameters.epochs=3", "--config", "max_restarts=1")
    assert ends(idle) == "COMPLETED"
    assert "epoch 1 of run 3" not in logs(idle)[len(told) :], "it goes on where it was"
    (trial,) = idle.list_trials()
    assert trial.hparams["epochs"] == 3
    idle.reload()
    assert idle.config["max_restarts"] == 1
    assert "cannot activate" in det.no("experiment activate", idle.id)


def test_a_killed_trial_leaves_no_process(det: Det, idle: Experiment) -> None:
    (trial,) = idle.list_trials()
    assert f"Killed trial {trial.id}" in det.ok("trial kill", trial.id)
    assert ends(idle) == "CANCELED"


@pytest.mark.slow
def test_a_search_continues_what_did_not_complete(det: Det, sdk: Determined) -> None:
    vals = {"type": "categorical", "vals": [0, 1]}
    experiment = create(sdk, {"epochs": 2, "crash_at": vals}, {"name": "grid"})
    assert ends(experiment) == "COMPLETED"
    before = {trial.id: trial.state.name for trial in experiment.list_trials()}
    assert sorted(before.values()) == ["COMPLETED", "ERROR"]
    assert "single searcher only" in det.no("experiment continue", experiment.id, "--config", "max_restarts=1")
    det.ok("experiment continue", experiment.id)
    assert ends(experiment) == "COMPLETED"
    assert {trial.id: trial.state.name for trial in experiment.list_trials()} == dict.fromkeys(before, "COMPLETED")
    assert "has been completed" in det.no("experiment continue", experiment.id)


def test_descriptions_of_trials(det: Det, done: Experiment) -> None:
    trial = done.list_trials()[0].id
    shown = det.json("trial describe", trial)
    assert shown["trial"]["totalBatchesProcessed"] == 2
    assert sorted({kind for workload in shown["workloads"] for kind in workload}) == [
        "checkpoint",
        "training",
        "validation",
    ]
    assert '"loss"' in det.ok("trial describe --metrics", trial)
    assert "trial '999' not found" in det.no("trial describe 999")
    bundle = Path(det.ok("trial support-bundle", trial).partition("bundle path: ")[2].strip())
    with tarfile.open(bundle) as packed:
        assert len(packed.getnames()) == 4


def test_code_and_checkpoints_are_downloaded(det: Det, done: Experiment, tmp_path: Path) -> None:
    det.ok("experiment download-model-def", done.id, "--output-dir", tmp_path)
    with tarfile.open(tmp_path / f"experiment_{done.id}_model_def.tgz") as packed:
        assert "train.py" in packed.getnames()
    best = done.list_checkpoints()[0]
    assert best.uuid in det.ok("checkpoint describe", best.uuid)
    det.ok("checkpoint download", best.uuid, "--output-dir", tmp_path / "direct")
    det.ok("checkpoint download --mode master", best.uuid, "--output-dir", tmp_path / "by-master")
    for way in ("direct", "by-master"):
        assert (tmp_path / way / "place.json").read_text() == '{"epoch": 2, "run": 1}'
    det.ok("experiment download --top-n 1", done.id, "--output-dir", tmp_path / "top")
    assert [found.name for found in (tmp_path / "top").iterdir()] == [best.uuid]
    trial = done.list_trials()[0].id
    det.ok("trial download --latest", trial, "--output-dir", tmp_path / "latest")
    assert (tmp_path / "latest" / "place.json").is_file()


def test_models_and_versions(det: Det, done: Experiment) -> None:
    det.ok("model create digits --description numbers")
    assert "digits" in det.ok("model list")
    best = done.list_checkpoints()[0].uuid
    det.ok("model register-version digits", best)
    det.ok("model register-version digits", done.list_checkpoints()[1].uuid)
    listed = det.ok("model list-versions digits")
    assert best in listed
    told = det.ok("model describe digits --version 1")
    assert best in told
    assert done.list_checkpoints()[1].uuid not in told
    assert "exists already" in det.no("model create digits")
    assert "is registered as a model version and is kept" in det.no("checkpoint delete --yes", best)
    det.ok("workspace create shelf")
    det.ok("model move digits --workspace-name shelf")
    shelf = det.json("workspace describe shelf")["id"]
    assert done._session.get("/api/v1/models/digits").json()["model"]["workspaceId"] == shelf
    assert "holds models" in det.no("workspace delete --yes shelf")
    done._session.post("/api/v1/models/digits/archive")
    assert "is archived" in det.no("model register-version digits", best)
    done._session.post("/api/v1/models/digits/unarchive")
    det.ok("model delete digits")
    assert "digits" not in det.ok("model list")


def test_checkpoints_are_thinned_and_deleted(det: Det, sdk: Determined) -> None:
    experiment = create(sdk, {"epochs": 3}, checkpoint_storage={"save_trial_latest": 9})
    assert ends(experiment) == "COMPLETED"
    root = Path(experiment.config["checkpoint_storage"]["container_path"])
    one, two, three = (found.uuid for found in experiment.list_checkpoints())
    det.ok("checkpoint rm --yes --glob *.json", one)
    until(lambda: not (root / one).exists())
    det.ok("checkpoint delete --yes", two)
    assert not (root / two).exists()
    assert "stay inside the checkpoint" in det.no("checkpoint rm --yes --glob ../*", three)
    assert (root / three / "place.json").is_file()
    policy = "--save-experiment-best 0 --save-trial-best 0 --save-trial-latest 0"
    assert "will delete" in det.ok(f"experiment set gc-policy {policy}", experiment.id, typed="n\n")
    assert (root / three).exists(), "nobody said yes"
    det.ok(f"experiment set gc-policy --yes {policy}", experiment.id)
    until(lambda: not (root / three).exists())


def test_a_deleted_experiment_is_gone_with_its_log(det: Det, sdk: Determined, cluster: object) -> None:
    experiment = create(sdk, {"epochs": 1})
    assert ends(experiment) == "COMPLETED"
    trial = experiment.list_trials()[0].id
    log = cluster.data / "logs" / str(trial)
    assert log.is_dir()
    det.ok("experiment delete-tb-files", experiment.id)
    det.ok("experiment delete --yes", experiment.id)
    assert "not found" in det.no("experiment describe", experiment.id)
    assert not log.exists()


@pytest.mark.slow
def test_a_warm_start_begins_with_the_weights_of_another_trial(sdk: Determined, done: Experiment) -> None:
    source = done.list_trials()[0].id
    best = done.list_checkpoints()[0].uuid
    experiment = create(sdk, {"epochs": 3}, {"source_trial_id": source})
    assert ends(experiment) == "COMPLETED"
    assert "continuing after epoch 2" in logs(experiment)
    trial = sdk._session.get(f"/api/v1/trials/{experiment.list_trials()[0].id}").json()["trial"]
    assert trial["warmStartCheckpointUuid"] == best
    named = create(sdk, {"epochs": 0}, {"source_checkpoint_uuid": best})
    assert ends(named) == "COMPLETED"
    assert "continuing after epoch 2" in logs(named)


def test_retention_by_days_is_refused_in_a_sentence(det: Det, done: Experiment) -> None:
    assert "logs are kept until" in det.no("experiment set log-retention --days 3", done.id)
    trial = done.list_trials()[0].id
    assert "logs are kept until" in det.no("trial set log-retention --days 3", trial)
