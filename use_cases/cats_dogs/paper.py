"""Repeat the paper's transfer-learning experiments and write its tables 2 to 7 and figures 8 to 12 anew.

    python3 paper.py --data FOLDER --out OUTDIR        # FOLDER has base.tar and transfer.tar: see halves.py
    python3 paper.py --data synthetic --out OUTDIR

A base network is trained on the one half; on the other half one network is trained from scratch (experiment 1), one
from the base's weights (2), and one from them with its convolutions frozen (3). The same transform, network and warm
start as in trials; `report.md` says at which scale and with which seed.
"""

import argparse
import json
import os
import platform
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow loads: its greeting says nothing about the run
sys.path.insert(0, str(Path(__file__).resolve().with_name("model")))

import figures
import keras
import network
import pictures
import synthetic
from keras.callbacks import LambdaCallback
from report import written
from transform import SIDE, scaled

from cdl.training import layers
from cdl.training.warm import Parameters, WarmStart

BASE, SCRATCH, WEIGHTS, FREEZE = "base", "scratch", "weights", "freeze"
EPOCHS = {BASE: 30, SCRATCH: 50, WEIGHTS: 20, FREEZE: 20}
STARTS = {WEIGHTS: WarmStart(release="base"), FREEZE: WarmStart("freeze", release="base", freeze=("conv*",))}


@dataclass(frozen=True)
class Scale:
    """How large the run is."""

    side: int = SIDE
    epochs: tuple[int, int, int, int] = (30, 50, 20, 20)
    """Of the base network and of experiments 1, 2 and 3."""
    batch_size: int = 32
    learning_rate: float = 0.0003
    seed: int = 1


@dataclass(frozen=True)
class Trained:
    """What one network showed, epoch by epoch, and of how many parameters."""

    name: str
    history: dict[str, list[float]]
    parameters: Parameters
    seconds: float


