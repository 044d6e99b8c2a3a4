"""Engines that die and come back; the drivers go on as if nothing had been."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.determined import DeterminedEngine
from cdl.engines.pachyderm import PachydermEngine
from cdl.ports.errors import Unavailable

from .conftest import ROOT, Server, eventually


def back(look):
    """Ask until somebody answers, as the loop does."""

    def ask():
        try:
            return look(), True
        except Unavailable:
            return None, False

    return eventually(ask, lambda answer: answer[1], 30)[0]


@pytest.fixture
def server(request, tmp_path):
    made = Server(request.param, tmp_path / "state")
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("server", ["pachd"], indirect=True)
def test_pachd_may_be_killed_and_come_back(server, tmp_path):
    engine = PachydermEngine(server.address, steps_image="x", programs=ROOT / "pipelines")
    owner, spec = Key("DataPipeline", "default", "news"), DataPipelineSpec()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "1.txt").write_text("goal")
    engine.ingest(owner, Side.TRAIN, "k1", tmp_path / "files")
    before = engine.look(owner, spec)
    server.stop(signal.SIGKILL)
    for _ in range(3):
        with pytest.raises(Unavailable):
            engine.look(owner, spec)
    server.start()
    assert back(lambda: engine.look(owner, spec)) == before
    assert before.sides[0].ingest == "k1"


@pytest.mark.parametrize("server", ["determined"], indirect=True)
def test_the_master_may_be_killed_and_come_back(server):
    engine = DeterminedEngine(f"http://{server.address}", fetch=lambda _uri, _sha: Path(), pachd="127.0.0.1:1")
    owner = Key("Experiment", "default", "news")
    assert engine.look(owner) == ()
    server.stop(signal.SIGKILL)
    with pytest.raises(Unavailable):
        engine.look(owner)
    server.start()
    assert back(lambda: engine.look(owner)) == ()
