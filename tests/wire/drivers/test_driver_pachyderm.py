"""PachydermEngine against the embedded pachd, through the real SDK."""

from __future__ import annotations

import itertools
from pathlib import Path

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.ports.errors import Conflict, Rejected, Unavailable
from cdl.reconcile.datapipeline import wishes

from .conftest import ROOT, eventually, free_port

NUMBERS = itertools.count()
NEWS = {
    "business/1.txt": b"shares rose by a lot on a sunny friday",
    "business/2.txt": b"short",
    "sport/1.txt": b"they won the match in the last minute",
}
SPEC = DataPipelineSpec.model_validate(
    {
        "steps": [{"name": "clean", "uses": "text/clean"}, {"name": "validate", "uses": "checks"}],
        "checks": [{"name": "enough-text", "field": "text", "minLength": 10, "onFail": "reject"}],
    }
)
RAW = DataPipelineSpec()


@pytest.fixture
def engine(pachd, shared):
    return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines", file_root=shared)


@pytest.fixture
def sdk(pachd):
    return Client.from_pachd_address(pachd.address)


@pytest.fixture
def owner():
    return Key("DataPipeline", "default", f"news{next(NUMBERS)}")


@pytest.fixture(params=["file url", "stream"])
def folder(request, tmp_path_factory, shared):
    """A folder that pachd may read by itself, and one that it may not."""

    def lay(files: dict[str, bytes]) -> Path:
        root = tmp_path_factory.mktemp("f")
        root = shared / f"f{next(NUMBERS)}" if request.param == "file url" else root
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        root.mkdir(exist_ok=True)
        return root

    return lay


@pytest.fixture
def news(shared):
    root = shared / f"f{next(NUMBERS)}"
    for name, content in NEWS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def content(sdk, repo: str, commit: str) -> dict[str, bytes]:
    handle = pfs.Commit(repo=pfs.Repo.from_uri(repo), id=commit)
    files = [f for f in sdk.pfs.walk_file(file=pfs.File(commit=handle, path="/")) if f.file_type == pfs.FileType.FILE]
    return {f.file.path: sdk.pfs.pfs_file(f.file).read() for f in files}


def commits(sdk, repo: str) -> list[pfs.CommitInfo]:
    return list(sdk.pfs.list_commit(repo=pfs.Repo.from_uri(repo), all=True))


def side(seen, which: Side):
    return next(s for s in seen.sides if s.side is which)


def ensure(engine, owner, spec, programs) -> None:
    for which in Side:
        for wish in wishes(spec, programs):
            engine.ensure_step(owner, which, wish, wish.reads)


def done(engine, owner, spec):
    return eventually(lambda: engine.look(owner, spec), lambda s: len(s.manifests) == len(Side))


def test_programs_are_what_the_folder_holds(engine, owner):
    found = {step.parent.relative_to(ROOT / "pipelines").as_posix() for step in (ROOT / "pipelines").rglob("step.py")}
    assert set(engine.look(owner, RAW).programs) == found >= {"checks", "idx/validate", "image/decode", "text/clean"}


def test_an_ingest_is_exactly_the_folder(engine, sdk, owner, folder):
    big = bytes(range(256)) * 10_000
    files = {"a/1.txt": b"one", "a/empty.txt": b"", "b.bin": big}
    engine.ingest(owner, Side.TRAIN, "k1", folder(files))
    seen = side(engine.look(owner, RAW), Side.TRAIN)
    assert (seen.repo, seen.ingest, seen.files, seen.size) == (f"{owner.name}-train", "k1", 3, len(big) + 3)
    assert content(sdk, seen.repo, seen.head) == {f"/{k}": v for k, v in files.items()}


def test_the_next_ingest_replaces_everything(engine, sdk, owner, folder):
    engine.ingest(owner, Side.TRAIN, "k1", folder({"a/1": b"one", "a/2": b"two"}))
    engine.ingest(owner, Side.TRAIN, "k2", folder({"a/2": b"two!", "c": b"new"}))
    seen = side(engine.look(owner, RAW), Side.TRAIN)
    assert seen.ingest == "k2"
    assert content(sdk, seen.repo, seen.head) == {"/a/2": b"two!", "/c": b"new"}


