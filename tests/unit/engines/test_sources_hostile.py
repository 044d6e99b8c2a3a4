"""Fifty hostile archives and forty hostile paths: each refused with a reason, and nothing written outside."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side, Source
from cdl.ports.errors import PortError, Rejected
from cdl.stores.sources import Sources
from cdl.stores.sources.landing import Limits
from cdl.stores.sources.places import name_of
from cdl.training import TrainingError
from cdl.training import data as training

LIMITS = Limits(total=8 << 20, members=200, path=300, ratio=50, small=1 << 20)
POINTS, LINK, TWICE, MUCH = "points outside", "a link or a device", "another file lies already", "unpacks to more than"

# As a member's name; each but the last few would reach outside if a program were careless.
PATHS = {
    **dict.fromkeys(("../evil", "../../evil", "a/../../evil", "a/b/../../../evil", "./../evil", ".."), POINTS),
    **dict.fromkeys(("a/..", "a/../..", "../", ".../../..", "a/./../../evil", "//evil", "/evil"), POINTS),
    **dict.fromkeys(("/etc/passwd", "/tmp/evil", "///evil", "/../evil", "/./evil", "/proc/self/cwd/evil"), POINTS),
    **dict.fromkeys(("/dev/shm/evil", "/dev/null", "a//../../evil", "..//..//evil", "a/b/c/../../../../e"), POINTS),
    **dict.fromkeys(("..\\evil", "a\\..\\..\\evil", "C:\\evil", "\\\\host\\evil", "a/..\\evil", "\\"), "backslash"),
    **dict.fromkeys(("a\nb", "a\rb", "a\x1b[2Jb", "\x7f", "a\u202egpj.exe", "a\u2028b"), "cannot be printed"),
    **dict.fromkeys((" ", "   "), "is no name"),
    "x/" * 160: "path of 300 bytes",
    "x" * 256: "more than 255 bytes",
    "é" * 130: "more than 255 bytes",
}


def tarred(*members, wrap=lambda raw: raw, end=b""):
    """Pack members: a name alone, or a name with its content, or a TarInfo."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as out:
        for member in members:
            made, content = member if isinstance(member, tuple) else (member, b"x")
            entry = made if isinstance(made, tarfile.TarInfo) else tarfile.TarInfo(made)
            if not isinstance(made, tarfile.TarInfo):
                entry.size = len(content)
            out.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return wrap(raw.getvalue() + end)


def entry(name, kind, target="", size=0):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def zipped(*members, how=zipfile.ZIP_DEFLATED, mode=0):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", how) as out:
        for member in members:
            name, content = member if isinstance(member, tuple) else (member, b"x")
            made = zipfile.ZipInfo("placeholder")
            made.filename = made.orig_filename = name
            made.external_attr, made.compress_type = mode << 16, how
            out.writestr(made, content)
    return raw.getvalue()


def changed(content, old, new):
    place = content.index(old)
    return content[:place] + new + content[place + len(old) :]


def headed(content, field, *, local=None, central):
    """Write a field into the headers of a zip archive's first member: before its content, and in the directory."""
    directory = content.index(b"PK\x01\x02")
    for place in (local, directory + central):
        if place is not None:
            content = content[:place] + field + content[place + len(field) :]
    return content


