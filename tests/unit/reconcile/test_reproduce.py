"""What is run to rebuild a model, and what its outcome means."""

import pytest

from cdl.api.v1alpha1.experiment import Archive
from cdl.reconcile.experiment import CheckpointSeen, Measurement
from cdl.reconcile.reproduce import Verdict, compare, measuring, training

CODE = Archive(uri="file:///code.tar.gz", sha256="ab" * 32)
MEMBERS = {
    "experiment": {"key": "k1", "seed": 7, "hparams": {"rate": 0.1, "epochs": 2}},
    "checkpoint": {"files": {"weights.h5": "sha256:1", "metadata.json": "sha256:2"}},
    "evaluation": {"entrypoint": "evaluate:evaluate", "metrics": {"accuracy": 0.9, "f1": 0.8}},
}
SEARCH = {
    "entrypoint": "python3 train.py",
    "hyperparameters": {"rate": {"type": "double", "minval": 0, "maxval": 1}, "epochs": 2},
    "searcher": {
        "name": "adaptive_asha",
        "metric": "accuracy",
        "max_trials": 4,
        "max_time": 9,
        "time_metric": "epochs",
    },
    "reproducibility": {"experiment_seed": 1},
    "environment": {"image": "example.test/image"},
}
BEST = CheckpointSeen("uuid", "file:///x", 3, 0.9, {"rate": 0.1, "epochs": 2})


def wished(**config):
    return training(MEMBERS, SEARCH | config, CODE, "news-train", "c1").config


def measured(files=None, **metrics):
    files = MEMBERS["checkpoint"]["files"] if files is None else files
    return Measurement({"accuracy": 0.9, "f1": 0.8} | metrics, {}, files, {}, {})


def verdict(measurement, best=BEST, tolerance=0.005):
    return compare(MEMBERS, best, measurement, tolerance)


def test_the_search_is_repeated_with_its_seed_but_stops_nobody():
    config = wished()
    assert config["reproducibility"] == {"experiment_seed": 7}
    assert config["searcher"] == {"name": "random", "metric": "accuracy", "max_trials": 4}
    assert config["hyperparameters"] == SEARCH["hyperparameters"]


@pytest.mark.parametrize("name", ["grid", "single"])
def test_a_search_that_draws_nothing_more_is_repeated_as_it_is(name):
    searcher = {"name": name, "metric": "accuracy"}
    assert wished(searcher=searcher)["searcher"] == searcher


@pytest.mark.parametrize(
    ("entrypoint", "program"),
    [
        ("python3 train.py --fast", ["sh", "-c", "python3 train.py --fast"]),
        (["python3", "train.py"], ["python3", "train.py"]),
        (
            "model_def:Trial",
            ["python3", "-m", "determined.launch.torch_distributed", "--", "--trial", "model_def:Trial"],
        ),
    ],
)
def test_the_program_runs_only_in_the_released_trial(entrypoint, program):
    words = wished(entrypoint=entrypoint)["entrypoint"]
    assert words[:3] == ["python3", "-m", "cdl.training.only"]
    assert words[3:5] == ["--hparams", '{"epochs": 2, "rate": 0.1}']
    assert words[5:] == ["--", *program]


def test_the_evaluation_is_the_released_one_in_the_same_environment():
    train = training(MEMBERS, SEARCH, CODE, "news-train", "c1")
    wish = measuring(train, MEMBERS, "news-test", "c2", "uuid")
    assert (wish.evaluates, wish.checkpoint, wish.repo, wish.commit) == ("evaluate:evaluate", "uuid", "news-test", "c2")
    assert wish.config == {"environment": {"image": "example.test/image"}}
    assert wish.code == CODE


@pytest.mark.parametrize("note", ["metadata.json", "load_data.json", "trial.json", "trial_state.pkl"])
def test_what_is_equal_in_each_byte_is_bit_equal_whatever_was_noted_beside_it(note):
    found = verdict(measured({"weights.h5": "sha256:1", note: "sha256:other"}))
    assert found.verdict is Verdict.BIT_EQUAL
    assert found.files == {"metadata.json": False, "weights.h5": True, note: False}


@pytest.mark.parametrize(
    ("files", "metrics", "expected"),
    [
        ({"weights.h5": "sha256:9"}, {}, Verdict.METRIC_EQUAL),
        ({"weights.h5": "sha256:9"}, {"f1": 0.8049}, Verdict.METRIC_EQUAL),
        ({"weights.h5": "sha256:9"}, {"f1": 0.806}, Verdict.DIFFERENT),
        ({"weights.h5": "sha256:1", "more.h5": "sha256:1"}, {"f1": 0.1}, Verdict.DIFFERENT),
        ({}, {"f1": 0.1}, Verdict.DIFFERENT),
    ],
)
def test_what_is_not_is_judged_by_its_metrics(files, metrics, expected):
    found = verdict(measured(files, **metrics))
    assert found.verdict is expected
    assert found.metrics["accuracy"] == (0.9, 0.9)


def test_a_metric_that_is_missing_now_is_a_difference():
    found = compare(MEMBERS, BEST, Measurement({"accuracy": 0.9}, {}, {}, {}, {}), 0.005)
    assert found.verdict is Verdict.DIFFERENT
    assert "f1" in found.reason


def test_another_winner_is_another_model():
    other = CheckpointSeen("uuid", "file:///x", 1, 0.9, {"rate": 0.2, "epochs": 2})
    found = verdict(measured(), other)
    assert found.verdict is Verdict.DIFFERENT
    assert "another trial won" in found.reason