def test_an_empty_folder_empties_the_side(engine, sdk, owner, folder):
    engine.ingest(owner, Side.TEST, "k1", folder({"a": b"one"}))
    engine.ingest(owner, Side.TEST, "k2", folder({}))
    seen = side(engine.look(owner, RAW), Side.TEST)
    assert (seen.ingest, seen.files) == ("k2", 0)


def test_a_path_that_pachyderm_does_not_take_is_one_sentence(engine, owner, folder):
    with pytest.raises(Rejected, match=r"a\+b\.txt' holds '\+'"):
        engine.ingest(owner, Side.TRAIN, "k1", folder({"a+b.txt": b"x"}))


def half_written(sdk, repo: str, description: str) -> pfs.Commit:
    branch = pfs.Branch(repo=pfs.Repo.from_uri(repo), name="master")
    sdk.pfs.create_repo(repo=branch.repo, update=True)
    commit = sdk.pfs.start_commit(branch=branch, description=description)
    sdk.pfs.put_file_from_bytes(commit=commit, path="/half", data=b"half")
    return commit


def test_a_half_written_ingest_is_not_visible_and_does_not_block(engine, sdk, owner, news):
    repo = f"{owner.name}-train"
    half_written(sdk, repo, "cdl:k1")
    assert side(engine.look(owner, RAW), Side.TRAIN).head is None
    engine.ingest(owner, Side.TRAIN, "k1", news)
    seen = side(engine.look(owner, RAW), Side.TRAIN)
    assert seen.ingest == "k1"
    assert set(content(sdk, repo, seen.head)) == {f"/{n}" for n in NEWS}
    assert [c.error for c in commits(sdk, repo)] == ["", "abandoned"]


