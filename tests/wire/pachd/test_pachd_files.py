"""Files: written in pieces, from disk, copied, deleted; listed, walked, globbed, compared and read."""

import pytest
from pachyderm_sdk.api import pfs

from tests.wire.pachd.refusals import refused

BIG = bytes(range(256)) * 4096  # 1 MiB: large enough for a file of its own


@pytest.fixture(scope="module")
def tree(pachd):
    """A repo with a small tree; read only."""
    repo = pachd.repo()
    names = [
        "/a.txt",
        "/b.csv",
        "/_reports/r.json",
        "/tech/1.txt",
        "/tech/10.txt",
        "/tech/sub/x.txt",
        "/tech-old/1.txt",
    ]
    return pachd.put(repo, {name: name.encode() for name in names})


def listed(stream):
    return [f.file.path for f in stream]


def at(commit, path="/"):
    return pfs.File(commit=commit, path=path)


def modify(client, commit, *requests):
    client.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=commit), *requests]))


def add(path, body):
    return pfs.ModifyFileRequest(add_file=pfs.AddFile(path=path, raw=body))


def test_list_gives_the_children_in_order(client, tree):
    top = list(client.pfs.list_file(file=at(tree)))
    assert listed(top) == ["/_reports/", "/a.txt", "/b.csv", "/tech-old/", "/tech/"]
    assert [pfs.FileType(f.file_type).name for f in top] == ["DIR", "FILE", "FILE", "DIR", "DIR"]
    assert [f.size_bytes for f in top] == [16, 6, 6, 15, 38]
    assert all(len(f.hash) == 32 for f in top)
    assert listed(client.pfs.list_file(file=at(tree, "/tech"))) == ["/tech/1.txt", "/tech/10.txt", "/tech/sub/"]
    assert listed(client.pfs.list_file(file=at(tree, "/a.txt"))) == ["/a.txt"]
    assert listed(client.pfs.list_file(file=at(tree, "/none"))) == []


def test_walk_gives_everything_below_in_order(client, tree):
    assert listed(client.pfs.walk_file(file=at(tree, "tech/"))) == [
        "/tech/",
        "/tech/1.txt",
        "/tech/10.txt",
        "/tech/sub/",
        "/tech/sub/x.txt",
    ]
    assert len(listed(client.pfs.walk_file(file=at(tree)))) == 12
    assert refused(client.pfs.walk_file, file=at(tree, "/none"))[0] == "NOT_FOUND"


def test_pages(client, tree):
    def page(**how):
        return listed(client.pfs.walk_file(file=at(tree), **how))

    whole = page()
    assert page(number=2) == whole[:2]
    assert page(number=2, pagination_marker=at(tree, whole[1])) == whole[2:4]
    assert page(number=2, reverse=True) == whole[:-3:-1]
    assert refused(client.pfs.walk_file, file=at(tree), reverse=True)[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/", ["/"]),
        ("/*", ["/_reports/", "/a.txt", "/b.csv", "/tech-old/", "/tech/"]),
        ("*.txt", ["/a.txt"]),
        ("/[!_]*", ["/a.txt", "/b.csv", "/tech-old/", "/tech/"]),
        ("/[a-b].*", ["/a.txt", "/b.csv"]),
        ("/?.{txt,csv}", ["/a.txt", "/b.csv"]),
        ("/**.txt", ["/a.txt", "/tech-old/1.txt", "/tech/1.txt", "/tech/10.txt", "/tech/sub/x.txt"]),
        ("/tech/*", ["/tech/1.txt", "/tech/10.txt", "/tech/sub/"]),
        ("/tech/", ["/tech/"]),
        ("/*/1?(0).txt", ["/tech-old/1.txt", "/tech/1.txt", "/tech/10.txt"]),
        ("/@(a|b).*", ["/a.txt", "/b.csv"]),
        ("/!(tech*)", ["/_reports/", "/a.txt", "/b.csv"]),
        ("/(tech)/*/", ["/tech/1.txt", "/tech/10.txt", "/tech/sub/"]),
        ("/none*", []),
    ],
)
def test_globs(client, tree, pattern, found):
    assert listed(client.pfs.glob_file(commit=tree, pattern=pattern)) == found


@pytest.mark.parametrize("pattern", ["/[a", "/{a,b", "/@(a|b", "/!(a"])
def test_a_glob_that_cannot_be_read_is_refused(client, tree, pattern):
    code, text = refused(client.pfs.glob_file, commit=tree, pattern=pattern)
    assert (code, pattern in text) == ("INVALID_ARGUMENT", True)


