"""The functions of this project, on its own synthetic data: no platform, no network."""

import evaluate
import inputs
import numpy as np
import pytest
import serve
import synthetic
from classifier import Classifier


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Files as a trial gets them."""
    made = tmp_path_factory.mktemp("data")
    synthetic.unpacked(made)
    return made


@pytest.fixture(scope="session")
def checkpoint(folder, tmp_path_factory):
    """What a few epochs leave behind."""
    items, labels = inputs.read(folder)
    model = Classifier.fresh(items, labels)
    for _ in range(4):
        model.learn(items, labels, rate=2.0)
    kept = tmp_path_factory.mktemp("checkpoint")
    model.save(kept)
    return kept


def test_every_item_has_a_label(folder):
    items, labels = inputs.read(folder)
    assert len(items) == len(labels) > 0
    assert len(set(labels)) > 1


def test_features_are_numbers_a_row_an_item(folder):
    items, _ = inputs.read(folder)
    assert inputs.features(items[:3]).shape[0] == 3
    assert np.isfinite(inputs.features(items)).all()


def test_it_learns_what_there_is_to_learn(folder, checkpoint):
    found = evaluate.evaluate(checkpoint, folder)
    assert found["metrics"]["accuracy"] > 0.9
    assert sum(map(sum, found["confusion"])) == found["n"]


def test_the_served_class_answers_probabilities(folder, checkpoint):
    model = serve.Model(f"file://{checkpoint}")
    model.load()
    items, labels = inputs.read(folder)
    answered = model.predict(items[:5])
    assert answered.shape == (5, len(model.class_names()))
    assert np.allclose(answered.sum(axis=1), 1)
    assert set(labels) == set(model.class_names())


def test_the_same_seed_makes_the_same_files(tmp_path):
    first, second = (synthetic.write(tmp_path / name, seed=3) for name in ("first", "second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
