"""The real SDK drives experiments whose trials are run by the unmodified harness."""

from pathlib import Path

import pytest

from tests.wire.determined.masters import (
    APIException,
    Determined,
    NotFoundException,
    Server,
    config,
    create,
    ends,
    logs,
    state,
    until,
)

ASHA = {
    "name": "adaptive_asha",
    "max_trials": 6,
    "max_time": 4,
    "time_metric": "epochs",
    "divisor": 2,
    "mode": "aggressive",
    "max_concurrent_trials": 2,
}


def test_a_trial_runs_to_its_end(client: Determined) -> None:
    experiment = create(client, {"loss": 0.6}, checkpoint_storage={"save_trial_latest": 9})
    assert ends(experiment) == "COMPLETED"
    (trial,) = experiment.list_trials()
    assert trial.hparams == {"loss": 0.6}
    assert trial.summary_metrics["validation_metrics"]["loss"]["min"] == pytest.approx(0.2)
    assert client._session.get(f"/api/v1/runs/{trial.id}/metadata").json() == {"metadata": {"done": True}}
    best, *rest = experiment.list_checkpoints()
    assert best.metadata["steps_completed"] == 3
    assert len(rest) == 2
    assert set(best.resources) == {"place.json", "metadata.json"}
    assert best.training.validation_metrics["avgMetrics"]["loss"] == pytest.approx(0.2)
    reports = list(client.iter_trials_metrics([trial.id], "training"))
    assert [report.steps_completed for report in reports] == [1, 2, 3]


def test_only_good_and_late_checkpoints_are_kept(client: Determined) -> None:
    experiment = create(client, {"epochs": 4, "best_at": 2})
    assert ends(experiment) == "COMPLETED"
    until(lambda: len(experiment.list_checkpoints()) == 2)
    assert [kept.metadata["steps_completed"] for kept in experiment.list_checkpoints()] == [2, 4]
    path = f"/api/v1/experiments/{experiment.id}/checkpoints?states=STATE_DELETED"
    gone = client._session.get(path).json()["checkpoints"]
    assert sorted(one["metadata"]["steps_completed"] for one in gone) == [1, 3]
    root = Path(experiment.config["checkpoint_storage"]["container_path"])
    assert not any((root / one["uuid"]).exists() for one in gone)


def test_of_equal_checkpoints_the_one_that_leads_the_list_is_kept(client: Determined) -> None:
    experiment = create(client, {"epochs": 4, "loss": 0.0})
    assert ends(experiment) == "COMPLETED"
    until(lambda: len(experiment.list_checkpoints()) == 2)
    assert [kept.metadata["steps_completed"] for kept in experiment.list_checkpoints()] == [1, 4]


def test_a_task_tells_when_user_code_ran(client: Determined) -> None:
    experiment = create(client, {"epochs": 1, "pause": 0.5})
    trial = experiment.await_first_trial()
    task_id = client._session.get(f"/api/v1/trials/{trial.id}").json()["trial"]["taskId"]
    ends(experiment)
    task = client._session.get(f"/api/v1/tasks/{task_id}").json()["task"]
    (allocation,) = task["allocations"]
    assert allocation["state"] == "STATE_TERMINATED"
    assert allocation["statusCode"] == 0
    assert task["startTime"] < allocation["startTime"] < allocation["endTime"]


def test_logs_follow_and_tail(client: Determined) -> None:
    experiment = create(client, {"epochs": 2, "pause": 0.3})
    trial = experiment.await_first_trial()
    followed = list(trial.iter_logs(follow=True))
    assert any("epoch 2 of run 1" in line for line in followed)
    assert ends(experiment) == "COMPLETED"
    assert list(trial.iter_logs(tail=3)) == followed[-3:]
    assert list(trial.iter_logs(head=1)) == followed[:1]
    assert all(line.endswith("\n") for line in followed)
    stamps = [line[1:28] for line in followed]
    assert stamps == sorted(stamps)
    assert stamps[0] != stamps[-1]


