"""PyTorch trials as they are written for Determined, unchanged."""

import pytest

from tests.wire.determined.masters import Determined, Experiment, Server, create, ends, logs, state, until

ACCURACY = {"metric": "accuracy", "smaller_is_better": False}


@pytest.fixture(scope="module")
def trained(server: Server) -> dict[str, Experiment]:
    """Both ways of starting a PyTorchTrial, side by side."""
    client = server.client()
    legacy = create(
        client,
        {"global_batch_size": 16},
        ACCURACY | {"max_length": {"batches": 8}},
        program="torch",
        entrypoint="model_def:Linear",
        min_validation_period={"batches": 4},
    )
    found = {"legacy": legacy, "trainer": create(client, searcher=ACCURACY, program="torch")}
    for experiment in found.values():
        assert ends(experiment) == "COMPLETED", logs(experiment, tail=40)
    return found


def test_a_trial_with_the_trainer(trained: dict[str, Experiment]) -> None:
    best = trained["trainer"].list_checkpoints()[0]
    assert best.metadata["framework"].startswith("torch-")
    assert best.training.validation_metrics["avgMetrics"]["accuracy"] > 0.8


def test_the_legacy_entrypoint(client: Determined, trained: dict[str, Experiment]) -> None:
    (trial,) = trained["legacy"].list_trials()
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
