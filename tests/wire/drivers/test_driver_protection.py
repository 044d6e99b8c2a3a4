"""What a Release names outlives the wishes it came from: checkpoints at Determined, commits at Pachyderm."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from determined.common.api import authentication, bindings
from determined.common.api.errors import APIException
from determined.experimental.client import Determined

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.determined import DeterminedEngine
from cdl.engines.pachyderm import PachydermEngine
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.testing.builders import folder, step, step_wish

from .conftest import ROOT, eventually
from .wishes import packed_code, training

NUMBERS = itertools.count()
KEEP_NOTHING = {"saveExperimentBest": 0, "saveTrialBest": 0, "saveTrialLatest": 0}
NEWS = {"sport/1.txt": "the cup", "tech/1.txt": "a new phone"}


@pytest.fixture
def owner():
    return Key("Experiment", "default", f"kept{next(NUMBERS)}")


@pytest.fixture
def sdk(master):
    return Determined._from_session(authentication.login(f"http://{master.address}", "determined", ""))


@pytest.fixture
def trained(master, sdk, owner, pachd, tmp_path):
    """An engine with a run that ended, its two last checkpoints kept, and the run as it is seen."""
    artifacts = DirectoryArtifacts(tmp_path / "artifacts")
    environment = {"CDL_CACHE": str(tmp_path / "cache")}
    engine = DeterminedEngine(
        f"http://{master.address}", fetch=artifacts.fetch, pachd=pachd.address, environment=environment
    )
    wish = training(packed_code(artifacts), epochs=3)
    wish.config["checkpoint_storage"] = {"save_trial_latest": 3}
    engine.start(owner, "k1", wish)
    eventually(lambda: engine.look(owner), lambda runs: runs and runs[0].phase.over)
    return engine, sdk.list_experiments(labels=["cdl-key=k1", f"cdl-owner=default.{owner.name}"])[0]


def states(run):
    return {each.uuid: each.state.name for each in run.list_checkpoints()}


def files(checkpoint):
    place = checkpoint.training.experiment_config["checkpoint_storage"]["container_path"]
    return sorted(p.name for p in Path(place, checkpoint.uuid).rglob("*") if p.is_file())


def keep_nothing(run):
    """As `det experiment set gc-policy` does."""
    body = bindings.v1PatchExperiment(
        id=run.id, checkpointStorage=bindings.PatchExperimentPatchCheckpointStorage(**KEEP_NOTHING)
    )
    bindings.patch_PatchExperiment(run._session, body=body, experiment_id=run.id)


def test_clean_up_takes_every_checkpoint_but_that_of_a_version(trained, owner):
    engine, run = trained
    best = engine.look(owner)[0].best.uuid
    assert len(states(run)) > 1
    assert engine.register("default", owner.name, best, "sha256:" + "a" * 64) == 1
    keep_nothing(run)
    eventually(lambda: states(run), lambda now: len(now) == 1)
    assert states(run) == {best: "COMPLETED"}
    assert "weights.txt" in files(next(c for c in run.list_checkpoints() if c.uuid == best))


def test_forgetting_an_experiment_puts_its_runs_away_and_keeps_what_is_registered(trained, sdk, owner):
    engine, run = trained
    best = engine.look(owner)[0].best.uuid
    engine.register("default", owner.name, best, "sha256:" + "b" * 64)
    engine.forget(owner)
    run.reload()
    assert run.archived
    assert engine.look(owner) == ()
    checkpoint = sdk.get_checkpoint(best)
    assert (checkpoint.state.name, "weights.txt" in files(checkpoint)) == ("COMPLETED", True)
    with pytest.raises(APIException, match="registered as a model version"):
        checkpoint.delete()
    with pytest.raises(APIException, match="model registry"):
        run.delete()
    assert "weights.txt" in files(checkpoint)


@pytest.fixture
def data(pachd):
    return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")


def test_new_data_and_a_changed_step_leave_the_commits_before_them(data, tmp_path):
    pipeline = Key("DataPipeline", "default", f"kept{next(NUMBERS)}")
    spec = DataPipelineSpec(steps=(step("clean"),))

    def brought(key, files_in, **fields):
        data.ingest(pipeline, Side.TRAIN, key, folder(tmp_path, files_in))
        data.ensure_step(pipeline, Side.TRAIN, step_wish("clean", **fields), "")
        made = eventually(
            lambda: next(s for s in data.look(pipeline, spec).steps if s.side is Side.TRAIN),
            lambda s: s.done and s.input == data.look(pipeline, spec).sides[0].head,
        )
        return f"{pipeline.name}-clean-train", made.head

    repo, first = brought("one", NEWS)
    before = data.manifest(repo, first)
    assert set(before) == {f"/{name}" for name in NEWS}
    _, second = brought("two", {"tech/9.txt": "only this"})
    again = {"image": "cdl/steps:test", "cmd": ["sh", "-c", 'cp -r "$CDL_PFS_ROOT"/in/. "$CDL_PFS_ROOT"/out/; true']}
    _, third = brought("three", NEWS | {"tech/3.txt": "more"}, **again)
    assert len({first, second, third}) == 3
    assert data.manifest(repo, first) == before
    assert set(data.manifest(repo, second)) == {"/tech/9.txt"}
