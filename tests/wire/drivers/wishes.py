"""Code that trains in no time, releases that answer at once, and the wishes for them: one set for every suite."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx

from cdl.api.v1alpha1.experiment import Archive
from cdl.api.v1alpha1.modeldeployment import ModelDeploymentSpec
from cdl.reconcile.experiment import TrainWish
from cdl.reconcile.modeldeployment import ReleaseSeen, ServingWish
from cdl.stores.artifacts import pack
from cdl.testing.builders import signer
from tests.wire.serving.tiny_release import ROWS, TinyRelease

MODEL = Path(__file__).with_name("model")
SINGLE = {"name": "single", "metric": "accuracy", "smaller_is_better": False}
ROW = {"data": {"ndarray": [[1, 2, 3, 4]]}}
ENTRYPOINTS = {1: "serve:Rows", 2: "serve:Rows", 3: "serve:Nowhere"}


def packed_code(artifacts):
    """The tiny model, where a master can fetch it."""
    content = pack(MODEL)
    return Archive(uri=artifacts.keep(content, ".tar.gz"), sha256=hashlib.sha256(content).hexdigest())


def training(code, searcher=None, **hparams):
    """The wish to train it."""
    config = {
        "entrypoint": "python3 train.py",
        "hyperparameters": hparams,
        "searcher": searcher or SINGLE,
        "max_restarts": 0,
        "labels": ["mine"],
    }
    return TrainWish("news", config, code, "news-train", "0" * 32)


class Trainings:
    """The wishes of a TrainingEngineContract; `code` is what `packed_code` gave."""

    def short_wish(self):
        return training(self.code, epochs=1)

    def long_wish(self):
        return training(self.code, epochs=1000, pause=0.1)

    def failing_wish(self):
        return training(self.code, breaks=True)


def released(folder, version, weight=None, entrypoint="serve:Rows"):
    """A release that answers ten times its weight, which is its version's number unless another is given."""
    folder.mkdir(exist_ok=True)
    weight = float(version) if weight is None else weight
    made = TinyRelease(folder, entrypoint=entrypoint, version=version, weight=weight).write()
    document = next(p["value"] for p in made.parameters(ROWS) if p["name"] == "release_uri")
    approval = made.approve(signer())
    return ReleaseSeen(f"rows-{version}", version, made.digest, True, document, attestation=approval)


def releases_below(folder):
    """Two that answer and one that cannot start."""
    return {
        version: released(folder / f"release{version}", version, entrypoint=entrypoint)
        for version, entrypoint in ENTRYPOINTS.items()
    }


def serving(release, **predictor):
    """The wish to serve a release."""
    spec = {"model": {"name": "rows"}, "interface": ROWS, "predictor": predictor}
    return ServingWish(release, ModelDeploymentSpec.model_validate(spec))


class Servings:
    """The wishes of a ServingEngineContract, and who answers; `releases` is what `releases_below` gave."""

    def wish(self, version):
        return serving(self.releases[version])

    def broken_wish(self):
        return self.wish(3)

    def answering(self, engine, key):
        """A removed deployment is unknown to the router."""
        seen = engine.look(key)
        answer = httpx.post(seen.url, json=ROW) if seen is not None else None
        if answer is None or answer.status_code != 200:
            return ""
        return f"rows-{round(answer.json()['data']['ndarray'][0][0] / 10)}"
