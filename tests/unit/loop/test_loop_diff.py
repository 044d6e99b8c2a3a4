"""Archives of strangers are read where they lie; what cannot be read is told, never raised."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile

import pytest

from cdl.loop.diff import gather
from cdl.reconcile.release import Silence
from cdl.testing.builders import release
from cdl.testing.memory import MemoryArtifacts, MemoryData

SILENT = Silence("it does not run")


@pytest.fixture
def artifacts(tmp_path):
    return MemoryArtifacts(tmp_path / "artifacts")


def packed(*entries, mode="w:gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def facts(artifacts, content, suffix=".tar.gz", data=SILENT, **limits):
    model = {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "uri": artifacts.keep(content, suffix)}
    places = {side: {"repo": f"news-{side}", "commit": "c9"} for side in ("train", "test")}
    return gather(artifacts, data, release(code={"model": model, "serve": None}, data=places), **limits)


def test_regular_files_are_read_and_nothing_is_written(artifacts, tmp_path):
    content = packed(
        ("train.py", b"x = 1\n", tarfile.REGTYPE),
        ("../../evil.py", b"y = 2\n", tarfile.REGTYPE),
        ("folder", b"", tarfile.DIRTYPE),
        ("link.py", b"", tarfile.SYMTYPE),
    )
    found = facts(artifacts, content)
    assert found.code == {"model": {"train.py": b"x = 1\n", "../../evil.py": b"y = 2\n"}}
    assert not list(tmp_path.rglob("*.py"))


@pytest.mark.parametrize("kept", [0.5, 0.99], ids=["half of it", "without its end"])
def test_a_damaged_archive_is_told(artifacts, kept):
    content = packed(*((f"{n}.py", random.Random(n).randbytes(600), tarfile.REGTYPE) for n in range(40)))
    found = facts(artifacts, content[: int(len(content) * kept)])
    assert found.code == {"model": None}
    assert found.why["model"].startswith("the archive cannot be read: ")


def test_an_archive_that_is_too_large_is_told(artifacts):
    found = facts(artifacts, packed(("big.py", b"#" * 2000, tarfile.REGTYPE)), largest=1000)
    assert found.code == {"model": None}
    assert found.why["model"].startswith("the archive cannot be read: it holds more than")


def test_a_file_that_is_no_archive_stands_for_itself(artifacts):
    found = facts(artifacts, b"x = 1\n", ".py")
    assert list(found.code["model"].values()) == [b"x = 1\n"]


def test_an_engine_that_is_not_asked_is_named(artifacts):
    found = facts(artifacts, packed())
    assert found.data == {"train": None, "test": None}
    assert found.why["train"] == "the data engine was not asked: it does not run"


def test_a_commit_that_is_gone_is_named(artifacts):
    found = facts(artifacts, packed(), data=MemoryData())
    assert found.why["test"] == "commit c9 of news-test is not there any more"


def test_documents_that_a_release_does_not_name_are_missing(artifacts):
    found = facts(artifacts, packed())
    assert (found.config, found.lock, found.report) == (None, None, None)
    assert found.why["config"] == "the release does not say where it is kept"
