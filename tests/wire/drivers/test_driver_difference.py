"""An ingest on top of the last one sends only what differs, and makes the same commit as one that sends all."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.engines.pachyderm.difference import listing_of
from cdl.engines.pachyderm.intake import rewrite
from cdl.engines.pachyderm.translate import repo_named

from .conftest import ROOT

NUMBERS = itertools.count()
LARGE = 300 << 10
NAMES = ("a", "b", "c.txt", "d")
RAW = DataPipelineSpec()


def fresh(pachd, shared) -> PachydermEngine:
    """A driver that remembers nothing."""
    return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines", file_root=shared)


@pytest.fixture
def sdk(pachd):
    return Client.from_pachd_address(pachd.address)


@pytest.fixture
def engine(pachd, shared):
    return fresh(pachd, shared)


@pytest.fixture(params=["file url", "stream"])
def root(request, shared, tmp_path):
    """A folder that pachd may read by itself, and one that it may not."""
    made = (shared if request.param == "file url" else tmp_path) / f"differing{next(NUMBERS)}"
    made.mkdir(parents=True)
    return made


def owner() -> Key:
    return Key("DataPipeline", "default", f"differing{next(NUMBERS)}")


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def many(number: int = 40) -> dict[str, bytes]:
    return {f"f/{n:03}": f"content {n}".encode() for n in range(number)}


def held(engine, whose: Key) -> tuple[object, ...]:
    """What makes the dataset's version: every file by its path, its size and Pachyderm's own hash."""
    seen = next(s for s in engine.look(whose, RAW).sides if s.side is Side.TRAIN)
    return (seen.files, seen.size, engine.manifest(seen.repo, seen.head or "none"))


def contents(sdk, repo: str) -> dict[str, bytes]:
    handle = pfs.Commit(repo=pfs.Repo.from_uri(repo), branch=pfs.Branch(repo=pfs.Repo.from_uri(repo), name="master"))
    found = [f for f in sdk.pfs.walk_file(file=pfs.File(commit=handle, path="/")) if f.file_type == pfs.FileType.FILE]
    return {f.file.path: sdk.pfs.pfs_file(f.file).read() for f in found}


def on_disk(root: Path) -> dict[str, bytes]:
    return {f"/{p.relative_to(root)}": p.read_bytes() for p in root.rglob("*") if p.is_file()}


def written(pachd, repo: str) -> list[tuple[str, str]]:
    """What the newest commit of a repository changes, as the server has it on its disk."""
    with closing(sqlite3.connect(f"file:{pachd.data}/pachd.sqlite?mode=ro", uri=True)) as db:
        found = db.execute(
            "SELECT kind, path FROM changes WHERE commit_id = (SELECT max(c.id) FROM commits c"
            " JOIN repos r ON r.id = c.repo WHERE r.name = ? AND r.type = 'user') ORDER BY seq",
            (repo,),
        )
        return list(found)


def settle() -> None:
    """Let so much time pass that a later change has another time; more does no harm."""
    time.sleep(0.1)


def changed(root: Path, draw: random.Random) -> None:
    """Do to a folder what people and programs do to one."""
    files = sorted(p for p in root.rglob("*") if p.is_file())
    some = draw.choice(files) if files else root / "a"
    new = root.joinpath(*(draw.choice(NAMES) for _ in range(draw.randint(1, 3))))
    match draw.choice(("write", "write", "grow", "remove", "remove", "move", "touch", "secretly", "folder", "again")):
        case "write":
            put(new, draw.randbytes(draw.choice((0, 1, 20, LARGE))))
        case "grow" if files:
            with some.open("ab") as file:
                file.write(b"more")
        case "remove" if files:
            some.unlink()
        case "move" if files and some != new:
            put(new, some.read_bytes())
            some.unlink(missing_ok=True)
        case "touch" if files:
            os.utime(some)
        case "secretly" if files:
            before = some.stat()
            some.write_bytes(draw.randbytes(before.st_size))
            os.utime(some, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "folder" if files:
            some.unlink()
            put(some / "inner", b"a file was here")
        case "again":
            copied = root.with_suffix(".copied")
            shutil.copytree(root, copied)
            shutil.rmtree(root)
            copied.rename(root)
        case _:
            put(root / "else", b"")


def put(file: Path, content: bytes) -> None:
    """Write a file, whatever lay there or above."""
    for above in (*reversed(file.parents), file):
        if above.is_file():
            above.unlink()
    if file.is_dir():
        shutil.rmtree(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@pytest.mark.parametrize("seed", range(6))
def test_any_changes_one_after_the_other_make_the_same_as_sending_all(pachd, shared, engine, sdk, root, seed):
    draw, remembering = random.Random(seed), owner()
    lay(root, {f"kept/{n}": f"kept {n}".encode() for n in range(12)})
    for number in range(8):
        engine.ingest(remembering, Side.TRAIN, f"k{number}", root)
        assert contents(sdk, f"{remembering.name}-train") == on_disk(root)
        for _ in range(draw.randint(1, 3)):
            changed(root, draw)
    forgetful, all_at_once = owner(), fresh(pachd, shared)
    engine.ingest(remembering, Side.TRAIN, "last", root)
    all_at_once.ingest(forgetful, Side.TRAIN, "last", root)
    assert held(engine, remembering) == held(all_at_once, forgetful)


def test_what_has_not_changed_is_not_written_again(engine, pachd, root):
    whose = owner()
    lay(root, many())
    settle()
    engine.ingest(whose, Side.TRAIN, "k1", root)
    (root / "f/003").write_bytes(b"other")
    (root / "f/004").unlink()
    (root / "new").write_bytes(b"new")
    engine.ingest(whose, Side.TRAIN, "k2", root)
    assert written(pachd, f"{whose.name}-train") == [
        ("del", "/f/004"),
        ("del", "/f/003"),
        ("put", "/f/003"),
        ("put", "/new"),
    ]


def test_a_new_folder_with_the_same_in_it_is_compared_where_pachd_cannot_read(engine, pachd, sdk, tmp_path):
    """A source that has changed is laid out anew: to a pachd elsewhere only what is new in it goes."""
    whose = owner()
    engine.ingest(whose, Side.TRAIN, "k1", lay(tmp_path / "one", many()))
    two = lay(tmp_path / "two", many() | {"f/007": b"other", "big": bytes(LARGE)})
    engine.ingest(whose, Side.TRAIN, "k2", two)
    assert written(pachd, f"{whose.name}-train") == [("del", "/f/007"), ("put", "/big"), ("put", "/f/007")]
    assert contents(sdk, f"{whose.name}-train") == on_disk(two)


def test_a_file_with_the_size_and_time_it_had_is_noticed(engine, sdk, root):
    whose = owner()
    lay(root, many())
    settle()
    file = root / "f/000"
    before = file.stat()
    for number in range(3):  # in the same moment as the ingest before, and later
        engine.ingest(whose, Side.TRAIN, f"k{number}", root)
        file.write_bytes(f"CONTENT {number}".encode())
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    engine.ingest(whose, Side.TRAIN, "last", root)
    assert contents(sdk, f"{whose.name}-train") == on_disk(root)


def test_what_somebody_else_wrote_on_top_is_replaced(engine, sdk, root):
    whose = owner()
    repo = pfs.Repo.from_uri(f"{whose.name}-train")
    lay(root, many())
    settle()
    engine.ingest(whose, Side.TRAIN, "k1", root)
    with sdk.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit:
        commit.put_file_from_bytes(path="/theirs", data=b"theirs")
        commit.delete_file(path="/f/001")
    engine.ingest(whose, Side.TRAIN, "k2", root)
    assert contents(sdk, repo.name) == on_disk(root)


def test_who_is_overtaken_after_the_last_look_sends_all(engine, sdk, tmp_path):
    whose = owner()
    repo = repo_named("default", f"{whose.name}-train")
    sdk.pfs.create_repo(repo=repo)
    now = listing_of(lay(tmp_path / "mine", many()))
    kept = rewrite(sdk, repo, "k1", now, None, by_url=False)
    rewrite(sdk, repo, "faster", listing_of(lay(tmp_path / "theirs", {"theirs": b"1"})), None, by_url=False)
    rewrite(sdk, repo, "k2", now, kept, by_url=False)
    assert contents(sdk, repo.name) == on_disk(tmp_path / "mine")


def test_a_repository_that_was_made_anew_gets_everything(engine, sdk, root):
    whose = owner()
    lay(root, many())
    settle()
    engine.ingest(whose, Side.TRAIN, "k1", root)
    engine.forget(whose)
    engine.ingest(whose, Side.TRAIN, "k1", root)
    assert contents(sdk, f"{whose.name}-train") == on_disk(root)
