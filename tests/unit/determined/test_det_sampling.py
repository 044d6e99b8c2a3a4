"""Sampling reproduces NumPy's legacy stream, which is what a real master draws from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.embedded.determined.draws import Draws
from cdl.embedded.determined.errors import ApiError
from cdl.embedded.determined.hyperparameters import grid, missing_counts, normalise, sample


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 2**40), min_size=1, max_size=5))
def test_integers_are_numpys(seed: int, limits: list[int]) -> None:
    theirs, ours = np.random.RandomState(seed), Draws(seed)
    assert [ours.below(n) for n in limits] == [int(theirs.randint(0, n)) for n in limits]


@given(st.integers(0, 2**32 - 1))
def test_doubles_are_numpys(seed: int) -> None:
    theirs, ours = np.random.RandomState(seed), Draws(seed)
    assert [ours.uniform(-3.0, 5.0) for _ in range(4)] == list(theirs.uniform(-3.0, 5.0, 4))


def test_a_stored_stream_continues() -> None:
    whole = Draws(9)
    first = [whole.word() for _ in range(700)]
    assert Draws(9, drawn=650).word() == first[650]


def test_a_sample_draws_in_sorted_order() -> None:
    written = {
        "z": {"type": "int", "minval": 2, "maxval": 9},
        "a": {"type": "log", "base": 10, "minval": -4, "maxval": -1},
        "m": {"type": "categorical", "vals": ["relu", "tanh", "gelu"]},
        "fixed": 3,
        "net": {"width": {"type": "double", "minval": 0.0, "maxval": 1.0}, "flat": [1, 2]},
    }
    theirs = np.random.RandomState(42)
    a = 10 ** theirs.uniform(-4, -1)
    m = ["relu", "tanh", "gelu"][theirs.randint(0, 3)]
    width = theirs.uniform(0.0, 1.0)
    z = 2 + theirs.randint(0, 8)
    found = sample(normalise(written), Draws(42))
    assert found == {"a": a, "m": m, "z": z, "fixed": 3, "net": {"width": width, "flat": [1, 2]}}


@pytest.mark.parametrize(
    ("one", "axis"),
    [
        ({"type": "int", "minval": 0, "maxval": 10, "count": 3}, [0, 5, 10]),
        ({"type": "int", "minval": 1, "maxval": 2, "count": 9}, [1, 2]),
        ({"type": "int", "minval": 1, "maxval": 4, "count": 1}, [3]),
        ({"type": "double", "minval": 0.0, "maxval": 1.0, "count": 3}, [0.0, 0.5, 1.0]),
        ({"type": "double", "minval": 0.0, "maxval": 1.0, "count": 1}, [0.5]),
        ({"type": "log", "base": 10, "minval": -2, "maxval": 0, "count": 3}, [0.01, 0.1, 1.0]),
        ({"type": "categorical", "vals": [1, "a"]}, [1, "a"]),
        ({"type": "const", "val": [1]}, [[1]]),
    ],
)
def test_grid_axes(one: dict[str, object], axis: list[object]) -> None:
    assert [point["x"] for point in grid({"x": one})] == axis


def test_an_empty_nested_map_stays() -> None:
    assert grid(normalise({"a": {}, "b": 1})) == [{"a": {}, "b": 1}]


def test_a_grid_needs_counts() -> None:
    hparams = normalise({"n": {"x": {"type": "double", "minval": 0, "maxval": 1}}})
    assert missing_counts(hparams) == ["hyperparameters.n.x"]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ({"type": "float", "minval": 0}, "type must be one of const, int, double, log, categorical"),
        ({"type": "int", "minval": 0.5, "maxval": 2}, "minval: must be an integer, found 0.5"),
        ({"type": "double", "minval": 2, "maxval": 2}, "minval must be less than maxval"),
        ({"type": "categorical", "vals": []}, "needs a non-empty list vals"),
        ({"type": "log", "minval": 0, "maxval": 1}, "base: must be a number, found None"),
        ({"type": "const"}, "needs val"),
    ],
)
def test_wrong_hyperparameters_are_refused(one: dict[str, object], said: str) -> None:
    with pytest.raises(ApiError, match=said):
        normalise({"lr": one})
