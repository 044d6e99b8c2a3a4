"""Measure what stopping early saves: `python -m benchmarks.searchers shared/fashion-mnist --write`.

The MLP of the Fashion-MNIST use case is trained once with every configuration that a random search of so many trials
draws, to the end, validated after each epoch. Then the embedded master's own searcher for adaptive ASHA, with the same
seed and so with the same configurations, is told those figures epoch by epoch and stops whom it stops: what it never
asked for is what it saved.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cdl.embedded.determined.search.method import Action, Create, Exit, Stop
from cdl.embedded.determined.search.searcher import Searcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "use_cases" / "fashion_mnist" / "model"
PAGE = ROOT / "docs" / "reference" / "search-speed.md"
MARK = "<!-- What follows is written by `python -m benchmarks.searchers --write`. -->"
SIDE = 28
SPACE = {
    "architecture": {"type": "const", "val": "mlp"},
    "dense1": {"type": "int", "minval": 16, "maxval": 256},
    "batch_size": {"type": "categorical", "vals": [32, 64, 128]},
    "learning_rate": {"type": "log", "base": 10.0, "minval": -5.0, "maxval": -1.5},
}
GOAL_SHARE, GOAL_GAP = 0.40, 0.01

Curve = list[float]
Hparams = dict[str, object]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search used and found."""

    epochs: int
    best: float


def main() -> int:
    """Measure, print, and write the page if asked to."""
    options = _options()
    drawn = configurations(options.trials, options.seed)
    begun = time.perf_counter()
    curves = [_learned(options, hparams, number) for number, hparams in enumerate(drawn)]
    seconds = time.perf_counter() - begun
    told = _report(options, drawn, curves, seconds)
    sys.stdout.write(told)
    if options.write:
        above = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(f"{above}{MARK}\n\n{told}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searchers", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the four files of Fashion-MNIST")
    parser.add_argument("--trials", type=int, default=16, help="configurations (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=16, help="epochs of a whole trial (default: %(default)s)")
    parser.add_argument("--images", type=int, default=10_000, help="to train on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="of the draws (default: %(default)s)")
    parser.add_argument("--lanes", type=int, default=2, help="trials at a time (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reference/search-speed.md")
    return parser.parse_args()


# --- the searches -----------------------------------------------------------------------------------------------------


def configurations(trials: int, seed: int) -> list[Hparams]:
    """Give what a random search draws, in its order."""
    searcher = Searcher(_config("random", trials, 1, seed, trials))
    return [dict(action.hparams) for action in searcher.begin() if isinstance(action, Create)]


def halved(curves: Sequence[Curve], epochs: int, seed: int, lanes: int) -> Found:
    """Let adaptive ASHA search over figures that are known: an epoch of each running trial in turn.

    Raises:
        RuntimeError: it asks for another configuration than the random search drew.
    """
    searcher = Searcher(_config("adaptive_asha", len(curves), epochs, seed, lanes))
    wanted = configurations(len(curves), seed)
    numbers: dict[str, int] = {}
    at: dict[str, int] = {}
    best, spent = 0.0, 0

    def obey(actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Create):
                number = len(numbers)
                if dict(action.hparams) != wanted[number]:
                    raise RuntimeError("the two searches draw different configurations")
                numbers[action.request_id], at[action.request_id] = number, 0

    def left(request_id: str) -> None:
        del at[request_id]
        obey(searcher.exited(request_id, Exit.COMPLETED))

    obey(searcher.begin())
    while at:
        for request_id in list(at):
            at[request_id] += 1
            spent += 1
            value = curves[numbers[request_id]][at[request_id] - 1]
            best = max(best, value)
            actions = searcher.validated(request_id, {"accuracy": value, "epochs": at[request_id]})
            obey([a for a in actions if isinstance(a, Create)])
            stopped = any(isinstance(a, Stop) and a.request_id == request_id for a in actions)
            if stopped or at[request_id] >= epochs:
                left(request_id)
    return Found(spent, best)


def _config(name: str, trials: int, epochs: int, seed: int, lanes: int) -> dict[str, object]:
    searcher = {
        "name": name,
        "metric": "accuracy",
        "smaller_is_better": False,
        "max_trials": trials,
        "max_time": epochs,
        "time_metric": "epochs",
        "max_concurrent_trials": lanes,
        "mode": "standard",
        "divisor": 4.0,
        "max_rungs": 5,
        "bracket_rungs": [],
    }
    return {"searcher": searcher, "hyperparameters": SPACE, "reproducibility": {"experiment_seed": seed}}


# --- the trials -------------------------------------------------------------------------------------------------------


def _learned(options: argparse.Namespace, hparams: Hparams, number: int) -> Curve:
    """Train one configuration to the end; give its accuracy on validation data after each epoch."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if str(MODEL) not in sys.path:
        sys.path.insert(0, str(MODEL))
    import keras  # noqa: PLC0415 - only who trains waits for TensorFlow

    build: Callable[[Hparams], keras.Model] = import_module("network").build
    images, labels = _images(options.data, options.images + options.images // 4)
    train, rest = slice(0, options.images), slice(options.images, None)
    keras.utils.set_random_seed(number)
    model = build(hparams)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(float(str(hparams["learning_rate"]))), loss=loss, metrics=["accuracy"])
    kept = model.fit(
        images[train],
        labels[train],
        batch_size=int(str(hparams["batch_size"])),
        epochs=options.epochs,
        validation_data=(images[rest], labels[rest]),
        validation_batch_size=1000,
        verbose=0,
    )
    curve = [float(value) for value in kept.history["val_accuracy"]]
    sys.stderr.write(f"configuration {number + 1}: {curve[-1]:.4f}\n")
    return curve


def _images(folder: Path, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    pixels = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    images = np.frombuffer(pixels, np.uint8)[: count * SIDE * SIDE].reshape(-1, SIDE, SIDE)
    return images.astype(np.float32) / np.float32(255), np.frombuffer(labels, np.uint8)[:count].astype(np.int64)


# --- the report -------------------------------------------------------------------------------------------------------


def _report(
    options: argparse.Namespace, drawn: Sequence[Mapping[str, object]], curves: Sequence[Curve], seconds: float
) -> str:
    whole = Found(sum(map(len, curves)), max(map(max, curves)))
    asha = halved(curves, options.epochs, options.seed, options.lanes)
    share, gap = asha.epochs / whole.epochs, whole.best - asha.best
    lines = [
        "| search | trials | epochs | best accuracy on validation data |",
        "|---|---|---|---|",
        f"| random, every trial to its end | {len(drawn)} | {whole.epochs} | {whole.best:.4f} |",
        f"| adaptive ASHA, {options.lanes} at a time | {len(drawn)} | {asha.epochs} | {asha.best:.4f} |",
        "",
        f"Share of the epochs: **{share:.2f}** (goal: at most {GOAL_SHARE:g}, {_met(share <= GOAL_SHARE)}).",
        f"Lost accuracy: **{gap * 100:.2f} points** (goal: at most {GOAL_GAP * 100:g}, {_met(gap <= GOAL_GAP)}).",
        "",
        f"{options.images} images to train on, {options.images // 4} to validate, {options.epochs} epochs,",
        f"seed {options.seed}; the {len(drawn)} trainings took {seconds:.0f} s on one core.",
    ]
    return "\n".join(lines) + "\n"


def _met(holds: bool) -> str:  # noqa: FBT001 - one word for a truth value
    return "met" if holds else "missed"


if __name__ == "__main__":
    sys.exit(main())