def test_an_empty_commit(pachd, client):
    commit = pachd.put(pachd.repo(), {})
    assert listed(client.pfs.glob_file(commit=commit, pattern="/**")) == []
    assert listed(client.pfs.walk_file(file=at(commit))) == []
    assert refused(client.pfs.inspect_file, file=at(commit))[0] == "NOT_FOUND"
    assert pachd.read(commit) == {}


def test_get_file_wants_exactly_one(client, tree):
    with client.pfs.pfs_file(at(tree, "/tech/1.txt")) as file:
        assert file.read() == b"/tech/1.txt"
    assert b"".join(p.value for p in client.pfs.get_file(file=at(tree, "/tech/1.txt"), offset=6)) == b"1.txt"
    assert b"".join(p.value for p in client.pfs.get_file(file=at(tree, "/b.*"))) == b"/b.csv"
    assert "GetFileTAR" in refused(client.pfs.get_file, file=at(tree, "/tech"))[1]
    assert "GetFileTAR" in refused(client.pfs.get_file, file=at(tree, "/*.*"))[1]
    assert refused(client.pfs.get_file, file=at(tree, "/none"))[0] == "NOT_FOUND"
    assert client.pfs.path_exists(at(tree, "/tech"))
    assert not client.pfs.path_exists(at(tree, "/none"))


def test_a_tar_can_be_unpacked(client, tree, tmp_path):
    with client.pfs.pfs_tar_file(at(tree)) as tar:
        for member in tar:
            tar.extract(member, tmp_path, filter="data")
    assert (tmp_path / "tech/sub/x.txt").read_bytes() == b"/tech/sub/x.txt"
    assert sorted(p.name for p in (tmp_path / "tech").iterdir()) == ["1.txt", "10.txt", "sub"]


def test_pieces_are_appended(pachd, client):
    repo = pachd.repo()
    with client.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit:
        modify(client, commit, add("/f", b"one "), add("/g", b"x"), add("/f", b"two "))
        modify(client, commit, add("/f", b"three"))
        assert pachd.read(commit) == {"/f": b"one two three", "/g": b"x"}
    commit.wait()
    appended = client.pfs.inspect_file(file=at(commit, "/f")).hash
    whole = pachd.put(repo, {"/f": b"one two three"})
    # Equal content has one hash, however it came: nothing differs.
    assert client.pfs.inspect_file(file=at(whole, "/f")).hash == appended
    assert list(client.pfs.diff_file(new_file=at(whole))) == []


def test_large_files(pachd, client, tmp_path):
    repo = pachd.repo()
    body = BIG * 23 + b"end"  # more than one of the SDK's 19 MiB messages
    (tmp_path / "big").write_bytes(body)
    with (
        client.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit,
        (tmp_path / "big").open("rb") as file,
    ):
        commit.put_file_from_file(path="/big", file=file)
        modify(client, commit, add("/big", b"!"))
    commit.wait()
    with client.pfs.pfs_file(at(commit, "/big")) as file:
        assert file.readall() == body + b"!"
    assert client.pfs.inspect_file(file=at(commit, "/big")).size_bytes == len(body) + 1
    assert b"".join(p.value for p in client.pfs.get_file(file=at(commit, "/big"), offset=len(body) - 3)) == b"end!"


def test_deleting(pachd, client):
    repo = pachd.repo()
    pachd.put(repo, {"/d/a": b"1", "/d/b": b"2", "/db": b"3", "/e": b"4"})
    commit = pachd.put(repo, {}, delete=["/d/", "/e", "/never-there"])
    assert pachd.read(commit) == {"/db": b"3"}
    commit = pachd.put(repo, {"/new": b"5"}, delete=["/"])
    assert pachd.read(commit) == {"/new": b"5"}


def test_copying(pachd, client):
    source = pachd.put(pachd.repo(), {"/d/a": b"1", "/d/e/b": b"2", "/f": b"3"})
    with client.pfs.commit(branch=pfs.Branch(repo=pachd.repo(), name="master")) as commit:
        commit.copy_file(src=at(source, "/d"), dst="/to")
        commit.copy_file(src=at(source, "/f"), dst="/g")
        commit.copy_file(src=at(source, "/d/a"), dst="/g", append=True)
        assert refused(commit.copy_file, src=at(source, "/none"), dst="/x")[0] == "NOT_FOUND"
    commit.wait()
    assert pachd.read(commit) == {"/to/a": b"1", "/to/e/b": b"2", "/g": b"31"}


