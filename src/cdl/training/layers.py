"""Begin with earlier weights, in Keras: load, verify, freeze, and say how many parameters that is."""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras

from cdl.training import warm
from cdl.training.failures import TrainingError
from cdl.training.warm import Parameters, WarmStart

WEIGHTS = "model.weights.h5"
OPTIMIZER = "optimizer"


def begin(model: keras.Model, folder: Path, start: WarmStart) -> Parameters:
    """Load the weights of a checkpoint into a model and freeze what stays as it is; the optimizer begins anew.

    Raises:
        TrainingError: there are no weights, they do not fit, or a layer to freeze is not there.
    """
    place = folder / WEIGHTS
    if not place.is_file():
        raise TrainingError(f"warm start: {start.origin} holds no {WEIGHTS}, which KerasTrial writes")
    with without_optimizer(model):
        theirs = _shapes(place)
        warm.fits(theirs, _own_shapes(model), start)
        model.load_weights(place)
    freeze(model, start)
    total = sum(_size(tuple(weight.shape)) for weight in model.weights)
    still = sum(_size(tuple(weight.shape)) for weight in model.non_trainable_weights)
    return Parameters(total=total, loaded=sum(map(_size, theirs.values())), frozen=still)


def freeze(model: keras.Model, start: WarmStart) -> None:
    """Let the named layers stay as they are; before the first batch, for Keras looks only once."""
    layers = dict(_layers(model))
    for name in warm.frozen(layers, start):
        layers[name].trainable = False


@contextmanager
def without_optimizer(model: keras.Model) -> Iterator[None]:
    """Let weights alone be saved and loaded."""
    optimizer, model.optimizer = getattr(model, OPTIMIZER, None), None
    try:
        yield
    finally:
        model.optimizer = optimizer


def _layers(model: keras.Model, above: str = "") -> Iterator[tuple[str, keras.Layer]]:
    for layer in model.layers:
        yield f"{above}{layer.name}", layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{above}{layer.name}/")


def _own_shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Ask Keras itself under which names it would keep what; a file may hold more or less than a network."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / WEIGHTS
        model.save_weights(place)
        return _shapes(place)


def _shapes(place: Path) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(f"{OPTIMIZER}/"):
            found[name] = tuple(item.shape)

    try:
        with h5py.File(place) as stored:
            stored.visititems(note)
    except OSError as error:
        raise TrainingError(f"warm start: {place.name} is no file of weights") from error
    return found


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