def pax_bomb():
    """A header about a header that says it is gigabytes long: a library would read all of it at once."""
    header = bytearray(entry("long", tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def sparse():
    """Thirty-two megabytes of nothing in one block, in GNU's old way."""
    header = bytearray(entry("sparse", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"00000000000\0", b"00000000000\0"
    header[483:495] = b"00200000000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


NEWS = tarred(*(f"sport/{n}.txt" for n in range(5)))
ZIP = zipped(("a.txt", b"goal" * 50), ("b.txt", b"cup" * 50))
PLAIN_ZIP = zipped(("a.txt", b"goal" * 50), how=zipfile.ZIP_STORED)
ZEROS = bytes(6 << 20)
LARGE = bytes(range(256)) * (33 << 10)

ARCHIVES = {
    "tar: link out": ("tar", tarred(entry("l", tarfile.SYMTYPE, "/etc")), LINK),
    "tar: link in": ("tar", tarred("a", entry("l", tarfile.SYMTYPE, "a")), LINK),
    "tar: link to its parent, then through it": (
        "tar", tarred(entry("l", tarfile.SYMTYPE, ".."), "l/evil"), LINK),
    "tar: hard link out": ("tar", tarred(entry("l", tarfile.LNKTYPE, "../../etc/passwd")), LINK),
    "tar: hard link in": ("tar", tarred("a", entry("l", tarfile.LNKTYPE, "a")), LINK),
    "tar: character device": ("tar", tarred(entry("d", tarfile.CHRTYPE)), LINK),
    "tar: block device": ("tar", tarred(entry("d", tarfile.BLKTYPE)), LINK),
    "tar: pipe": ("tar", tarred(entry("p", tarfile.FIFOTYPE)), LINK),
    "tar: folder outside": ("tar", tarred(entry("../d", tarfile.DIRTYPE)), POINTS),
    "tar: absolute folder": ("tar", tarred(entry("/d", tarfile.DIRTYPE)), POINTS),
    "tar: good ones first": ("tar", tarred("a", "b", "../c"), POINTS),
    "tar: twice": ("tar", tarred("a", "a"), TWICE),
    "tar: twice, spelt otherwise": ("tar", tarred("a/b", "a/./b"), TWICE),
    "tar: a file, then a folder": ("tar", tarred("a", "a/b"), TWICE),
    "tar: a folder, then a file": ("tar", tarred("a/b", "a"), TWICE),
    "tar: too many": ("tar", tarred(*(f"{n}" for n in range(201))), "more than 200 members"),
    "tar: too many folders": ("tar", tarred(*(entry(f"{n}", tarfile.DIRTYPE) for n in range(201))), "more than 200"),
    "tar: too large": ("tar", tarred(("a", LARGE)), MUCH),
    "tar: too large together": ("tar", tarred(*((f"{n}", bytes(1 << 20)) for n in range(9))), MUCH),
    "tar: says it is too large": ("tar", tarred(entry("a", tarfile.DIRTYPE, size=0), ("b", LARGE))[:2048], MUCH),
    "tar.gz: zeros": ("tar", tarred(("a", ZEROS), wrap=gzip.compress), "50 times its size"),
    "tar.bz2: zeros": ("tar", tarred(("a", ZEROS), wrap=bz2.compress), "50 times its size"),
    "tar.xz: zeros": ("tar", tarred(("a", ZEROS), wrap=lzma.compress), "50 times its size"),
    "tar: sparse": ("tar", sparse(), MUCH),
    "tar: a header of gigabytes": ("tar", pax_bomb(), "no tar archive"),
    "tar.gz: packed twice": ("tar", gzip.compress(gzip.compress(NEWS)), "no tar archive"),
    "tar.gz: a zip inside": ("tar", gzip.compress(ZIP), "no tar archive"),
    "tar: a zip": ("tar", ZIP, "no tar archive"),
    "tar: wrong checksum of a header": ("tar", changed(NEWS, b"sport/3", b"sporty3"), "no tar archive"),
    "tar.gz: wrong checksum": ("tar", gzip.compress(NEWS)[:-8] + bytes(8), "damaged"),
    "tar.bz2: wrong checksum": ("tar", bz2.compress(NEWS)[:-6] + bytes(6), "damaged"),
    "tar.xz: cut off": ("tar", lzma.compress(NEWS)[:-20], "cut off"),
    "tar.gz: cut off": ("tar", gzip.compress(NEWS)[:40], "cut off"),
    "tar: cut off": ("tar", NEWS[:700], "cut off"),
    "tar: nothing in it": ("tar", tarred(), "holds no files"),
    "tar: empty": ("tar", b"", "is empty"),
    "zip: link": ("zip", zipped(("l", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), LINK),
    "zip: device": ("zip", zipped("d", mode=stat.S_IFCHR | 0o666), LINK),
    "zip: pipe": ("zip", zipped("p", mode=stat.S_IFIFO | 0o666), LINK),
    "zip: zero byte in a name": ("zip", zipped("a.txt\0.exe"), "cannot be printed"),
    "zip: a file, then a folder": ("zip", zipped("a", "a/b"), TWICE),
    "zip: too many": ("zip", zipped(*(f"{n}" for n in range(201))), "more than 200 members"),
    "zip: zeros": ("zip", zipped(("a", ZEROS)), "50 times its size"),
    "zip: zeros that say they are few": (
        "zip", headed(zipped(("a", ZEROS)), struct.pack("<I", 9), central=24), "Bad CRC-32"),
    "zip: too large": ("zip", zipped(("a", LARGE), how=zipfile.ZIP_STORED), MUCH),
    "zip: wrong checksum": ("zip", changed(PLAIN_ZIP, b"goal", b"foul"), "Bad CRC-32"),
    "zip: cut off": ("zip", ZIP[:-30], "no zip archive"),
    "zip: locked": ("zip", headed(zipped("a"), struct.pack("<H", 1), local=6, central=8), "locked with a password"),
    "zip: packed in a way nobody knows": (
        "zip", headed(zipped("a"), struct.pack("<H", 99), local=8, central=10), "cannot be taken apart"),
    "zip: no zip": ("zip", b"<html>not found</html>" * 9, "no zip archive"),
    "zip: nothing in it": ("zip", zipped(), "holds no files"),
    "gz: zeros": ("gz", gzip.compress(ZEROS), "50 times its size"),
    "gz: too large": ("gz", gzip.compress(LARGE + LARGE), MUCH),
    "gz: cut off": ("gz", gzip.compress(NEWS)[:-9], "cut off"),
    "gz: wrong checksum": ("gz", gzip.compress(NEWS)[:-8] + bytes(8), "damaged"),
    "gz: no gz": ("gz", b"<html>not found</html>", "damaged"),
    "gz: something behind it": ("gz", gzip.compress(b"a") + b"and more", "damaged"),
    "gz: empty": ("gz", b"", "is empty"),
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A cache and a data folder beside things that must stay as they are."""
    (tmp_path / "data").mkdir()
    (tmp_path / "evil").write_text("mine")
    return tmp_path


def outside(place):
    """Everything but what belongs into the cache; and of the cache, what a build has left behind."""
    kept = {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and "cache" not in p.relative_to(place).parts}
    left = [p for p in (place / "cache" / "sides").rglob("*") if p.suffix != ".lock"]
    return kept, left


def refused(place, how, content):
    (place / "data" / f"all.{how}").write_bytes(content)
    sources = Sources(place / "cache", (place / "data",), LIMITS)
    source = Source(name="articles", uri=f"file://all.{how}", unpack=how, side="train")
    sources.collect(source)
    before = outside(place)
    with pytest.raises(Rejected) as caught:
        sources.lay_out((source,), None, Side.TRAIN)
    assert caught.value.reason is Reason.SOURCE_UNUSABLE
    assert outside(place) == before
    assert before[1] == []
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_there_are_as_many_as_was_promised():
    assert len(ARCHIVES) >= 50
    assert len(PATHS) >= 40


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_is_refused_and_leaves_nothing(place, name):
    how, content, reason = ARCHIVES[name]
    said = refused(place, how, content)
    assert said.startswith(f"source articles: all.{how} ")
    assert reason in said


@pytest.mark.parametrize("path", PATHS, ids=ascii)
@pytest.mark.parametrize(("how", "pack"), [("tar", tarred), ("zip", zipped)])
def test_a_hostile_path_is_refused_and_leaves_nothing(place, how, pack, path):
    if path.endswith("/") and how == "tar":
        path = path.rstrip("/")  # the library takes it off
    reason = PATHS.get(path) or PATHS[path + "/"]
    assert reason in refused(place, how, pack("first.txt", path))


@pytest.mark.parametrize("path", [p for p, reason in PATHS.items() if reason == POINTS], ids=ascii)
def test_a_trial_writes_no_hostile_path_outside(place, path):
    (place / "folder" / "inner").mkdir(parents=True)
    before = outside(place)
    with tarfile.open(fileobj=io.BytesIO(tarred(path))) as archive:
        try:
            training.unpack(archive, place / "folder" / "inner")
        except TrainingError as error:
            assert "the dataset holds" in str(error)  # noqa: PT017 - an absolute path is taken as Pachyderm's own
    found = {p: c for p, c in outside(place)[0].items() if not p.is_relative_to(place / "folder" / "inner")}
    assert found == before[0]


@pytest.mark.parametrize(
    "uri", ["https://host/..", "https://host/%2e%2e", "https://host/a/..", "s3://[", "file://b/a%0ab"]
)
def test_an_address_never_names_a_file_outside(uri):
    assert name_of(uri) == "source"


@pytest.mark.parametrize(
    "uri",
    [
        "file://../evil", "file://../../evil", "file://a/../../evil", "file://%2e%2e/evil", "file://..%2fevil",
        "file://a%00b", "file://..", "file://.", "file://%00", "file://a/..", "http://[", "http://127.0.0.1:bad/x",
        "http://[/all.tar", "git+https://127.0.0.1:9/x@main",
        "git+file:///etc@" + "0" * 40, "git+https://-x@" + "0" * 40, "file:///nowhere/%0a", "http:///x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["none", "gz"])
def test_a_hostile_address_is_refused_and_leaves_nothing(place, uri, how):
    sources = Sources(place / "cache", (place / "data",), LIMITS)
    source = Source(name="s", uri=uri, side="train", unpack=how)
    before = outside(place)
    with pytest.raises(PortError, match=r"^source s: "):
        sources.collect(source)
    assert outside(place) == before
    assert sources.look((source,))[0].digest is None


@pytest.mark.parametrize(
    ("how", "content", "found"),
    [
        ("zip", zipped(("top/a.txt", b"goal"), "top/b/"), {"a.txt": b"goal"}),
        ("gz", gzip.compress(b"a,b"), {"all": b"a,b"}),
        ("tar", tarred(("top/a.txt", b"goal"), wrap=lzma.compress), {"a.txt": b"goal"}),
        ("tar", tarred(("top/a.txt", b""), end=bytes(1 << 20)), {"a.txt": b""}),
    ],
)
def test_an_honest_archive_is_taken_apart(place, how, content, found):
    (place / "data" / f"all.{how}").write_bytes(content)
    source = Source(name="articles", uri=f"file://all.{how}", unpack=how, side="train", strip=0 if how == "gz" else 1)
    sources = Sources(place / "cache", (place / "data",), LIMITS)
    sources.collect(source)
    folder = sources.lay_out((source,), None, Side.TRAIN)
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == found
