"""The artifact store that is a folder, and packing."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile

import pytest

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected, Unavailable
from cdl.stores.artifacts import DirectoryArtifacts, pack


def names(packed: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return archive.getnames()


def test_a_kept_artifact_is_called_by_its_content(tmp_path):
    uri = DirectoryArtifacts(tmp_path / "store").keep(b"code", ".tar.gz")
    assert uri == (tmp_path / "store" / f"{hashlib.sha256(b'code').hexdigest()}.tar.gz").as_uri()


def test_a_kept_artifact_comes_back(tmp_path):
    store = DirectoryArtifacts(tmp_path / "a folder")
    path = store.fetch(store.keep(b"code", ".json"), hashlib.sha256(b"code").hexdigest())
    assert path.read_bytes() == b"code"


def test_keeping_twice_changes_nothing(tmp_path):
    store = DirectoryArtifacts(tmp_path)
    store.keep(b"code", ".json")
    before = [(p.name, p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.iterdir()]
    store.keep(b"code", ".json")
    assert [(p.name, p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.iterdir()] == before


def test_keeping_again_heals_a_damaged_file(tmp_path):
    store = DirectoryArtifacts(tmp_path)
    uri = store.keep(b"code", ".json")
    next(tmp_path.iterdir()).write_bytes(b"co")
    store.keep(b"code", ".json")
    assert store.fetch(uri, hashlib.sha256(b"code").hexdigest()).read_bytes() == b"code"


def test_a_changed_artifact_is_refused(tmp_path):
    store = DirectoryArtifacts(tmp_path)
    uri = store.keep(b"code", ".json")
    next(tmp_path.iterdir()).write_bytes(b"evil")
    with pytest.raises(Rejected, match=r"has sha256 .*, expected 5694d08a2e53…"):
        store.fetch(uri, hashlib.sha256(b"code").hexdigest())


@pytest.mark.parametrize("uri", ["file:///nowhere/at/all", "s3://bucket/x", "file://host/x", "file:"])
def test_what_is_not_there_is_one_sentence(tmp_path, uri):
    with pytest.raises(Rejected, match=f"^artifact {uri}") as caught:
        DirectoryArtifacts(tmp_path).fetch(uri, "0" * 64)
    assert "\n" not in str(caught.value)


def test_a_suffix_cannot_lead_elsewhere(tmp_path):
    with pytest.raises(Rejected, match="suffix"):
        DirectoryArtifacts(tmp_path / "store").keep(b"x", "/../../x")


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "model"
    (folder / "net" / "__pycache__").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "net" / "layers.py").write_text("x = 1\n")
    (folder / "net" / "__pycache__" / "layers.pyc").write_text("junk")
    (folder / ".git" / "HEAD").write_text("junk")
    (folder / "train.py").write_text("import net\n")
    return folder


def test_equal_files_pack_to_equal_bytes(code, tmp_path):
    first = pack(code)
    for path in sorted(code.rglob("*"), reverse=True):
        os.utime(path, (1, 1))
    (code / "train.py").chmod(0o600)
    (code / "net" / "__pycache__" / "more.pyc").write_text("junk")
    assert pack(code) == first


def test_junk_is_left_out(code):
    assert names(pack(code)) == ["net/layers.py", "train.py"]


def test_members_carry_no_owner_and_no_time(code):
    with tarfile.open(fileobj=io.BytesIO(pack(code))) as archive:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in archive} == {(0, 0, 0, "", 0o644)}


def test_a_changed_byte_packs_to_other_bytes(code):
    first = pack(code)
    (code / "train.py").write_text("import net \n")
    assert pack(code) != first


def test_detignore_is_honoured(code):
    (code / "data").mkdir()
    (code / "data" / "big.bin").write_text("x")
    (code / "notes.md").write_text("x")
    (code / "readme.md").write_text("x")
    (code / ".detignore").write_text("# big things\ndata/\n*.md\n!readme.md\n")
    assert names(pack(code)) == [".detignore", "net/layers.py", "readme.md", "train.py"]


def test_a_link_is_refused(code):
    (code / "secret.py").symlink_to("/etc/passwd")
    with pytest.raises(Rejected, match=r"secret\.py is no regular file") as caught:
        pack(code)
    assert caught.value.reason is Reason.INVALID_SPEC


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_pack_is_one_sentence(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Rejected, match=f"code folder .*{name}"):
        pack(tmp_path / name)


def test_a_storage_that_is_not_mounted_is_not_an_empty_one(tmp_path):
    store = DirectoryArtifacts(tmp_path / "here")
    with pytest.raises(Unavailable, match="is its storage mounted"):
        list(store.hashes((tmp_path / "elsewhere" / "checkpoint").as_uri()))
    assert list(store.hashes((tmp_path / "checkpoint").as_uri())) == []


def test_links_below_a_folder_hash_to_what_they_lead_to(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").write_bytes(b"elsewhere")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "other")
    ((path, sha256),) = DirectoryArtifacts(tmp_path).hashes((tmp_path / "folder").as_uri())
    assert (path, sha256) == ("link", hashlib.sha256(b"elsewhere").hexdigest())
