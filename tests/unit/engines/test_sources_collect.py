"""Collecting sources from data folders, files and git; taking them apart; and what goes wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from functools import partial

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side, Source, Split
from cdl.ports.errors import Rejected
from cdl.stores.sources import Sources
from cdl.stores.sources.landing import Limits

CLASSES = ("business", "sport")


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            out.addfile(member)
    return packed.getvalue()


def news(count: int = 20) -> dict[str, bytes]:
    return {f"bbc/{c}/{n:03}.txt": f"{c} says {n}".encode() for c in CLASSES for n in range(count)}


def tree(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    (root / "bbc-news").mkdir(parents=True)
    return root


@pytest.fixture
def sources(tmp_path, data):
    return Sources(tmp_path / "cache", (data,))


def refused(call, *arguments) -> str:
    with pytest.raises(Rejected) as caught:
        call(*arguments)
    assert caught.value.reason is Reason.SOURCE_UNUSABLE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_relative_file_uri_is_found_below_a_data_root(sources, data):
    content = archive(news())
    (data / "bbc-news" / "all.tar.gz").write_bytes(content)
    source = Source(name="articles", uri="file://bbc-news/all.tar.gz", sha256=sha(content), unpack="tar", strip=1)
    assert sources.look((source,))[0].digest is None
    sources.collect(source)
    assert sources.look((source,))[0].digest == sha(content)


def test_what_is_at_hand_needs_its_place_no_more(sources, data):
    path = data / "bbc-news" / "labels.csv"
    path.write_bytes(b"a,b")
    source = Source(name="labels", uri="file://bbc-news/labels.csv")
    sources.collect(source)
    path.unlink()
    sources.collect(source)
    assert sources.look((source,))[0].digest == sha(b"a,b")


def test_a_file_without_a_checksum_that_changed_is_collected_again(sources, data):
    path = data / "bbc-news" / "labels.csv"
    path.write_bytes(b"a,b")
    source = Source(name="labels", uri="file://bbc-news/labels.csv")
    sources.collect(source)
    path.write_bytes(b"a,b,c")
    assert sources.look((source,))[0].digest is None
    sources.collect(source)
    assert sources.look((source,))[0].digest == sha(b"a,b,c")


def test_a_file_with_a_checksum_stays_what_it_was(sources, data):
    path = data / "bbc-news" / "labels.csv"
    path.write_bytes(b"a,b")
    source = Source(name="labels", uri="file://bbc-news/labels.csv", sha256=sha(b"a,b"))
    sources.collect(source)
    path.write_bytes(b"changed")
    assert sources.look((source,))[0].digest == sha(b"a,b")


def test_an_absolute_file_uri_needs_no_data_root(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"x")
    source = Source(name="x", uri=(tmp_path / "x.bin").as_uri())
    sources = Sources(tmp_path / "cache")
    sources.collect(source)
    assert sources.look((source,))[0].digest == sha(b"x")


def test_a_relative_uri_cannot_leave_the_data_root(sources, tmp_path):
    (tmp_path / "secret").write_bytes(b"s")
    refused(sources.collect, Source(name="s", uri="file://../secret"))


def test_a_file_of_the_right_name_and_checksum_saves_the_download(sources, data):
    (data / "bbc-news" / "train.gz").write_bytes(b"images")
    source = Source(name="train", uri="http://127.0.0.1:9/some/where/train.gz", sha256=sha(b"images"), side="train")
    sources.collect(source)
    assert tree(sources.lay_out((source,), None, Side.TRAIN)) == {"train.gz": b"images"}
    assert tree(sources.lay_out((source,), None, Side.TEST)) == {}


def test_a_wrong_checksum_names_the_file_and_both_sums(sources, data):
    (data / "bbc-news" / "all.tar.gz").write_bytes(b"other")
    expected = sha(b"right")
    said = refused(sources.collect, Source(name="articles", uri="file://bbc-news/all.tar.gz", sha256=expected))
    assert said.startswith("source articles: ")
    assert f"all.tar.gz has sha256 {sha(b'other')[:12]}…, expected {expected[:12]}…" in said


def test_a_missing_file_says_where_it_looked_and_what_to_set(sources, data):
    said = refused(sources.collect, Source(name="articles", uri="file://bbc-news/all.tar.gz"))
    assert "bbc-news/all.tar.gz" in said
    assert str(data) in said
    assert "CDL_DATA" in said


def test_an_archive_is_unpacked_stripped_and_divided(sources, data):
    content = archive(news())
    (data / "all.tar.gz").write_bytes(content)
    source = Source(name="articles", uri="file://bbc-news/all.tar.gz", sha256=sha(content), unpack="tar", strip=1)
    sources.collect(source)
    train, test = (tree(sources.lay_out((source,), Split(), side)) for side in Side)
    assert len(test) == 8
    assert {p.split("/")[0] for p in test} == set(CLASSES)
    assert train.keys() & test.keys() == set()
    assert train | test == {k.removeprefix("bbc/"): v for k, v in news().items()}


def test_laying_out_again_gives_the_same_folder_untouched(sources, data):
    (data / "all.tar").write_bytes(content := archive(news()))
    source = Source(name="articles", uri="file://all.tar", sha256=sha(content), unpack="tar")
    sources.collect(source)
    first = sources.lay_out((source,), Split(), Side.TRAIN)
    before = {p: p.stat().st_mtime_ns for p in first.rglob("*")}
    assert sources.lay_out((source,), Split(), Side.TRAIN) == first
    assert {p: p.stat().st_mtime_ns for p in first.rglob("*")} == before


def test_a_layout_that_lost_its_bytes_is_made_again(sources, data):
    (data / "all.tar").write_bytes(content := archive(news()))
    source = Source(name="articles", uri="file://all.tar", sha256=sha(content), unpack="tar")
    sources.collect(source)
    whole = tree(folder := sources.lay_out((source,), Split(), Side.TRAIN))
    next(p for p in folder.rglob("*") if p.is_file()).write_bytes(b"")
    assert tree(sources.lay_out((source,), Split(), Side.TRAIN)) == whole


def test_what_a_dead_caller_left_behind_does_not_stay(sources, data):
    (data / "all.tar").write_bytes(content := archive(news()))
    source = Source(name="articles", uri="file://all.tar", sha256=sha(content), unpack="tar")
    sources.collect(source)
    folder = sources.lay_out((source,), Split(), Side.TRAIN)
    whole = tree(folder)
    folder.parent.with_suffix(".whole").unlink()
    (folder / "stray.txt").write_bytes(b"half")
    assert tree(sources.lay_out((source,), Split(), Side.TRAIN)) == whole


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda c: c[: len(c) // 2], "is cut off: the file ends before its data does"),
        (lambda c: gzip.compress(gzip.decompress(c)[:700]), "is cut off: the archive ends before its last file does"),
        (lambda c: gzip.compress(gzip.decompress(c)[:1024]), "is cut off: the archive ends before its last file does"),
        (lambda c: gzip.compress(gzip.decompress(c)[:1100]), "is cut off: the archive ends before its last file does"),
        (lambda c: gzip.compress(gzip.decompress(c)[:1024] + b"x" * 4096), "is no tar archive that can be read"),
        (lambda _: b"plain text, no tar" * 100, "is no tar archive"),
        (lambda _: b"", "is empty"),
        (lambda c: c[:200] + bytes(50) + c[250:], "is"),
        (lambda c: c[:-8] + bytes(4) + c[-4:], "is damaged: CRC check failed"),
    ],
    ids=[
        "truncated gzip",
        "truncated in a file",
        "truncated between files",
        "truncated in a header",
        "broken header",
        "no archive",
        "empty",
        "zeroed bytes",
        "wrong crc",
    ],
)
def test_a_damaged_archive_is_one_sentence(sources, data, damage, sentence):
    (data / "all.tar.gz").write_bytes(damage(archive(news())))
    source = Source(name="articles", uri="file://all.tar.gz", unpack="tar")
    sources.collect(source)
    said = refused(sources.lay_out, (source,), Split(), Side.TRAIN)
    assert said.startswith("source articles: all.tar.gz ")
    assert sentence in said


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (archive({"../evil": b"x"}), "points outside"),
        (archive({"/etc/evil": b"x"}), "points outside"),
        (archive({"a": b"x"}, {"b": "/etc/passwd"}), "a link or a device"),
        (archive({"a": b"x" * 2000}), "unpacks to more than 1000 bytes"),
        (archive({"a/b": b"x", "a/b/c": b"y"}), "another file lies already"),
        (archive({"a": b"x", "./a": b"y"}), "another file lies already"),
        (archive({"d" * 90 + "/f": b"x"}), "path of 64"),
    ],
)
def test_a_hostile_archive_is_refused_whole(tmp_path, data, content, found):
    sources = Sources(tmp_path / "cache", (data,), Limits(total=1000, members=10, path=64))
    (data / "all.tar.gz").write_bytes(content)
    source = Source(name="articles", uri="file://all.tar.gz", unpack="tar", side="train")
    sources.collect(source)
    assert found in refused(sources.lay_out, (source,), None, Side.TRAIN)
    assert found in refused(sources.lay_out, (source,), None, Side.TRAIN)


def test_two_sources_may_not_give_the_same_path(sources, data):
    for folder in "ab":
        (data / folder).mkdir()
        (data / folder / "x.txt").write_bytes(folder.encode())
    twice = tuple(Source(name=f, uri=f"file://{f}/x.txt", side="train") for f in "ab")
    for source in twice:
        sources.collect(source)
    assert "different names" in refused(sources.lay_out, twice, None, Side.TRAIN)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "upstream"
    (folder / "bbc" / "sport").mkdir(parents=True)
    (folder / "bbc" / "sport" / "1.txt").write_bytes(b"goal")
    (folder / "readme").write_bytes(b"not wanted")
    git = partial(subprocess.run, cwd=folder, check=True, capture_output=True, text=True)
    git(["git", "init", "-q"])
    git(["git", "add", "-A"])
    git(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "m"])
    return folder, git(["git", "rev-parse", "HEAD"]).stdout.strip()


def test_a_commit_of_a_git_repository_stands_in_for_the_archive(sources, repository):
    folder, commit = repository
    source = Source(
        name="articles",
        uri="file://bbc.tar.gz",
        sha256=sha(b"the archive"),
        unpack="tar",
        strip=1,
        mirrors=(f"git+{folder.as_uri()}@{commit}#bbc",),
        side="train",
    )
    sources.collect(source)
    assert tree(sources.lay_out((source,), None, Side.TRAIN)) == {"sport/1.txt": b"goal"}


def test_a_commit_gives_the_same_bytes_in_every_cache(tmp_path, repository):
    folder, commit = repository
    source = Source(name="a", uri=f"git+{folder.as_uri()}@{commit}#bbc", unpack="tar", side="train")
    digests = set()
    for cache in ("one", "two"):
        sources = Sources(tmp_path / cache)
        sources.collect(source)
        digests.add(sources.look((source,))[0].digest)
    assert len(digests) == 1
    assert None not in digests


def test_a_branch_is_no_commit(tmp_path, repository):
    source = Source(name="a", uri=f"git+{repository[0].as_uri()}@main#bbc", side="train")
    assert "40 hex digits" in refused(Sources(tmp_path / "c").collect, source)


def test_a_commit_that_is_not_there_is_one_sentence(tmp_path, repository):
    source = Source(name="a", uri=f"git+{repository[0].as_uri()}@{'0' * 39}1", side="train")
    refused(Sources(tmp_path / "c").collect, source)
