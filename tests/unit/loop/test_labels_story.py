"""Labels of each dataset version go into the label store; whatever happens to that, the dataset is ready."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdl.api.canonical import digest
from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Side
from cdl.reconcile.decision import Appointment
from cdl.testing.builders import pipeline_document
from cdl.testing.weather import Crash
from cdl.testing.world import World

TABLE = {Side.TRAIN: "id,label\n1,sport\n2,tech\n", Side.TEST: "id,label\n3,tech\n"}
COLUMN = {"from": "column", "column": {"files": "*.csv"}}
ENOUGH = 12


class Labelled(World):
    """A world with one DataPipeline that people push tables to."""

    keeps_labels = True

    def __init__(self, folder, labels=COLUMN):
        super().__init__(folder)
        document = pipeline_document(sources=[], steps=[], checks=[], suspend=False, labels=labels)
        self.key = self.resources.put(DataPipeline.read(document)).key

    @property
    def status(self):
        return self.resources.get(DataPipeline, "default", "news").status

    @property
    def said(self):
        ready = next(c for c in self.status.conditions if c.type == "Ready")
        return ready.status, ready.reason.value

    def push(self, tables=TABLE):
        for side, text in tables.items():
            self.data.push(self.key, side, {"a.csv": text.encode()})

    def work(self):
        for _ in range(ENOUGH):
            again = self.turn(self.key)
        return again

    def stored(self):
        found = self.labels.stored(self.key, self.status.dataset.version)
        return {(s.value, r.item): r.label for s in Side for r in found.rows[s]} if found is not None else None


@pytest.fixture
def world(tmp_path):
    made = Labelled(tmp_path)
    made.push()
    return made


def test_a_column_labels_a_dataset_and_its_labels_are_stored(world):
    world.work()
    assert world.said == ("True", "Succeeded")
    made = world.status.dataset
    assert made.labels.rows == 3
    assert made.labels.snapshot == digest([digest([["1", "sport"], ["2", "tech"]]), digest([["3", "tech"]])])
    assert world.stored() == {("train", "1"): "sport", ("train", "2"): "tech", ("test", "3"): "tech"}
    assert (world.status.label_store.version, world.status.label_store.trouble) == (made.version, "")


def test_another_label_is_another_version_and_the_old_one_is_history(world):
    world.work()
    before = world.status.dataset.version
    world.push({Side.TRAIN: "id,label\n1,sport\n2,cars\n"})
    world.work()
    after = world.status.dataset.version
    assert after != before
    assert [(s.label, s.version, s.until) for s in world.labels.history(world.key, "2")] == [
        ("tech", before, after),
        ("cars", after, ""),
    ]


def test_a_version_that_comes_back_is_the_newest_again(world):
    world.work()
    first = world.status.dataset.version
    world.push({Side.TRAIN: "id,label\n1,sport\n2,cars\n"})
    world.work()
    world.push()
    world.work()
    assert world.status.dataset.version == first
    assert world.labels.newest(world.key) == first
    assert len(world.labels.sets[world.key]) == 3


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("id,label\n1,sport\n1,tech\n", "train side: /a.csv row 2: item '1' has the label 'tech'"),
        ("id,topic\n1,sport\n", "train side: /a.csv: has no column 'label'"),
        ("id,label\n1,\n", "train side: /a.csv row 1: item '1' has no label"),
    ],
)
def test_labels_that_cannot_be_used_stop_it_with_a_sentence(world, table, sentence):
    world.push({Side.TRAIN: table})
    world.work()
    assert world.said == ("False", "LabelsUnusable")
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert stalled.message.startswith(sentence)
    assert world.status.dataset is None
    world.push()
    world.work()
    assert world.said == ("True", "Succeeded")


def test_a_store_that_does_not_answer_keeps_nobody_waiting(world):
    world.labels.weather.down = True
    again = world.work()
    assert world.said == ("True", "Succeeded")
    assert world.status.label_store.version is None
    assert world.status.label_store.trouble
    assert isinstance(again, Appointment)
    assert again == timedelta(minutes=1)
    world.labels.weather.clear_up()
    world.work()
    assert world.stored() is not None
    assert (world.status.label_store.version, world.status.label_store.trouble) == (world.status.dataset.version, "")


def test_without_a_store_nothing_is_stored_and_nothing_breaks(tmp_path):
    world = Labelled(tmp_path, labels={"from": "parent"})
    world.keeps_labels = False
    world.restart()
    for side in Side:
        world.data.push(world.key, side, {"sport/1.txt": b"a goal"})
    world.work()
    assert world.said == ("True", "Succeeded")
    assert world.status.label_store is None


def test_a_settled_pipeline_asks_the_store_nothing(world):
    world.work()
    asked = ("newest labels", "store labels")
    before = [call for call in world.sky.calls if call in asked]
    world.work()
    assert [call for call in world.sky.calls if call in asked] == before
    assert "store labels" in before


def test_a_death_at_any_moment_stores_each_version_once(tmp_path):
    deaths = 0
    for moment in range(100):
        world = Labelled(tmp_path / str(moment))
        world.push()
        world.sky.crash_in = moment
        try:
            world.work()
        except Crash:
            deaths += 1
        finished = world.sky.crash_in is not None
        world.clear_up()
        world.restart()
        world.work()
        assert world.said == ("True", "Succeeded")
        assert [made.version for made, _, _ in world.labels.sets[world.key]] == [world.status.dataset.version]
        assert world.stored() == {("train", "1"): "sport", ("train", "2"): "tech", ("test", "3"): "tech"}
        if finished:
            break
    assert deaths > 5
    assert finished


def test_labels_are_part_of_what_a_version_is(tmp_path):
    worlds = [
        Labelled(tmp_path / name, labels) for name, labels in (("column", COLUMN), ("parent", {"from": "parent"}))
    ]
    for world in worlds:
        world.push()
        world.work()
    ours, theirs = (world.status.dataset for world in worlds)
    assert ours.train.files == theirs.train.files
    assert ours.version != theirs.version
    assert theirs.labels.rows == 0