def test_a_difference_is_of_path_and_hash(pachd, client):
    repo = pachd.repo()
    first = pachd.put(repo, {"/d/same": b"1", "/d/changed": b"2", "/gone": b"3"})
    second = pachd.put(repo, {"/d/changed": b"two", "/new": b"4"}, delete=["/gone"])
    found = {
        (d.new_file.file.path if d.new_file.file else "", d.old_file.file.path if d.old_file.file else "")
        for d in client.pfs.diff_file(new_file=at(second))
    }
    assert found == {
        ("/", "/"),
        ("/d/", "/d/"),
        ("/d/changed", "/d/changed"),
        ("", "/gone"),
        ("/new", ""),
    }
    assert list(client.pfs.diff_file(new_file=at(second), old_file=at(second))) == []
    assert len(list(client.pfs.diff_file(new_file=at(second, "/d"), old_file=at(first, "/d")))) == 2


def test_a_renamed_file_changes_its_directory(pachd, client):
    repo = pachd.repo()
    one = client.pfs.inspect_file(file=at(pachd.put(repo, {"/d/a": b"1"}), "/d")).hash
    two = client.pfs.inspect_file(file=at(pachd.put(repo, {"/d/b": b"1"}, delete=["/d/a"]), "/d")).hash
    assert one != two


@pytest.mark.parametrize("path", ["/a*", "/ä", "/a/../b", "/", "/a{b}", "/a\nb"])
def test_a_path_that_a_commit_cannot_hold_is_refused(pachd, client, path):
    target = pfs.Commit(branch=pfs.Branch(repo=pachd.repo(), name="master"))
    code, text = refused(modify, client, target, add(path, b"1"))
    assert (code, "path" in text) == ("UNKNOWN", True)


def test_a_file_cannot_also_be_a_directory(pachd, client):
    with client.pfs.commit(branch=pfs.Branch(repo=pachd.repo(), name="master")) as commit:
        modify(client, commit, add("/a", b"1"), add("/a/b", b"2"))
    assert "both a file and a directory" in commit.wait().error


def test_a_folder_is_taken_from_disk(pachd, client):
    folder = pachd.root / "articles"
    (folder / "tech").mkdir(parents=True)
    (folder / "tech/1.txt").write_bytes(b"one")
    (folder / "tech/big.bin").write_bytes(BIG)
    (folder / "empty").write_bytes(b"")
    (folder / "link").symlink_to(folder / "tech/1.txt")
    with client.pfs.commit(branch=pfs.Branch(repo=pachd.repo(), name="master")) as commit:
        commit.put_file_from_url(path="/", url=folder.as_uri(), recursive=True)
        commit.put_file_from_url(path="/single.txt", url=(folder / "tech/1.txt").as_uri())
        assert "recursive" in refused(commit.put_file_from_url, path="/x", url=folder.as_uri())[1]
    commit.wait()
    assert pachd.read(commit) == {
        "/tech/1.txt": b"one",
        "/tech/big.bin": BIG,
        "/empty": b"",
        "/link": b"one",
        "/single.txt": b"one",
    }


def test_only_allowed_folders_are_taken_from(pachd, client, tmp_path):
    (tmp_path / "secret").write_bytes(b"1")
    inside = pachd.root / "way-out"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    commit = client.pfs.start_commit(branch=pfs.Branch(repo=pachd.repo(), name="master"))
    for url in ((tmp_path / "secret").as_uri(), (inside / "link").as_uri(), (pachd.root / "../x").as_uri()):
        code, text = refused(client.pfs.put_file_from_url, commit=commit, path="/x", url=url)
        assert (code, "--allow-file-root" in text) == ("INVALID_ARGUMENT", True)
    code, text = refused(client.pfs.put_file_from_url, commit=commit, path="/", url=inside.as_uri(), recursive=True)
    assert "leads out" in text
    assert "file:///" in refused(client.pfs.put_file_from_url, commit=commit, path="/x", url="s3://bucket/x")[1]
    missing = (pachd.root / "none").as_uri()
    assert refused(client.pfs.put_file_from_url, commit=commit, path="/x", url=missing)[0] == "NOT_FOUND"
    assert pachd.read(commit) == {}
    client.pfs.finish_commit(commit=commit)


def test_a_long_history_stays_readable(pachd, client):
    repo = pachd.repo()
    target = pfs.Commit(branch=pfs.Branch(repo=repo, name="master"))
    for number in range(150):
        modify(client, target, add(f"/f{number}", str(number).encode()))
    head = client.pfs.inspect_commit(commit=pachd.head(repo), wait=pfs.CommitState.FINISHED).commit
    assert len(pachd.read(head)) == 150
    early = pfs.Commit(repo=repo, id=f"{head.id}~100")
    assert len(pachd.read(early)) == 50
