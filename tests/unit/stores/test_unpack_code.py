"""Code that somebody else packed is unpacked inside its folder or not at all."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from cdl.ports.errors import Rejected
from cdl.stores.artifacts import inside, pack, unpack
from cdl.testing.builders import folder


def archive(*members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
            made.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_what_was_packed_comes_out_as_it_was(tmp_path):
    files = {"train.py": "rate = 1\n", "deep/er/words.txt": "a\n"}
    found = unpack(pack(folder(tmp_path / "in", files)), tmp_path / "out", "code")
    assert {p: (tmp_path / "out" / p).read_text() for p in found} == files
    assert found["train.py"] == hashlib.sha256(b"rate = 1\n").hexdigest()


@pytest.mark.parametrize("name", ["../out.py", "/abs.py", "a/../../b", "a//b", "a\\b", "a\nb", "..", "a/./b"])
def test_a_name_that_leaves_the_folder_or_hides_is_refused(tmp_path, name):
    assert not inside(name)
    with pytest.raises(Rejected, match=r"code x: holds .*; allowed: files and folders inside of it"):
        unpack(archive((name, tarfile.REGTYPE, b"x")), tmp_path / "out", "code x")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_neither_file_nor_folder_is_refused(tmp_path, kind):
    with pytest.raises(Rejected, match="allowed: files and folders"):
        unpack(archive(("x", kind, b"")), tmp_path, "code")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no archive", archive(("a", tarfile.REGTYPE, b"x" * 9000))[:60]])
def test_what_is_no_archive_is_one_sentence(tmp_path, content):
    with pytest.raises(Rejected, match=r"^code: is no tar.gz that can be read"):
        unpack(content, tmp_path, "code")


@pytest.mark.parametrize("name", ["a", "a/b.py", "deep/er/x.txt", "ünï", "a b"])
def test_plain_names_are_inside(name):
    assert inside(name)
