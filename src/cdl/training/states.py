"""What a Keras trial knows beyond its weights: where its random numbers stand, and what its callbacks have seen.

`save_weights` keeps neither, so that a resumed network would drop other units, and a callback that waits for a better
epoch would begin to wait anew.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")
"""What EarlyStopping and ReduceLROnPlateau count, by Keras's own names."""
BEST_WEIGHTS = "best_weights"


def seeds(model: keras.Model) -> list[keras.Variable]:
    """Give the variables that dropout and its like draw from; Keras counts them among no weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def drawn(model: keras.Model) -> dict[str, list[Any]]:
    """Note where the random numbers of the network, of Python and of numpy stand, as JSON."""
    version, state, gauss = random.getstate()
    name, keys, place, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - the state that whoever has no generator of their own shares
    return {
        "network": [np.asarray(variable).tolist() for variable in seeds(model)],
        "python": [version, list(state), gauss],
        "numpy": [str(name), np.asarray(keys).tolist(), int(place), int(has_gauss), float(cached)],
    }


def draw_on(model: keras.Model, noted: dict[str, list[Any]]) -> None:
    """Let random numbers go on from where they stood; a network of another shape draws afresh."""
    own, kept = seeds(model), noted.get("network")
    if isinstance(kept, list) and len(kept) == len(own):
        for variable, value in zip(own, kept, strict=True):
            variable.assign(value)
    match noted.get("python"), noted.get("numpy"):
        case [version, state, gauss], [name, keys, place, has_gauss, cached]:
            random.setstate((version, tuple(state), gauss))
            np.random.set_state((name, np.asarray(keys, dtype=np.uint32), place, has_gauss, cached))  # noqa: NPY002 - as above
        case _:
            pass


def counted(callbacks: Sequence[keras.callbacks.Callback], folder: Path) -> list[dict[str, object]]:
    """Note what each callback has counted, as JSON; weights that it keeps are written beside it."""
    noted: list[dict[str, object]] = []
    for number, callback in enumerate(callbacks):
        found = {name: getattr(callback, name) for name in COUNTERS if hasattr(callback, name)}
        noted.append(
            {
                "class": type(callback).__name__,
                **{name: None if value is None else float(value) for name, value in found.items()},
            }
        )
        weights = getattr(callback, BEST_WEIGHTS, None)
        if weights is not None:
            np.savez(_weights(folder, number), *weights)
    return noted


def count_on(
    callbacks: Sequence[keras.callbacks.Callback], noted: Sequence[dict[str, object]], best: Sequence[list[np.ndarray]]
) -> None:
    """Let callbacks go on counting; others than there were begin as they are."""
    for callback, found, weights in zip(callbacks, noted, best, strict=False):
        if found.get("class") != type(callback).__name__:
            continue
        for name in COUNTERS:
            value = found.get(name)
            if hasattr(callback, name) and isinstance(value, float):
                setattr(callback, name, value if name == "best" else int(value))
        if weights:
            setattr(callback, BEST_WEIGHTS, weights)


def best_weights(folder: Path, count: int) -> list[list[np.ndarray]]:
    """Read the weights that callbacks kept; none for those that kept none."""
    return [_arrays(_weights(folder, number)) for number in range(count)]


def _arrays(place: Path) -> list[np.ndarray]:
    if not place.is_file():
        return []
    with np.load(place, allow_pickle=False) as kept:
        return [kept[f"arr_{number}"] for number in range(len(kept.files))]


def _weights(folder: Path, number: int) -> Path:
    return folder / f"callback-{number}.npz"
