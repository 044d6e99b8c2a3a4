"""What an equal DataPipeline of another namespace has made is taken over, not made again."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.reconcile.datapipeline import wishes

from .conftest import ROOT, eventually

NUMBERS = itertools.count()
NEWS = {
    "business/1.txt": "shares rose by a lot on a sunny friday",
    "business/2.txt": "short",
    "sport/1.txt": "they won the match in the last minute",
}
STEPS = [{"name": "clean", "uses": "text/clean"}, {"name": "validate", "uses": "checks"}]


def checking(length: int) -> DataPipelineSpec:
    check = {"name": "enough-text", "field": "text", "minLength": length, "onFail": "reject"}
    return DataPipelineSpec.model_validate({"steps": STEPS, "checks": [check]})


SPEC, STRICTER = checking(10), checking(38)


@pytest.fixture(scope="module")
def engine(pachd, shared):
    return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines", file_root=shared)


@pytest.fixture(scope="module")
def sdk(pachd):
    return Client.from_pachd_address(pachd.address)


@pytest.fixture(scope="module")
def production(engine, lay):
    """A DataPipeline that has made its dataset; who changes it asks for one of their own."""
    return made(engine, lay)


@pytest.fixture
def own_production(engine, lay):
    return made(engine, lay)


@pytest.fixture
def preview(production):
    """One of the same name, of which nothing is there yet."""
    return replace(production, namespace=f"{production.name}-mr-{next(NUMBERS)}")


@pytest.fixture(scope="module")
def lay(shared):
    def write(files):
        root = shared / f"taken{next(NUMBERS)}"
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        return root

    return write


def made(engine, lay):
    number = next(NUMBERS)
    key = Key("DataPipeline", f"production{number}", f"taken{number}")
    bring(engine, key, lay(NEWS))
    ensure(engine, key, SPEC)
    whole(engine, key, SPEC)
    return key


def bring(engine, key, folder, ingest="one"):
    for side in Side:
        engine.ingest(key, side, ingest, folder)


def ensure(engine, key, spec, like=None):
    programs = engine.look(key, spec).programs
    for side in Side:
        for wish in wishes(spec, programs):
            engine.ensure_step(key, side, wish, wish.reads, like)


def whole(engine, key, spec):
    return eventually(lambda: engine.look(key, spec), lambda s: len(s.manifests) == len(Side) and wished(s, spec))


def wished(seen, spec):
    """Every step is as the spec asks for, over what there is now."""
    asked = {w.step.name: w.digest for w in wishes(spec, seen.programs)}
    return all(step.wish == asked[step.step] for step in seen.steps)


def contents(seen):
    return [(m.side, m.digest, m.files, m.label_digest, m.label_rows) for m in seen.manifests]


def reports(seen):
    return [(s.step, s.side, s.report) for s in seen.steps]


def pipelines(sdk, key):
    found = sdk.pps.list_pipeline(projects=[pfs.Project(name=key.namespace)])
    return sorted(p.pipeline.name for p in found if p.pipeline.project.name == key.namespace)


def repos(sdk, key):
    found = sdk.pfs.list_repo(type="user", projects=[pfs.Project(name=key.namespace)])
    return sorted(r.repo.name for r in found if r.repo.project.name == key.namespace)


def commits(sdk, key, repo):
    handle = pfs.Repo(name=repo, type="user", project=pfs.Project(name=key.namespace))
    return list(sdk.pfs.list_commit(repo=handle, all=True))


def test_an_equal_dataset_is_taken_over_at_once_and_nothing_runs(engine, sdk, production, preview, lay):
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, SPEC, production)
    mine, theirs = engine.look(preview, SPEC), engine.look(production, SPEC)
    assert wished(mine, SPEC)
    assert contents(mine) == contents(theirs)
    assert reports(mine) == reports(theirs)
    assert [step.report.rejected for step in mine.steps if step.step == "validate"] == [{"enough-text": 1}] * 2
    assert pipelines(sdk, preview) == []
    assert {step.taken.partition("@")[0] for step in mine.steps if step.side is Side.TRAIN} == {
        f"{production.namespace}/{production.name}-{step['name']}-train" for step in STEPS
    }


def test_what_is_taken_over_verifies_and_exports_as_what_was_computed(engine, production, preview, lay, tmp_path):
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, SPEC, production)
    found = {}
    for key in (production, preview):
        seen = engine.look(key, SPEC)
        made = next(m for m in seen.manifests if m.side is Side.TRAIN)
        engine.export(made.repo, made.commit, tmp_path / key.namespace, key.namespace)
        place = tmp_path / key.namespace
        read = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*.txt")}
        evidence = engine.evidence(made.repo, made.commit, Labels(), key.namespace)
        found[key] = evidence, engine.manifest(made.repo, made.commit, key.namespace), read
        assert evidence is not None
        assert evidence.programs == tuple(w.program for w in wishes(SPEC, seen.programs))
    assert found[preview] == found[production]
    assert len(found[preview][2]) == 2


def test_a_second_time_changes_nothing(engine, sdk, production, preview, lay):
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, SPEC, production)
    before = engine.look(preview, SPEC)
    ensure(engine, preview, SPEC, production)
    assert engine.look(preview, SPEC) == before
    assert len(commits(sdk, preview, f"{preview.name}-clean-train_taken")) == 1


@pytest.mark.parametrize("gone", ["preview", "production"])
def test_either_may_go_and_the_other_stays(engine, sdk, own_production, lay, gone, tmp_path):
    production, preview = own_production, replace(own_production, namespace=f"{own_production.name}-mr-1")
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, SPEC, production)
    before = {key: engine.look(key, SPEC) for key in (production, preview)}
    goes, stays = (preview, production) if gone == "preview" else (production, preview)
    engine.forget(goes)
    assert engine.look(stays, SPEC) == before[stays]
    made = engine.look(stays, SPEC).manifests[0]
    engine.export(made.repo, made.commit, tmp_path / "out", stays.namespace)
    assert len(list((tmp_path / "out").rglob("*.txt"))) == 2
    assert repos(sdk, goes) == []
    assert pipelines(sdk, goes) == []


def test_other_files_are_computed(engine, sdk, production, preview, lay):
    bring(engine, preview, lay(NEWS | {"sport/2.txt": "one article that production never saw"}))
    ensure(engine, preview, SPEC, production)
    seen = whole(engine, preview, SPEC)
    assert [m.files for m in seen.manifests] == [3, 3]
    assert not [step for step in seen.steps if step.taken]
    assert len(pipelines(sdk, preview)) == len(STEPS) * len(Side)


def test_what_is_equal_is_taken_over_and_the_rest_is_computed_from_it(engine, sdk, production, preview, lay):
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, STRICTER, production)
    seen = whole(engine, preview, STRICTER)
    assert {(step.step, bool(step.taken)) for step in seen.steps} == {("clean", True), ("validate", False)}
    assert pipelines(sdk, preview) == [f"{preview.name}-validate-{side}" for side in ("test", "train")]
    assert [m.files for m in seen.manifests] == [1, 1]
    made = seen.manifests[0]
    evidence = engine.evidence(made.repo, made.commit, Labels(), preview.namespace)
    assert evidence is not None
    assert evidence.programs == tuple(w.program for w in wishes(STRICTER, seen.programs))


@pytest.mark.parametrize("first", [SPEC, STRICTER], ids=["all taken", "first taken"])
def test_new_files_are_computed_here(engine, sdk, production, preview, lay, first):
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, first, production)
    whole(engine, preview, first)
    bring(engine, preview, lay(NEWS | {"sport/2.txt": "one article that production has never ever seen"}), "two")
    stale = engine.look(preview, first)
    assert stale.manifests == ()
    assert not wished(stale, first)
    ensure(engine, preview, first, production)
    seen = whole(engine, preview, first)
    assert [m.files for m in seen.manifests] == [3 if first is SPEC else 2] * 2
    assert not [step for step in seen.steps if step.taken]
    alone = Key("DataPipeline", preview.namespace, f"{preview.name}-alone")
    bring(engine, alone, lay(NEWS | {"sport/2.txt": "one article that production has never ever seen"}), "two")
    ensure(engine, alone, first)
    assert contents(whole(engine, alone, first)) == contents(seen)


def test_new_files_that_both_have_are_taken_over_again(engine, sdk, own_production, lay):
    production, preview = own_production, replace(own_production, namespace=f"{own_production.name}-mr-1")
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, SPEC, production)
    more = NEWS | {"sport/2.txt": "one article more than there was before"}
    for key in (production, preview):
        bring(engine, key, lay(more), "two")
    eventually(lambda: engine.look(production, SPEC), lambda s: len(s.manifests) == len(Side))
    ensure(engine, preview, SPEC, production)
    seen = engine.look(preview, SPEC)
    assert [m.files for m in seen.manifests] == [3, 3]
    assert all(step.taken for step in seen.steps)
    assert pipelines(sdk, preview) == []


def test_what_a_dead_writer_left_is_given_up(engine, sdk, production, preview, lay):
    bring(engine, preview, lay(NEWS))
    ensure(engine, preview, SPEC, production)
    before = engine.look(preview, SPEC)
    repo = pfs.Repo(name=f"{preview.name}-clean-train_taken", type="user", project=pfs.Project(name=preview.namespace))
    description = commits(sdk, preview, repo.name)[0].description
    bring(engine, preview, lay(NEWS), "two")
    sdk.pfs.start_commit(branch=pfs.Branch(repo=repo, name="master"), description=description)
    assert engine.look(preview, SPEC).manifests == ()
    ensure(engine, preview, SPEC, production)
    assert contents(engine.look(preview, SPEC)) == contents(before)


@pytest.mark.parametrize("how", ["fails", "runs"])
def test_what_is_not_whole_is_not_taken_over(engine, sdk, production, preview, lay, how):
    words = ["false"] if how == "fails" else ["sleep", "600"]
    step = {"name": "clean", "image": "cdl/steps:test", "cmd": words}
    spec = DataPipelineSpec.model_validate({"steps": [step]})
    other = replace(production, name=f"{production.name}-other")
    bring(engine, other, lay(NEWS))
    bring(engine, preview, lay(NEWS))
    ensure(engine, other, spec)
    if how == "fails":
        eventually(lambda: engine.look(other, spec), lambda s: all(step.failure for step in s.steps))
    ensure(engine, preview, spec, other)
    assert not [step for step in engine.look(preview, spec).steps if step.taken]
    assert len(pipelines(sdk, preview)) == len(Side)
    engine.forget(other)
    engine.forget(preview)


def test_a_stranger_of_that_name_is_nobody_to_take_from(engine, sdk, production, preview, lay):
    bring(engine, preview, lay(NEWS))
    for stranger in (replace(production, name="nobody"), replace(production, namespace="nowhere")):
        ensure(engine, preview, SPEC, stranger)
    seen = whole(engine, preview, SPEC)
    assert not [step for step in seen.steps if step.taken]
    assert (
        pps.PipelineState(
            sdk.pps.inspect_pipeline(
                pipeline=pps.Pipeline(project=pfs.Project(name=preview.namespace), name=f"{preview.name}-clean-train")
            ).state
        )
        is not pps.PipelineState.PIPELINE_FAILURE
    )


def test_a_beat_tells_of_what_was_taken_over(engine, production, preview, lay):
    bring(engine, preview, lay(NEWS))
    before = engine.beat()[preview]
    ensure(engine, preview, SPEC, production)
    assert engine.beat()[preview] != before
