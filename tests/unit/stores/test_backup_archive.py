"""A home folder in one file and back: whole or not at all."""

import io
import json
import sqlite3
import tarfile
from datetime import UTC, datetime

import pytest

from cdl.ports.errors import Rejected
from cdl.stores.backup import restore, write

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    """A home with a database that is being written to, files, and what is not worth keeping."""
    made = tmp_path / "home"
    for name, content in {
        "artifacts/ab.json": "{}",
        "determined/checkpoints/u1/weights.h5": "w" * 5000,
        "keys/release.pem": "secret",
        "cache/datasets/x": "again",
        "logs/operator.log": "said",
        "processes/pachd.json": "{}",
        "pachd/scratch/1/x": "half",
        "determined/lock": "",
        "sources/blobs/.lock-1": "",
        "resources.db-wal": "not ours to copy",
    }.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (made / "resources.db-wal").unlink()
    (made / "keys" / "release.pem").chmod(0o600)
    return made


def rows(database):
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT n FROM t ORDER BY n").fetchall()


def packed(tmp_path, home, **more):
    target = tmp_path / "backup.tar.gz"
    return target, write(home, target, AT, more)


def repacked(source, target, change):
    """Copy an archive member by member; `change` gives other content, or None to leave one out."""
    with tarfile.open(source) as old, tarfile.open(target, "w:gz") as new:
        for member in old:
            content = old.extractfile(member).read() if member.isreg() else None
            changed = change(member.name, content) if member.isreg() else content
            if changed is None and member.isreg():
                continue
            if changed is not None:
                member.size = len(changed)
            new.addfile(member, io.BytesIO(changed) if changed is not None else None)


def test_what_is_worth_keeping_comes_back_with_its_modes(tmp_path, home):
    folder = tmp_path / "elsewhere" / "server" / "empty"
    folder.mkdir(parents=True, mode=0o700)
    target, summary = packed(tmp_path, home, postgres=tmp_path / "elsewhere")
    assert sorted(summary.files) == ["artifacts/ab.json", "determined/checkpoints/u1/weights.h5", "keys/release.pem"]
    assert target.stat().st_mode & 0o777 == 0o600
    old = home.rename(tmp_path / "old")
    contents = restore(target, home)
    assert contents["at"] == AT.isoformat()
    for name in summary.files:
        assert (home / name).read_bytes() == (old / name).read_bytes()
    assert (home / "keys" / "release.pem").stat().st_mode & 0o777 == 0o600
    assert (home / "postgres" / "server" / "empty").stat().st_mode & 0o777 == 0o700
    assert not (home / "logs").exists()
    assert not list(tmp_path.glob(".restoring-*"))


def test_a_database_is_copied_as_of_one_moment_while_it_is_written_to(tmp_path, home):
    writer = sqlite3.connect(home / "resources.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (n INTEGER)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (2)")
    target, _ = packed(tmp_path, home)
    writer.execute("COMMIT")
    writer.close()
    home.rename(tmp_path / "old")
    restore(target, home)
    assert rows(home / "resources.db") == [(1,)]


def test_what_names_files_is_copied_before_the_files(tmp_path, home):
    for name in ("resources.db", "pachd/pachd.sqlite", "determined/master.db"):
        with sqlite3.connect(home / name) as connection:
            connection.execute("CREATE TABLE t (n INTEGER)")
    _, summary = packed(tmp_path, home)
    assert list(summary.files)[:3] == ["resources.db", "determined/master.db", "pachd/pachd.sqlite"]


def test_it_goes_back_only_where_it_came_from_and_only_into_nothing(tmp_path, home):
    target, _ = packed(tmp_path, home)
    with pytest.raises(Rejected, match="allowed: an empty folder, or none yet"):
        restore(target, home)
    with pytest.raises(Rejected, match=f"was taken of {home}, and belongs there: set CDL_HOME={home}"):
        restore(target, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, content: content + b"!" if name.endswith("h5") else content, "weights.h5 is not as it was"),
        (lambda name, content: None if name.endswith("h5") else content, "weights.h5 is not as it was"),
        (lambda name, content: None if name == "backup.json" else content, "holds no backup.json"),
        (lambda name, content: b"[]" if name == "backup.json" else content, "its backup.json cannot be read"),
        (
            lambda name, content: (
                json.dumps(json.loads(content) | {"format": "cdl-backup/9"}).encode()
                if name == "backup.json"
                else content
            ),
            "has the format 'cdl-backup/9', allowed: cdl-backup/1",
        ),
    ],
)
def test_a_changed_backup_is_refused_and_leaves_nothing(tmp_path, home, change, said):
    target, _ = packed(tmp_path, home)
    changed = tmp_path / "changed.tar.gz"
    repacked(target, changed, change)
    home.rename(tmp_path / "old")
    with pytest.raises(Rejected, match=said):
        restore(changed, home)
    assert not home.exists()
    assert not list(tmp_path.glob(".restoring-*"))


@pytest.mark.parametrize("share", [0.3, 0.98])
def test_half_a_backup_is_refused(tmp_path, home, share):
    target, _ = packed(tmp_path, home)
    content = target.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    home.rename(tmp_path / "old")
    with pytest.raises(Rejected, match=r"is no backup, or is damaged|holds no backup\.json"):
        restore(target, home)
    assert not home.exists()


def test_what_is_no_archive_is_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a backup")
    with pytest.raises(Rejected, match="is no backup, or is damaged"):
        restore(text, tmp_path / "home")


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/cdl-out.txt", "a/../../out.txt"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_nothing_in_it_reaches_outside(tmp_path, name, kind):
    hostile = tmp_path / "hostile.tar.gz"
    with tarfile.open(hostile, "w:gz") as archive:
        member = tarfile.TarInfo(name if kind == tarfile.REGTYPE else "inside")
        member.type, member.linkname = kind, name
        archive.addfile(member, io.BytesIO())
    with pytest.raises(Rejected, match="a backup holds files and folders inside of it"):
        restore(hostile, tmp_path / "deep" / "home")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "hostile.tar.gz"]
    assert not list((tmp_path / "deep").iterdir())