def test_adaptive_asha_stops_bad_trials_early(client: Determined) -> None:
    hparams = {
        "epochs": 8,
        "pause": 0.15,
        "loss": {"type": "double", "minval": 0.1, "maxval": 9.0},
    }
    experiment = create(client, hparams, ASHA)
    assert ends(experiment) == "COMPLETED"
    trials = experiment.list_trials()
    assert len(trials) == 6
    assert {trial.state.name for trial in trials} == {"COMPLETED"}
    lengths = [trial.summary_metrics["validation_metrics"]["epochs"]["last"] for trial in trials]
    assert all(length < 8 for length in lengths), "no trial trains to its own end"
    assert min(lengths) < max(lengths)
    assert "stopped early by the searcher" in logs(experiment, lengths.index(min(lengths)))
    best = experiment.list_checkpoints()[0].training.validation_metrics["avgMetrics"]["loss"]
    assert best == min(t.summary_metrics["validation_metrics"]["loss"]["min"] for t in trials)


def test_pause_and_activate_continue_from_the_checkpoint(client: Determined) -> None:
    experiment = create(client, {"epochs": 12, "pause": 0.2})
    until(lambda: "epoch 2 of run 1" in (logs(experiment) if experiment.list_trials() else ""))
    experiment.pause()
    experiment.pause()
    until(lambda: "leaving early" in logs(experiment))
    assert state(experiment) == "PAUSED"
    with pytest.raises(ValueError, match="is in paused state"):
        experiment.wait()
    experiment.activate()
    assert ends(experiment) == "COMPLETED"
    (trial,) = experiment.list_trials()
    assert "continuing after epoch" in logs(experiment)
    reports = list(client.iter_trials_metrics([trial.id], "validation"))
    assert [report.steps_completed for report in reports] == list(range(1, 13))
    assert {report.trial_run_id for report in reports} == {1, 2}
    assert client._session.get(f"/api/v1/trials/{trial.id}").json()["trial"]["restarts"] == 0
    with pytest.raises(APIException, match="cannot activate"):
        experiment.activate()


def test_a_pause_before_user_code_runs_costs_nothing(client: Determined, server: Server) -> None:
    experiment = create(client, {"epochs": 1})
    experiment.pause()
    until(lambda: server.trial_processes() == [])
    assert state(experiment) == "PAUSED"
    experiment.activate()
    assert ends(experiment) == "COMPLETED"


def test_cancel_lets_the_trial_checkpoint(client: Determined) -> None:
    experiment = create(client, {"epochs": 99, "pause": 0.2})
    until(lambda: "epoch 1 of run 1" in (logs(experiment) if experiment.list_trials() else ""))
    experiment.cancel()
    assert ends(experiment) == "CANCELED"
    assert "leaving early" in logs(experiment)
    assert experiment.list_trials()[0].state.name == "CANCELED"
    experiment.cancel()
    experiment.kill()
    assert state(experiment) == "CANCELED"


def test_kill_leaves_no_process(client: Determined, server: Server) -> None:
    experiment = create(client, {"epochs": 99, "pause": 5.0})
    until(lambda: state(experiment) == "RUNNING")
    assert server.trial_processes() != []
    experiment.kill()
    assert ends(experiment) == "CANCELED"
    assert server.trial_processes() == []


def test_a_crashed_trial_restarts_from_its_checkpoint(client: Determined) -> None:
    experiment = create(client, {"epochs": 4, "crash_at": 2}, max_restarts=1)
    assert ends(experiment) == "COMPLETED"
    told = logs(experiment)
    assert "RuntimeError: crashed as asked" in told
    assert "continuing after epoch 2" in told
    (trial,) = experiment.list_trials()
    assert client._session.get(f"/api/v1/trials/{trial.id}").json()["trial"]["restarts"] == 1


def test_a_trial_that_raises_ends_in_error_with_its_last_words(client: Determined) -> None:
    experiment = create(client, {"crash_at": 1})
    assert ends(experiment) == "ERROR"
    (trial,) = experiment.list_trials()
    assert trial.state.name == "ERROR"
    assert "RuntimeError: crashed as asked" in logs(experiment, tail=20)


def test_a_failed_trial_does_not_fail_the_search(client: Determined) -> None:
    vals = {"type": "categorical", "vals": [0, 1]}
    experiment = create(client, {"epochs": 1, "crash_at": vals}, {"name": "grid"})
    assert ends(experiment) == "COMPLETED"
    assert sorted(trial.state.name for trial in experiment.list_trials()) == ["COMPLETED", "ERROR"]


