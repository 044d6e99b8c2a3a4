"""PyTorch trials as they are written for Determined, unchanged."""

from tests.wire.determined.masters import Determined, Server, create, ends, logs, state, until

ACCURACY = {"metric": "accuracy", "smaller_is_better": False}


def test_a_trial_with_the_trainer(client: Determined) -> None:
    experiment = create(client, searcher=ACCURACY, program="torch")
    assert ends(experiment) == "COMPLETED", logs(experiment, tail=40)
    best, other = experiment.list_checkpoints()
    assert best.metadata["framework"].startswith("torch-")
    accuracies = [c.training.validation_metrics["avgMetrics"]["accuracy"] for c in (best, other)]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_legacy_entrypoint(client: Determined) -> None:
    experiment = create(
        client,
        {"global_batch_size": 16},
        ACCURACY | {"max_length": {"batches": 8}},
        program="torch",
        entrypoint="model_def:Linear",
        min_validation_period={"batches": 4},
    )
    assert ends(experiment) == "COMPLETED", logs(experiment, tail=40)
    (trial,) = experiment.list_trials()
    reports = client.iter_trials_metrics([trial.id], "validation")
    assert [report.steps_completed for report in reports] == [4, 8]


def test_two_ranks_train_together_and_die_together(client: Determined, server: Server) -> None:
    experiment = create(
        client,
        {"epochs": 100000},
        ACCURACY,
        program="torch",
        entrypoint="python3 -m determined.launch.torch_distributed -- python3 train.py",
        resources={"slots_per_trial": 2},
    )
    until(lambda: "report_validation_metrics" in (logs(experiment) if experiment.list_trials() else ""))
    assert state(experiment) == "RUNNING"
    ranks = {process.environ().get("RANK") for process in server.trial_processes()}
    assert ranks == {None, "0", "1"}
    experiment.kill()
    assert ends(experiment) == "CANCELED"
    assert server.trial_processes() == []
