"""On the real data sets, the middle of each search space passes its gate within the demo's epochs.

The data is never part of the repository: it lies in `CDL_DATA`, or beside the checkout in `../shared/data`.
"""

import os
import tarfile
from pathlib import Path

import pytest
import torch
import yaml
from determined import core, pytorch

from cdl.training.keras import KerasTrial

from .conftest import ROOT, USE_CASES

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]


def real(dataset: str) -> Path:
    """Find a data set's folder, or say where it was looked for."""
    places = [Path(place) for place in (os.environ.get("CDL_DATA"), ROOT.parent / "shared/data") if place]
    for place in places:
        if (place / dataset).is_dir():
            return place / dataset
    pytest.skip(f"no {dataset} below CDL_DATA or ../shared/data")


def gate(case: str) -> float:
    document = yaml.safe_load((USE_CASES / case / "resources/experiment.yaml").read_text())
    return float(document["spec"]["evaluation"]["gates"][0]["min"])


def sides_of_images(folder: Path, place: Path) -> None:
    for prefix, side in {"train": "train", "t10k": "test"}.items():
        (place / side).mkdir()
        for path in folder.glob(f"{prefix}-*.gz"):
            (place / side / path.name).symlink_to(path)


def test_clothes_pass_their_gate(open_case, tmp_path):
    sides_of_images(real("fashion-mnist"), tmp_path)
    fashion = open_case("fashion_mnist")
    network, train, images, transform = (fashion.module(name) for name in ("network", "train", "images", "transform"))
    hparams = {"architecture": "mlp", "dense1": 144, "batch_size": 64, "learning_rate": 0.0016, "epochs": 5}
    training, validation = images.read(tmp_path / "train").split()
    assert (len(training.labels), len(validation.labels)) == (48_000, 12_000)
    train.keras.utils.set_random_seed(0)
    with core._dummy_init(checkpoint_storage=str(tmp_path / "checkpoints")) as context:
        model = train.compiled(hparams, len(training.labels))
        trial = KerasTrial(context, model, extra_files=lambda folder: network.describe(folder, hparams))
        trial.fit(
            transform.scaled(training.pixels),
            training.labels,
            batch_size=64,
            epochs=5,
            validation_data=(transform.scaled(validation.pixels), validation.labels),
            validation_batch_size=train.VALIDATION_BATCH,
        )
    latest = max((tmp_path / "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    judged = fashion.module("evaluate").evaluate(latest, tmp_path / "test")
    assert judged["n"] == 10_000
    assert judged["metrics"]["accuracy"] >= gate("fashion_mnist")


def sides_of_articles(archive: Path, place: Path, held_out) -> None:
    with tarfile.open(archive) as opened:
        for entry in opened:
            if entry.isfile() and entry.name.endswith(".txt"):
                text = opened.extractfile(entry).read().decode("utf-8", errors="replace")
                side = "test" if held_out(text, 0.2, 1) else "train"
                target = place / side / Path(entry.name).relative_to("bbc")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)


def test_news_pass_their_gate(open_case, tmp_path, monkeypatch):
    archive = real("bbc-news") / "bbc-fulltext.tar.gz"
    news = open_case("bbc_news")
    sides_of_articles(archive, tmp_path, news.module("transform").held_out)
    monkeypatch.setenv("CDL_DATASET", str(tmp_path / "train"))
    monkeypatch.setenv("CDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")
    hparams = {"learning_rate": 0.001, "hidden1": 320, "dropout": 0.2, "global_batch_size": 64, "epochs": 4}
    torch.manual_seed(0)
    with pytorch.init(hparams=hparams, enable_tensorboard_logging=False) as context:
        trial = news.module("model_def").NewsTrial(context)
        pytorch.Trainer(trial, context).fit(max_length=pytorch.Epoch(4), validation_period=pytorch.Epoch(4))
    (weights,) = (tmp_path / "home").rglob("network.pt")
    judged = news.module("evaluate").evaluate(weights.parent, tmp_path / "test")
    assert judged["n"] > 400
    assert judged["metrics"]["accuracy"] >= gate("bbc_news")