def test_nan_never_wins(client: Determined) -> None:
    nan = {"type": "categorical", "vals": [0, 1]}
    experiment = create(client, {"epochs": 1, "nan": nan}, {"name": "grid"})
    assert ends(experiment) == "COMPLETED"
    best, worst = experiment.list_checkpoints()
    assert best.training.hparams["nan"] == 0
    assert worst.training.validation_metrics["avgMetrics"]["loss"] == "NaN"


def test_invalid_hyperparameters_are_replaced(client: Determined) -> None:
    invalid = {"type": "categorical", "vals": [True, False]}
    searcher = {"name": "random", "max_trials": 2}
    experiment = create(client, {"epochs": 1, "invalid": invalid}, searcher, reproducibility={"experiment_seed": 4})
    assert ends(experiment) == "COMPLETED"
    valid = [trial for trial in experiment.list_trials() if not trial.hparams["invalid"]]
    assert len(valid) == 2
    assert len(experiment.list_trials()) > 2, "the seed draws an invalid one"


def test_a_metric_the_searcher_cannot_use_ends_the_experiment(client: Determined) -> None:
    experiment = create(client, {"epochs": 1}, ASHA | {"time_metric": "hours"})
    assert ends(experiment) == "ERROR"
    assert "time_metric 'hours' is not a number in the reported validation metrics (epochs, loss)" in "".join(
        logs(experiment, index) for index in range(len(experiment.list_trials()))
    )


def test_labels_find_an_experiment_again(client: Determined) -> None:
    experiment = create(client, {"epochs": 0}, labels=["cdl-key=abc", "other"])
    assert [e.id for e in client.list_experiments(labels=["cdl-key=abc", "other"])] == [experiment.id]
    assert client.list_experiments(labels=["cdl-key=abc", "missing"]) == []
    experiment.add_label("new one")
    experiment.remove_label("other")
    assert experiment.labels == {"cdl-key=abc", "new one"}
    experiment.set_name("renamed")
    experiment.set_notes("noted")
    again = client.get_experiment(experiment.id)
    assert (again.name, again.notes) == ("renamed", "noted")
    assert set(again.config["labels"]) == {"cdl-key=abc", "new one"}
    ends(experiment)
    experiment.archive()
    assert client.get_experiment(experiment.id).archived


def test_the_pachyderm_commit_can_be_walked_back(client: Determined) -> None:
    dataset = {"project": "default", "repo": "bbc-train", "commit": "c0ffee", "branch": "master"}
    pachyderm = {"pachd": {"host": "127.0.0.1", "port": 30650}, "dataset": dataset}
    experiment = create(client, {"epochs": 1}, integrations={"pachyderm": pachyderm})
    assert ends(experiment) == "COMPLETED"
    assert experiment.get_pachyderm_config()["dataset"] == dataset
    assert experiment.list_checkpoints()[0].get_pachyderm_commit() == "c0ffee"


def test_a_deleted_experiment_is_gone(client: Determined) -> None:
    experiment = create(client, {"epochs": 1})
    until(lambda: state(experiment) in ("STARTING", "RUNNING"))
    with pytest.raises(APIException, match="cannot delete"):
        experiment.delete()
    ends(experiment)
    (checkpoint,) = experiment.list_checkpoints()
    experiment.delete()
    for gone in (lambda: client.get_experiment(experiment.id), lambda: client.get_checkpoint(checkpoint.uuid)):
        with pytest.raises(NotFoundException):
            gone()


def test_wrong_configs_are_refused(client: Determined) -> None:
    for change, said in [
        ({"learning_rate": 1}, "additional property 'learning_rate' is not allowed"),
        ({"resources": {"slots_per_trial": 64}}, "this master has 2 slots"),
        ({"searcher": {"name": "sync_halving", "metric": "loss"}}, "no longer supported"),
        ({"workspace": "mine", "project": "p"}, "workspace 'mine' not found"),
    ]:
        with pytest.raises((APIException, NotFoundException), match=said):
            client.create_experiment(config() | change)
