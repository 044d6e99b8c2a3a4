"""cdl.training.measures: what follows from the answers of an evaluation, held to figures worked out by hand."""

import json
import math

import numpy as np
import pytest

from cdl.training import TrainingError
from cdl.training.evaluate import measured
from cdl.training.measures import completed

LABELS = ["cat", "cat", "cat", "cat", "dog", "dog", "dog", "dog", "dog", "dog"]
TAKEN = ["cat", "cat", "cat", "dog", "dog", "dog", "dog", "dog", "cat", "cat"]
"""Cats: 3 of 4 found, 3 of 5 rightly; dogs: 4 of 6 found, 4 of 5 rightly."""


def told(**said):
    return completed({"labels": LABELS, "predicted": TAKEN, **said}, seconds=2.0, size=1234)


def test_figures_are_those_worked_out_by_hand():
    found = told()
    assert found["metrics"] == pytest.approx(
        {
            "accuracy": 0.7,
            "macro_precision": (3 / 5 + 4 / 5) / 2,
            "macro_recall": (3 / 4 + 4 / 6) / 2,
            "macro_f1": (6 / 9 + 8 / 11) / 2,
            "weighted_precision": 0.4 * 3 / 5 + 0.6 * 4 / 5,
            "weighted_recall": 0.7,
            "weighted_f1": 0.4 * 6 / 9 + 0.6 * 8 / 11,
        }
    )
    assert found["perClass"]["dog"] == pytest.approx({"support": 6, "precision": 4 / 5, "recall": 4 / 6, "f1": 8 / 11})
    assert found["confusion"] == [[3, 1], [2, 4]]
    assert found["correct"] == "1110111100"
    assert found["answers"] == {"labels": [0] * 4 + [1] * 6, "predicted": [0, 0, 0, 1, 1, 1, 1, 1, 0, 0]}
    assert "labels" not in found
    json.dumps(found, allow_nan=False)


def test_a_confusion_matrix_tells_the_same_figures():
    by_matrix = completed({"confusion": [[3, 1], [2, 4]], "classes": ["cat", "dog"]}, 2.0, 1234)
    by_items = told()
    for name in ("metrics", "perClass", "intervals", "perClassIntervals", "n", "costs"):
        assert by_matrix[name] == by_items[name], name


def test_what_the_user_says_stays_and_gets_no_interval_of_something_else():
    found = told(metrics={"accuracy": 0.9, "bleu": 3.0}, perClass={"cat": {"f1": 0.5}})
    assert (found["metrics"]["accuracy"], found["metrics"]["bleu"]) == (0.9, 3.0)
    assert "accuracy" not in found["intervals"]
    assert "macro_f1" in found["intervals"]
    assert found["perClass"]["cat"]["f1"] == 0.5
    assert found["perClass"]["cat"]["recall"] == 0.75


def test_intervals_are_the_same_each_time_and_cover_what_they_should():
    first, second = told(), told()
    assert first["intervals"] == second["intervals"]
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        correct = chance.random(200) < 0.8
        found = completed({"labels": [0] * 200, "predicted": np.where(correct, 0, 1)}, 1.0, 0)
        low, high = found["intervals"]["accuracy"]
        held += low <= 0.8 <= high
    assert held >= 50  # of 60, of which 95 % are expected


def test_of_answers_that_are_only_right_or_wrong_accuracy_has_an_interval():
    found = completed({"metrics": {"accuracy": 0.75}, "correct": "1110" * 25}, 1.0, 0)
    low, high = found["intervals"]["accuracy"]
    assert low < 0.75 < high


def test_calibration_is_told_of_probabilities():
    rows = [[0.8, 0.2]] * 10
    found = completed({"labels": [0] * 8 + [1] * 2, "probabilities": rows}, 1.0, 0)
    assert found["metrics"]["accuracy"] == 0.8
    assert found["metrics"]["ece"] == pytest.approx(0.0, abs=1e-12)
    surer = completed({"labels": [0] * 8 + [1] * 2, "probabilities": [[1.0, 0.0]] * 10}, 1.0, 0)
    assert surer["metrics"]["ece"] == pytest.approx(0.2)
    assert "probabilities" not in surer


def test_groups_are_told_apart():
    found = told(groups={"light": ["day"] * 4 + ["night"] * 6})
    assert found["perGroup"]["light=day"]["accuracy"] == 0.75
    assert found["perGroup"]["light=night"]["accuracy"] == pytest.approx(4 / 6)
    assert found["perGroup"]["light=day"]["support"] == 4
    assert set(found["perGroupIntervals"]) == {"light=day", "light=night"}


def test_costs_are_told_apart_from_metrics():
    found = told(seconds=[0.001] * 19 + [0.1])
    costs = found["costs"]
    assert costs["size_bytes"] == 1234
    assert costs["evaluation_ms_per_item"] == 200.0
    assert costs["latency_ms_p50"] == pytest.approx(1.0)
    assert costs["latency_ms_mean"] == pytest.approx(5.95)
    assert not {name for name in found["metrics"] if "latency" in name or "size" in name}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"predicted": ["cat"]}, "10 labels and 1 predicted"),
        ({"classes": ["cat", "cow"]}, "took an item for 'dog', which is none of its 2 classes"),
        ({"groups": {"light": ["day"]}}, "group light has 1 values for 10 items"),
        ({"probabilities": [[0.5, 0.5]]}, "one row of finite numbers for each label"),
        ({"probabilities": [[math.nan, 0.5]] * 10}, "one row of finite numbers for each label"),
    ],
)
def test_answers_that_do_not_fit_together_are_one_sentence(said, sentence):
    with pytest.raises(TrainingError, match=sentence):
        told(**said)


def test_nothing_is_added_where_nothing_follows():
    said = {"metrics": {"bleu": 3.0}}
    assert completed(said, 1.0, 5) == {"metrics": {"bleu": 3.0}, "costs": {"size_bytes": 5}}


def test_the_evaluator_measures_the_checkpoint_it_was_given(tmp_path):
    (tmp_path / "weights").write_bytes(b"12345678")
    found = measured(lambda _checkpoint, _data: {"labels": [0, 1], "predicted": [0, 1]}, tmp_path, tmp_path)
    assert found["costs"]["size_bytes"] == 8
    assert found["metrics"]["accuracy"] == 1.0
