"""A commit is part of a repository's history as long as a branch or a tag leads to it."""

import subprocess

import pytest

from cdl.ports.errors import Unavailable
from cdl.stores.git import GitHistory


class Repository:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet")
        self.first = self.commit("first")

    def git(self, *words):
        named = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
        done = subprocess.run(["git", *named, "-C", self.folder, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, text, *words):
        (self.folder / "file.txt").write_text(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", text, *words)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "project")


@pytest.fixture(params=["folder", "url"])
def history(repository, request):
    """Ask the folder itself, or what is behind its URL; asked last, for a copy is made once."""
    return lambda: GitHistory(str(repository.folder) if request.param == "folder" else repository.folder.as_uri())


def test_a_commit_is_held_by_the_branch_that_leads_to_it(repository, history):
    second = repository.commit("second")
    assert [history().holds(commit) for commit in (repository.first, second)] == [True, True]


def test_a_rewritten_commit_is_not_held(repository, history):
    lost = repository.commit("second")
    kept = repository.commit("it was always like this", "--amend")
    assert [history().holds(commit) for commit in (repository.first, lost, kept)] == [True, False, True]


def test_a_folder_still_knows_a_rewritten_commit(repository):
    lost = repository.commit("second")
    repository.commit("it was always like this", "--amend")
    asked = GitHistory(str(repository.folder))
    assert (asked.knows(lost), asked.holds(lost)) == (True, False)


@pytest.mark.parametrize("where", ["branch", "tag"])
def test_any_branch_or_tag_will_do(repository, history, where):
    side = repository.commit("second")
    repository.git(where, "kept")
    repository.git("reset", "--quiet", "--hard", repository.first)
    assert history().holds(side)


@pytest.mark.parametrize("word", ["0" * 40, "main", "HEAD", "--help", "", "abc"])
def test_what_is_no_commit_of_it_is_neither_known_nor_held(history, word):
    assert (history().knows(word), history().holds(word)) == (False, False)


def test_a_folder_that_is_no_repository_cannot_say(tmp_path):
    with pytest.raises(Unavailable, match="no git repository"):
        GitHistory(str(tmp_path)).holds("0" * 40)


def test_a_place_that_cannot_be_copied_cannot_say(tmp_path):
    with pytest.raises(Unavailable, match="cannot be copied"):
        GitHistory((tmp_path / "nothing").as_uri()).holds("0" * 40)


def test_the_end_of_a_history_does_not_say_what_came_before(repository, tmp_path):
    second = repository.commit("second")
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--depth", "1", repository.folder.as_uri(), str(shallow))
    asked = GitHistory(str(shallow))
    assert asked.holds(second)
    with pytest.raises(Unavailable, match="only the end of its history"):
        asked.holds(repository.first)
