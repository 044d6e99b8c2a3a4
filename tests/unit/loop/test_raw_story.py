"""Raw Pachyderm pipelines in a DataPipeline's life: made after the dataset, kept as written, removed with it."""

from __future__ import annotations

import pytest

from cdl.api.v1alpha1 import DataPipeline
from cdl.testing.builders import pipeline_document
from cdl.testing.weather import Crash
from cdl.testing.world import World


def spec(name, *cmd, repo="news-train"):
    transform = {"image": "python:3.11", "cmd": list(cmd) or ["wc"]}
    return {"pipeline": {"name": name}, "transform": transform, "input": {"pfs": {"repo": repo, "glob": "/*"}}}


class Raw(World):
    def __init__(self, folder, *specs, **fields):
        super().__init__(folder)
        self.key = self.apply(*specs, **fields)

    def apply(self, *specs, **fields):
        there = self.resources.get(DataPipeline, "default", "news")
        wanted = DataPipeline.read(pipeline_document(pachyderm=list(specs), **fields))
        return self.resources.put(there.model_copy(update={"spec": wanted.spec}) if there else wanted).key

    @property
    def status(self):
        return self.resources.get(DataPipeline, "default", "news").status

    @property
    def said(self):
        ready = self.status.conditions[0]
        return ready.status, ready.reason.value

    @property
    def names(self):
        return {name for _, name in self.raw.pipelines}


def test_it_is_run_and_shown_and_the_dataset_does_not_depend_on_it(tmp_path):
    world, plain = Raw(tmp_path / "one", spec("count")), Raw(tmp_path / "two")
    for each in (world, plain):
        each.settle()
    assert world.said == ("True", "Succeeded")
    assert [(p.name, p.state) for p in world.status.pipelines] == [("count", "SUCCESS")]
    assert world.status.dataset.version == plain.status.dataset.version


def test_ready_waits_for_its_newest_job(tmp_path):
    world = Raw(tmp_path)
    world.settle()
    world.apply(spec("count"))
    world.turn(world.key)
    world.turn(world.key)
    assert (world.said, world.names) == (("Unknown", "Transforming"), {"count"})
    world.settle()
    assert world.said == ("True", "Succeeded")


def test_one_that_fails_is_named_with_its_log_and_the_dataset_is_there(tmp_path):
    world = Raw(tmp_path, spec("count", "false"))
    world.settle()
    assert world.said == ("False", "StepFailed")
    message = world.status.conditions[0].message
    assert message == "pipeline count: false ended with 1; `cdl pachctl logs --pipeline count` shows its log"
    assert world.status.dataset is not None
    world.apply(spec("count"))
    world.settle()
    assert world.said == ("True", "Succeeded")


def test_one_that_leaves_the_list_is_removed(tmp_path):
    world = Raw(tmp_path, spec("count"), spec("more", repo="count"))
    world.settle()
    assert world.names == {"count", "more"}
    world.apply(spec("count"))
    world.settle()
    assert (world.names, [p.name for p in world.status.pipelines]) == ({"count"}, ["count"])
    world.apply()
    world.settle()
    assert (world.names, world.status.pipelines) == (set(), ())


@pytest.mark.parametrize(("policy", "left"), [("Delete", set()), ("Orphan", {"count"})])
def test_the_deletion_policy_holds_for_it_too(tmp_path, policy, left):
    world = Raw(tmp_path, spec("count"), deletionPolicy=policy)
    world.settle()
    world.resources.delete(world.key)
    world.settle()
    assert (world.get(world.key), world.names) == (None, left)


def test_a_name_that_another_has_is_said(tmp_path):
    world = Raw(tmp_path, spec("count"))
    world.settle()
    other = world.resources.put(DataPipeline.read(pipeline_document("other", pachyderm=[spec("count")]))).key
    world.settle()
    ready = world.get(other).status.conditions[0]
    assert ready.message == "pipeline count: one of that name exists and belongs to news; rename it"
    assert world.said == ("True", "Succeeded")
    world.resources.delete(other)
    world.settle()
    assert world.names == {"count"}


def test_a_death_at_any_moment_leaves_no_pipeline_behind(tmp_path):
    deaths = 0
    for moment in range(0, 120, 8):
        world = Raw(tmp_path / str(moment), spec("count"))
        world.sky.crash_in = moment
        for step in range(3):
            try:
                world.settle()
            except Crash:
                deaths += 1
                world.clear_up()
                world.restart()
            if step == 1:
                world.apply()
        world.clear_up()
        world.settle()
        assert (world.names, world.said) == (set(), ("True", "Succeeded"))
    assert deaths > 10
