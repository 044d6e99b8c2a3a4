"""When a whole tree is written down: where replaying what led to it costs more than reading it back."""

import pytest

from cdl.embedded.pachd import layers, refs
from cdl.embedded.pachd.blobs import EMPTY, Blobs
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.layers import LONG, MANY, Layers
from cdl.embedded.pachd.refs import RepoName
from cdl.embedded.pachd.store import Store
from cdl.embedded.pachd.trees import Change, pack, put

FILES = MANY + 1


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "pachd")
    yield store
    store.close()


@pytest.fixture
def commit(store):
    """A function that makes a finished commit of these changes on top of the last one."""
    with store.write() as db:
        repo = refs.make_repo(db, RepoName("default", "data", "user"), "")

    def make(changes=()):
        with store.write() as db:
            wave = Wave(db)
            made = wave.commit(wave.branch(repo, "master"), done=True)
            layers.add(db, made.id, changes)
        return made.id

    return make


@pytest.fixture
def trees(store):
    return Layers(store, Blobs(store))


def wanted(trees, key):
    return trees.wants_snapshot(key, len(trees.tree(key)))


def files(count):
    return [put(f"/data/{n}", EMPTY) for n in range(count)]


def test_one_more_file_on_top_of_many_writes_no_tree_down(commit, trees):
    assert not wanted(trees, commit(files(FILES)))
    last = commit([put("/one-more", EMPTY)])
    assert not wanted(trees, last)
    assert len(trees.tree(last)) == FILES + 1


def test_many_files_that_are_gone_again_are_not_replayed_for_ever(store, commit, trees):
    commit(files(FILES))
    last = commit([Change("del", "/data/", "default"), put("/left", EMPTY)])
    assert wanted(trees, last)
    with store.write() as db:
        db.execute("INSERT INTO snapshots VALUES (?, ?)", (last, pack(trees.tree(last))))
    assert not wanted(trees, last)
    # From then on a tree is read back from there, and is the same.
    more = commit([put("/one-more", EMPTY)])
    kept = trees.tree(more)
    trees.forget()
    assert trees.tree(more) == kept
    assert sorted(kept) == ["/left", "/one-more"]


def test_a_long_history_is_written_down_however_small_it_is(commit, trees):
    for _ in range(LONG):
        assert not wanted(trees, commit([put("/a", EMPTY)]))
    assert wanted(trees, commit([put("/a", EMPTY)]))
