"""What differs between two Releases is found member by member."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.reconcile.release.diff import ReleaseFacts, diff
from cdl.reconcile.release.files import code_files, data_files
from cdl.testing.builders import release

COMMITS = ("c1", "c2")
PATHS = st.sampled_from([f"/{label}/{n}.txt" for label in ("up", "down") for n in range(3)])
CONTENTS = st.sampled_from(["a", "b", "c"])


def members(**changed):
    told = {
        "git": {"commit": "1"},
        "code": {"model": {"digest": "sha256:a", "uri": "x"}, "serve": None},
        "data": {"train": {"repo": "r", "commit": "t1"}, "test": {"repo": "q", "commit": "e1"}},
        "labels": {"snapshot": "s", "rows": 4},
        "experiment": {"hparams": {"rate": 0.1}, "config": {"digest": "sha256:c", "uri": "y"}},
        "evaluation": {"metrics": {"accuracy": 0.5}},
        "environment": {"python": "3.11", "packages": {"torch": "2.0"}, "lock": {"digest": "sha256:l", "uri": "z"}},
    }
    return told | changed


def facts(version=1, *, known=None, **changed):
    return ReleaseFacts(release("news", version, **members(**changed)), **(known or {}))


def test_the_same_content_of_another_commit_is_the_same():
    found = diff(facts(1), facts(2, git={"commit": "2"}))
    assert found.same
    assert [name for name, differs in found.members.items() if differs] == ["git"]
    assert (found.code, found.config, found.data, found.environment) == ((), (), (), ())


def test_code_is_counted_line_by_line():
    old = {"train.py": b"import a\nb = 1\n", "gone.py": b"x\n", "logo.png": b"\0\1", "same.py": b"1"}
    new = {"train.py": b"import a\nb = 2\nc = 3\n", "new.py": b"y\nz\n", "logo.png": b"\0\2", "same.py": b"1"}
    found = diff(
        facts(1, known={"code": {"model": old}}),
        facts(2, code={"model": {"digest": "sha256:b", "uri": "x"}, "serve": None}, known={"code": {"model": new}}),
    )
    (model,) = found.code
    assert [(f.path, f.change, f.added, f.removed) for f in model.files] == [
        ("gone.py", "removed", 0, 1),
        ("logo.png", "changed", None, None),
        ("new.py", "added", 2, 0),
        ("train.py", "changed", 2, 1),
    ]
    assert not any(f.text for f in model.files)


def test_the_lines_are_shown_when_asked_for():
    (file,) = code_files({"a.py": b"x = 1\n"}, {"a.py": b"x = 2"}, full=True)
    assert file.text == "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"


def test_a_line_that_looks_like_a_header_is_counted():
    (file,) = code_files({"a.sql": b"-- old\n"}, {"a.sql": b"++ new\n"}, full=False)
    assert (file.added, file.removed) == (1, 1)


def test_an_archive_that_cannot_be_read_is_said_to_differ():
    found = diff(
        facts(1, known={"why": {"model": "there is no such file"}}),
        facts(2, code={"model": {"digest": "sha256:b", "uri": "x"}, "serve": None}),
    )
    assert found.code[0].unread == "news-1: there is no such file"


def test_serving_code_that_is_new_is_added_whole():
    serve = {"digest": "sha256:s", "uri": "x", "entrypoint": "serve:Model"}
    code = {"model": {"digest": "sha256:a", "uri": "x"}, "serve": serve}
    (part,) = diff(facts(1), facts(2, code=code, known={"code": {"serve": {"serve.py": b"1\n"}}})).code
    assert (part.part, part.a, part.files[0].change) == ("serve", "", "added")


def test_configuration_is_told_by_path():
    changed = {"hparams": {"rate": 0.2}, "config": {"digest": "sha256:d", "uri": "y"}}
    found = diff(
        facts(1, known={"config": {"hyperparameters": {"rate": 0.1}, "searcher": {"name": "single"}}}),
        facts(2, experiment=changed, known={"config": {"hyperparameters": {"rate": 0.2}, "max_restarts": 0}}),
    )
    assert [c.words for c in found.config] == [
        "hyperparameters.rate: 0.1 -> 0.2",
        "max_restarts: added, 0",
        'searcher: removed, was {"name": "single"}',
    ]
    assert [(c.path, c.old, c.new) for c in found.hparams] == [("rate", 0.1, 0.2)]


def test_a_configuration_that_cannot_be_read_is_a_note():
    changed = {"hparams": {}, "config": {"digest": "sha256:d", "uri": "y"}}
    known = {"config": {}, "why": {}}
    found = diff(facts(1, known={"why": {"config": "nothing is there"}}), facts(2, experiment=changed, known=known))
    assert found.notes == ("the configuration of news-1: nothing is there",)


def test_the_environment_is_told_by_everything_installed_where_it_is_known():
    locks = [{"python": "3.11", "packages": {"torch": v, "numpy": "1"}} for v in ("2.0", "2.1")]
    found = diff(*(facts(n, known={"lock": lock}) for n, lock in enumerate(locks, 1)))
    assert [c.words for c in found.environment] == ["packages.torch: 2.0 -> 2.1"]


def test_without_the_lock_the_member_tells():
    other = {"python": "3.12", "packages": {"torch": "2.0"}, "lock": {"digest": "sha256:m", "uri": "z"}}
    assert [c.words for c in diff(facts(1), facts(2, environment=other)).environment] == ["python: 3.11 -> 3.12"]


def test_a_label_edit_is_one_file_under_another_label():
    old, new = {"/up/1.txt": "a", "/up/2.txt": "b"}, {"/down/1.txt": "a", "/up/2.txt": "b"}
    found = data_files("train", COMMITS, old, new)
    assert (found.added, found.removed, found.changed, found.relabelled) == (0, 0, 0, 1)
    assert found.first == ("/up/1.txt: up -> down",)
    assert (found.classes_a, found.classes_b) == ({"up": 2}, {"down": 1, "up": 1})


def test_of_equal_files_the_one_of_the_same_name_is_paired():
    found = data_files("train", COMMITS, {"/up/2.txt": "a"}, {"/down/1.txt": "a", "/down/2.txt": "a"})
    assert (found.relabelled, found.added) == (1, 1)
    assert found.first == ("/up/2.txt: up -> down", "/down/1.txt: added")


@given(a=st.dictionaries(PATHS, CONTENTS), b=st.dictionaries(PATHS, CONTENTS))
def test_every_file_that_differs_is_counted_once(a, b):
    found = data_files("train", COMMITS, a, b)
    differing = {p for p in {*a, *b} if a.get(p) != b.get(p)}
    assert found.added + found.removed + found.changed + 2 * found.relabelled == len(differing)
    assert sum(found.classes_b.values()) - sum(found.classes_a.values()) == len(b) - len(a)


def test_sides_whose_commit_is_the_same_are_not_read():
    assert diff(facts(1), facts(2, labels={"snapshot": "t", "rows": 5})).data == ()


def test_a_side_that_cannot_be_read_says_why():
    moved = {"train": {"repo": "r", "commit": "t2"}, "test": {"repo": "q", "commit": "e1"}}
    (side,) = diff(facts(1), facts(2, data=moved, known={"why": {"train": "it is gone"}, "data": {}})).data
    assert (side.a, side.b, side.unread) == ("t1", "t2", "news-1: it was not read")


@pytest.mark.parametrize(("commit", "words"), [("e1", "no difference"), ("e2", "different test commits")])
def test_figures_are_compared_on_the_same_test_commit_alone(commit, words):
    data = {"train": {"repo": "r", "commit": "t1"}, "test": {"repo": "q", "commit": commit}}
    known = {"report": {"n": 100, "metrics": {"accuracy": 0.1}}}
    (metric,) = diff(facts(1, known=known), facts(2, data=data, known=known)).metrics
    assert metric.words.startswith(words)
    assert metric.a == 0.5, "the member is what counts, not what a report says by now"
