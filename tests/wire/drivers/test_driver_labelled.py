"""Labels that people gave, at the embedded pachd, through the driver."""

from __future__ import annotations

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from cdl.api.v1alpha1.datapipeline import Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.engines.pachyderm.labelling import PachydermLabelled
from cdl.ports.errors import Conflict
from cdl.testing.builders import owner
from cdl.testing.labelled_contract import LabelledDataContract

from .conftest import ROOT


@pytest.fixture
def engine(pachd):
    return PachydermLabelled(pachd.address)


@pytest.fixture
def sdk(pachd):
    return Client.from_pachd_address(pachd.address)


@pytest.fixture
def data(pachd):
    return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")


class TestPachydermLabelled(LabelledDataContract):
    @pytest.fixture
    def engine(self, engine):
        return engine

    @pytest.fixture(autouse=True)
    def _data(self, data):
        self.data = data

    def beside(self, engine):
        return self.data


def begun(sdk, name, description):
    repo = pfs.Repo(name=name, type="user", project=pfs.Project(name="default"))
    branch = pfs.Branch(repo=repo, name="master")
    return sdk.pfs.start_commit(branch=branch, description=description)


def test_what_a_dead_writer_left_is_given_up(engine, sdk):
    key = owner("DataPipeline")
    engine.keep(key, "k1", b"one\n")
    begun(sdk, f"{key.name}-labels", "cdl:k2")
    assert engine.look(key).key == "k1"
    engine.keep(key, "k2", b"two\n")
    assert engine.look(key).key == "k2"


def test_somebody_who_is_writing_is_left_alone(engine, sdk):
    key = owner("DataPipeline")
    engine.keep(key, "k1", b"one\n")
    begun(sdk, f"{key.name}-labels", "mine")
    with pytest.raises(Conflict, match="somebody else is writing"):
        engine.keep(key, "k2", b"two\n")


def test_what_people_committed_themselves_is_none_of_ours(engine, sdk, data):
    key = owner("DataPipeline")
    engine.keep(key, "k1", b"one\n")
    repo = pfs.Repo(name=f"{key.name}-labels", type="user", project=pfs.Project(name="default"))
    with sdk.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit:
        commit.put_file_from_bytes(path="/mine.txt", data=b"words")
    assert engine.look(key).key == ""
    engine.keep(key, "k1", b"one\n")
    found = engine.look(key)
    assert list(data.manifest(found.repo, found.commit)) == ["/labels.jsonl"]


def test_the_heart_beats_for_labels_too(engine, data, tmp_path):
    key = owner("DataPipeline")
    engine.arrange(key, LabelledDataContract().wanted(data, key, tmp_path))
    before = data.beat()[key]
    engine.keep(key, "k1", b"one\n")
    after = data.beat()[key]
    assert after != before
    assert data.beat()[key] == after
    assert [a.manifest.side for a in engine.look(key).arranged] == [Side.TRAIN]