def test_a_crash_on_top_of_a_good_head_changes_nothing_that_counts(engine, sdk, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    ensure(engine, owner, SPEC, programs)
    before = done(engine, owner, SPEC)
    half_written(sdk, f"{owner.name}-train", "cdl:k2")
    assert engine.look(owner, SPEC) == before


def test_a_branch_that_a_crash_left_is_healed_before_a_step_is_changed(engine, sdk, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    half_written(sdk, f"{owner.name}-train", "cdl:k2")
    ensure(engine, owner, SPEC, programs)
    seen = done(engine, owner, SPEC)
    assert side(seen, Side.TRAIN).ingest == "k1"
    assert (seen.manifests[0].digest, seen.manifests[0].files) == (seen.manifests[1].digest, 2)


def test_the_ingest_after_a_crash_has_the_files_of_its_own_folder(engine, sdk, owner, news):
    repo = f"{owner.name}-train"
    engine.ingest(owner, Side.TRAIN, "k1", news)
    for key in ("k1", "k2"):
        half_written(sdk, repo, "cdl:k2")
        engine.ingest(owner, Side.TRAIN, key, news)
        seen = side(engine.look(owner, RAW), Side.TRAIN)
        assert seen.ingest == key
        assert set(content(sdk, repo, seen.head)) == {f"/{n}" for n in NEWS}


def test_somebody_elses_open_commit_is_left_alone(engine, sdk, owner, news):
    engine.ingest(owner, Side.TRAIN, "k1", news)
    commit = half_written(sdk, f"{owner.name}-train", "by hand")
    seen = side(engine.look(owner, RAW), Side.TRAIN)
    assert seen.ingest == "k1"
    with pytest.raises(Conflict, match="somebody else is writing"):
        engine.ingest(owner, Side.TRAIN, "k2", news)
    sdk.pfs.finish_commit(commit=commit)
    seen = eventually(lambda: side(engine.look(owner, RAW), Side.TRAIN), lambda s: s.head == commit.id)
    assert (seen.ingest, seen.files) == (None, 4)


def test_steps_run_over_both_sides_and_report(engine, sdk, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    ensure(engine, owner, SPEC, programs)
    seen = done(engine, owner, SPEC)
    assert [s.wish for s in seen.steps] == [w.digest for w in wishes(SPEC, programs)] * 2
    assert {s.job.state for s in seen.steps} == {"SUCCESS"}
    validated = next(s for s in seen.steps if s.step == "validate")
    assert (validated.report.accepted, validated.report.rejected) == (2, {"enough-text": 1})
    assert (validated.job.processed, validated.job.total) == (2, 2)
    manifest = seen.manifests[0]
    assert (manifest.repo, manifest.files, manifest.label_rows) == (f"{owner.name}-validate-train", 2, 2)
    assert {p for p in content(sdk, manifest.repo, manifest.commit) if not p.startswith("/_")} == {
        "/business/1.txt",
        "/sport/1.txt",
    }


def test_ensuring_a_step_twice_runs_nothing(engine, sdk, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    ensure(engine, owner, SPEC, programs)
    before = done(engine, owner, SPEC)
    ensure(engine, owner, SPEC, programs)
    after = done(engine, owner, SPEC)
    assert after == before
    jobs = sdk.pps.list_job(pipeline=pps.Pipeline(name=f"{owner.name}-clean-train"), history=-1)
    assert len(list(jobs)) == 1


def test_more_workers_process_nothing_again(engine, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    ensure(engine, owner, SPEC, programs)
    first = done(engine, owner, SPEC)
    wider = SPEC.model_copy(update={"steps": (SPEC.steps[0].model_copy(update={"parallelism": 2}), SPEC.steps[1])})
    ensure(engine, owner, wider, programs)
    seen = eventually(
        lambda: engine.look(owner, wider),
        lambda s: len(s.manifests) == 2 and s.steps[0].wish == wishes(wider, programs)[0].digest and s.steps[0].done,
    )
    assert (seen.steps[0].job.processed, seen.steps[0].job.skipped) == (0, 2)
    assert [m.digest for m in seen.manifests] == [m.digest for m in first.manifests]


def test_a_failing_step_says_its_last_words(engine, owner, news):
    spec = SPEC.model_copy(update={"checks": (SPEC.checks[0].model_copy(update={"on_fail": "fail"}),)})
    programs = engine.look(owner, spec).programs
    engine.ingest(owner, Side.TRAIN, "k1", news)
    for wish in wishes(spec, programs):
        engine.ensure_step(owner, Side.TRAIN, wish, wish.reads)
    seen = eventually(lambda: engine.look(owner, spec), lambda s: any(x.failure for x in s.steps))
    failed = next(s for s in seen.steps if s.failure)
    assert failed.step == "validate"
    assert failed.input == next(s for s in seen.steps if s.step == "clean").head
    assert "business/2.txt: check enough-text found text 5 characters, allowed is at least 10" in failed.failure
    assert "/business" in failed.failure
    assert "\n" not in failed.failure


def test_a_name_that_is_too_long_is_one_sentence(engine, owner):
    spec = DataPipelineSpec.model_validate({"steps": [{"name": "s" * 40, "uses": "checks"}]})
    wish = wishes(spec, {"checks": "d"})[0]
    long = Key("DataPipeline", "default", "n" * 20)
    with pytest.raises(Rejected, match=r"step s+: its pipeline would be called .* allowed: 51"):
        engine.ensure_step(long, Side.TRAIN, wish, "")


def test_another_owners_pipeline_is_not_taken_over(engine, owner):
    spec = DataPipelineSpec.model_validate({"steps": [{"name": "b-c", "uses": "checks"}]})
    twin = DataPipelineSpec.model_validate({"steps": [{"name": "c", "uses": "checks"}]})
    engine.ensure_step(owner, Side.TRAIN, wishes(spec, {"checks": "d"})[0], "")
    other = Key("DataPipeline", "default", f"{owner.name}-b")
    with pytest.raises(Rejected, match=f"belongs to default/{owner.name}"):
        engine.ensure_step(other, Side.TRAIN, wishes(twin, {"checks": "d"})[0], "")


def repos(sdk, owner) -> set[str]:
    """Repositories of an owner, of whatever type."""
    return {r.repo.name for r in sdk.pfs.list_repo(type="") if r.repo.name.startswith(f"{owner.name}-")}


def renamed(*names: str) -> DataPipelineSpec:
    steps = (step.model_copy(update={"name": name}) for step, name in zip(SPEC.steps, names, strict=True))
    return SPEC.model_copy(update={"steps": tuple(steps)})


def test_old_pipelines_of_renamed_steps_are_strays_until_they_are_removed(engine, sdk, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    ensure(engine, owner, SPEC, programs)
    assert done(engine, owner, SPEC).strays == ()
    spec = renamed("tidy", "judge")
    ensure(engine, owner, spec, programs)
    before = done(engine, owner, spec)
    strays = [s.name.removeprefix(f"{owner.name}-") for s in before.strays]
    assert sorted(strays) == ["clean-test", "clean-train", "validate-test", "validate-train"]
    for which in Side:
        assert strays.index(f"validate-{which}") < strays.index(f"clean-{which}")
    for stray in before.strays:
        engine.remove_stray(owner, stray.name)
    after = engine.look(owner, spec)
    assert (after.strays, after.manifests, after.steps) == ((), before.manifests, before.steps)
    kept = {f"{owner.name}-{which}" for which in Side}
    assert repos(sdk, owner) == kept | {f"{owner.name}-{step}-{which}" for step in ("tidy", "judge") for which in Side}
    assert content(sdk, after.manifests[0].repo, after.manifests[0].commit)


def test_a_step_taken_out_of_the_middle_leaves_what_was_made_through_it(engine, sdk, owner, news):
    programs = engine.look(owner, SPEC).programs
    for which in Side:
        engine.ingest(owner, which, "k1", news)
    ensure(engine, owner, SPEC, programs)
    old = done(engine, owner, SPEC).manifests[0]
    files = content(sdk, old.repo, old.commit)
    spec = SPEC.model_copy(update={"steps": SPEC.steps[1:]})
    ensure(engine, owner, spec, programs)
    seen = done(engine, owner, spec)
    assert sorted(s.name for s in seen.strays) == [f"{owner.name}-clean-{which}" for which in ("test", "train")]
    for stray in seen.strays:
        engine.remove_stray(owner, stray.name)
    assert content(sdk, old.repo, old.commit) == files
    engine.ingest(owner, Side.TRAIN, "k2", news)
    again = eventually(lambda: engine.look(owner, spec), lambda s: len(s.manifests) == len(Side) and s.steps[0].done)
    assert again.strays == ()


def test_a_stray_that_a_stranger_reads_stays(engine, sdk, owner, news):
    engine.ingest(owner, Side.TRAIN, "k1", news)
    (wish, _) = wishes(SPEC, {"text/clean": "d", "checks": "d"})
    engine.ensure_step(owner, Side.TRAIN, wish, "")
    (stray,) = engine.look(owner, RAW).strays
    sdk.pps.create_pipeline(
        pipeline=pps.Pipeline(name=f"{owner.name}-own"),
        transform=pps.Transform(cmd=["true"]),
        input=pps.Input(pfs=pps.PfsInput(repo=stray.name, glob="/*")),
    )
    with pytest.raises(Rejected, match=f"removing pipeline {stray.name}: "):
        engine.remove_stray(owner, stray.name)
    with pytest.raises(Rejected, match=f"{owner.name}-own exists and belongs to somebody else"):
        engine.remove_stray(owner, f"{owner.name}-own")
    assert engine.look(owner, RAW).strays == (stray,)
    sdk.pps.delete_pipeline(pipeline=pps.Pipeline(name=f"{owner.name}-own"))
    engine.remove_stray(owner, stray.name)
    assert repos(sdk, owner) == {f"{owner.name}-train"}


def test_namespaces_are_projects(engine, sdk, news):
    owners = [Key("DataPipeline", space, "twin") for space in ("default", "team-a")]
    for owner in owners:
        engine.ingest(owner, Side.TRAIN, owner.namespace, news)
    assert [side(engine.look(o, RAW), Side.TRAIN).ingest for o in owners] == ["default", "team-a"]
    engine.forget(owners[1])
    assert [side(engine.look(o, RAW), Side.TRAIN).ingest for o in owners] == ["default", None]


def test_nobody_answering_is_unavailable(owner):
    engine = PachydermEngine(f"127.0.0.1:{free_port()}", steps_image="x", programs=ROOT / "pipelines")
    with pytest.raises(Unavailable, match="pachd does not answer"):
        engine.look(owner, RAW)


def test_the_sdk_itself_says_not_found_where_we_say_nothing(sdk):
    """What `absent` relies on."""
    with pytest.raises(grpc.RpcError) as caught:
        sdk.pfs.inspect_repo(repo=pfs.Repo(name="never-there"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