def read(archive: Path, side: int, seed: int) -> tuple[pictures.Pictures, pictures.Pictures]:
    """Read one half as its training and its validation part."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
        return pictures.read(Path(folder), side).split(seed)


def run(data: Path, out: Path, scale: Scale) -> list[Trained]:
    """Train all four networks and write the report."""
    out.mkdir(parents=True, exist_ok=True)
    halves = {name: read(data / f"{name}.tar", scale.side, scale.seed) for name in ("base", "transfer")}
    found = []
    for number, (name, epochs) in enumerate(zip(EPOCHS, scale.epochs, strict=True)):
        keras.utils.set_random_seed(scale.seed * 10 + number)
        model = network.compiled(scale.learning_rate, scale.side)
        start = STARTS.get(name)
        parameters = layers.begin(model, out, start) if start is not None else counted(model)
        found.append(trained(name, model, halves["base" if name == BASE else "transfer"], epochs, scale, parameters))
        if name == BASE:
            model.save_weights(out / layers.WEIGHTS)
    sizes = {name: tuple(len(part.labels) for part in parts) for name, parts in halves.items()}
    machine = f"{platform.machine()}, TensorFlow, {os.environ.get('OMP_NUM_THREADS', 'all')} threads"
    told = {"scale": asdict(scale), "sizes": sizes, "machine": machine}
    kept = [{**asdict(one), "parameters": one.parameters.plain()} for one in found]
    (out / "results.json").write_text(json.dumps({**told, "runs": kept}, indent=1) + "\n")
    table = network.rows(network.build(scale.side))
    (out / "report.md").write_text(written(told, {one.name: one for one in found}, table))
    for name, drawing in drawn({one.name: one.history for one in found}).items():
        (out / f"{name}.svg").write_text(drawing)
    return found


def trained(
    name: str,
    model: keras.Model,
    half: tuple[pictures.Pictures, pictures.Pictures],
    epochs: int,
    scale: Scale,
    parameters: Parameters,
) -> Trained:
    """Train one network, saying how far it is."""
    training, validation = half
    begun = time.monotonic()

    def say(epoch: int, logs: dict[str, float]) -> None:
        figures_now = ", ".join(f"{key} {value:.4f}" for key, value in logs.items())
        print(f"{name}: epoch {epoch + 1} of {epochs}: {figures_now}", flush=True)

    history = model.fit(
        scaled(training.pixels, scale.side),
        training.labels,
        batch_size=scale.batch_size,
        epochs=epochs,
        validation_data=(scaled(validation.pixels, scale.side), validation.labels),
        verbose=0,
        callbacks=[LambdaCallback(on_epoch_end=say)],
    ).history
    plain = {key: [float(value) for value in values] for key, values in history.items()}
    return Trained(name, plain, parameters, time.monotonic() - begun)


def counted(model: keras.Model) -> Parameters:
    """Count the parameters of a network that begins from scratch."""
    return Parameters(total=model.count_params(), loaded=0, frozen=0)


def drawn(runs: dict[str, dict[str, list[float]]]) -> dict[str, str]:
    """Draw figures 8 to 12."""
    titles = {
        SCRATCH: "Experiment 1: training from scratch",
        WEIGHTS: "Experiment 2: training with trained weights",
        FREEZE: "Experiment 3: training with frozen convolution layers",
    }
    found = {}
    for number, (name, title) in enumerate(titles.items(), 8):
        accuracy, loss = (
            {"training": points(runs[name][key]), "validation": points(runs[name][f"val_{key}"])}
            for key in ("accuracy", "loss")
        )
        found[f"figure-{number}"] = figures.pair(f"Figure {number}: {title}", ("accuracy", accuracy), ("loss", loss))
    shared, late = len(runs[WEIGHTS]["loss"]), max(len(runs[SCRATCH]["loss"]) - 10, 0)
    for number, begin in ((11, 0), (12, late)):
        count = shared if begin == 0 else len(runs[SCRATCH]["loss"])
        words = f"Exp1: from scratch, epochs {begin + 1} to {min(count, len(runs[SCRATCH]['loss']))}"
        charts = [
            (
                f"training {key}",
                {
                    words: points(runs[SCRATCH][key][begin:count]),
                    "Exp2: reusing weights": points(runs[WEIGHTS][key]),
                    "Exp3: freezing convolutions": points(runs[FREEZE][key]),
                },
            )
            for key in ("accuracy", "loss")
        ]
        found[f"figure-{number}"] = figures.pair(f"Figure {number}: the three experiments", charts[0], charts[1])
    return found


def points(values: Sequence[float]) -> list[tuple[float, float]]:
    """Number epochs from 1."""
    return [(float(epoch), value) for epoch, value in enumerate(values, 1)]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Repeat the paper's transfer-learning experiments.")
    parser.add_argument("--data", required=True, help="folder with base.tar and transfer.tar, or `synthetic`")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--side", type=int, default=SIDE, help="width and height of pictures; the paper has 150")
    parser.add_argument("--epochs", type=int, nargs=4, default=Scale().epochs, metavar=("BASE", "E1", "E2", "E3"))
    parser.add_argument("--learning-rate", type=float, default=Scale().learning_rate)
    parser.add_argument("--seed", type=int, default=Scale().seed)
    chosen = parser.parse_args()
    data = Path(chosen.data)
    if chosen.data == "synthetic":
        data = chosen.out / "synthetic"
        synthetic.write(data, chosen.seed)
    lacking = [name for name in ("base.tar", "transfer.tar") if not (data / name).is_file()]
    if lacking:
        raise SystemExit(f"--data: {data} holds no {' and no '.join(lacking)}; halves.py makes them")
    epochs = (chosen.epochs[0], chosen.epochs[1], chosen.epochs[2], chosen.epochs[3])
    run(
        data,
        chosen.out,
        Scale(side=chosen.side, epochs=epochs, learning_rate=chosen.learning_rate, seed=chosen.seed),
    )
    print(f"written: {chosen.out / 'report.md'}, results.json and figures 8 to 12")


if __name__ == "__main__":
    main()
