"""A pachd that asks who it is: the token of the settings is shown with every call, and shown to nobody else."""

from __future__ import annotations

import grpc
import pytest

from cdl import compose
from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.ports.errors import NotPermitted
from cdl.settings import Settings
from cdl.training.data import fetch_version
from cdl.training.failures import TrainingError
from cdl.training.versions import Dataset

from .between import standing_before
from .conftest import ROOT

TOKEN = "robot-0123456789"
STRANGER = (grpc.StatusCode.UNAUTHENTICATED, "no authentication token (try logging in)")
OWNER = Key("DataPipeline", "default", "token")
SPEC = DataPipelineSpec.model_validate({"steps": [{"name": "idle", "image": "x", "cmd": ["true"]}]})


@pytest.fixture(scope="module")
def guarded(pachd):
    def judge(_method, metadata, _first):
        return None if metadata.get("authn-token") == TOKEN else STRANGER

    with standing_before(pachd.address, judge) as found:
        yield found


def told(address, home, **settings):
    return Settings(home=home, pachd=f"grpc://{address}", programs=ROOT / "pipelines", **settings)


def data_engine(settings):
    return compose.engines(settings, compose.local_store(settings), ("DataPipeline",)).data


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("one")
    return tmp_path / "files"


def test_the_token_goes_with_every_call(guarded, folder, tmp_path, monkeypatch):
    guard, address = guarded
    settings = told(address, tmp_path / "home", pachd_token=TOKEN)
    engine, before = data_engine(settings), guard.refused
    engine.ingest(OWNER, Side.TRAIN, "first", folder)
    (train,) = [side for side in engine.look(OWNER, SPEC).sides if side.side is Side.TRAIN]
    assert train.head
    assert OWNER in engine.beat()
    assert list(compose.logs(settings, OWNER)) == []
    assert guard.refused == before

    # a trial is given its own token by who set Determined up, under the SDK's name
    host, port = address.split(":")
    dataset = Dataset(host=host, port=int(port), project="default", repo="token-train", commit=train.head)
    with pytest.raises(TrainingError, match="no authentication token"):
        fetch_version(dataset, tmp_path / "cache")
    monkeypatch.setenv("PACH_PYTHON_AUTH_TOKEN", TOKEN)
    assert (fetch_version(dataset, tmp_path / "cache") / "a.txt").read_text() == "one"
    engine.forget(OWNER)


@pytest.mark.parametrize("token", ["", "wrong-0123456789"])
def test_without_it_the_engine_says_no_in_one_sentence(guarded, tmp_path, token):
    engine = data_engine(told(guarded[1], tmp_path / "home", pachd_token=token))
    with pytest.raises(NotPermitted) as caught:
        engine.look(OWNER, SPEC)
    assert str(caught.value) == "looking at DataPipeline token: no authentication token (try logging in)"
