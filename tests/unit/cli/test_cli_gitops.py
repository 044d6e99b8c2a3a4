"""`cdl gitops` refuses in one sentence what it cannot follow, and ends with what programs ask for."""

import pytest
from click.testing import CliRunner

from cdl.cli.gitops import command
from tests.unit.gitops.gitops_rig import Origin, git, project_in

SECRET = "canary-that-is-long-enough"


@pytest.fixture
def origin(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    made = Origin(tmp_path)
    project_in(made)
    return made


def said(*words):
    done = CliRunner().invoke(command, words)
    assert "Traceback" not in done.output
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--interval", "0s"), "--interval: found '0s', allowed: a time as in 30s or 5m, at least 1s"),
        (("--interval", "soon"), "--interval: found 'soon'"),
        (("--branch", "--upload-pack=x"), "--branch: found '--upload-pack=x', allowed: the name of a branch"),
        (("--branch", "a..b"), "--branch: found 'a..b'"),
        (("--path", "../other"), "--path: found '../other', allowed: a folder of the repository"),
        (("--path", "/etc"), "--path: found '/etc'"),
        (("--name", "Über"), "--name: found 'Über', allowed: lower-case letters, digits"),
        (("--webhook", "8090"), "--webhook: found '8090', allowed: HOST:PORT"),
        (("--webhook", "127.0.0.1:0"), "--webhook: needs --webhook-token-file; nobody may knock without a secret"),
        (("--git-token-file", "nowhere"), "--git-token-file: nowhere cannot be read: No such file or directory"),
    ],
)
def test_an_option_that_is_wrong_is_named(origin, words, sentence):
    status, output = said("--repo", origin.url, *words)
    assert status == 1
    assert sentence in output


def test_a_secret_of_several_lines_is_refused_and_not_shown(origin, tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}\nmore\n")
    status, output = said("--repo", origin.url, "--git-token-file", str(tmp_path / "secret"))
    assert status == 1
    assert "holds several lines, allowed: one line" in output
    assert SECRET not in output


def test_an_address_that_runs_a_program_is_refused(origin):
    status, output = said("--repo", f"ext::sh {SECRET}@x", "--once")
    assert status == 1
    assert "--repo: found" in output
    assert SECRET not in output


def test_once_says_by_its_status_whether_the_branch_is_applied(origin):
    status, output = said("--repo", str(origin.bare), "--once")
    assert (status, output) == (1, "BranchGone: there is no branch main; what was applied stays\n")
    commit = origin.push()
    status, output = said("--repo", str(origin.bare), "--once")
    assert status == 0
    assert output.splitlines()[0] == f"Applied: {commit[:12]} is applied: 3 resources"
    assert output.count("created") == 3


def test_two_branches_have_inventories_of_their_own(origin):
    origin.push()
    git(origin.work, "push", "-q", "origin", "HEAD:other")
    assert said("--repo", origin.url, "--once", "-n", "one")[0] == 0
    assert said("--repo", origin.url, "--once", "-n", "two", "--branch", "other")[0] == 0
    status, output = said("--repo", origin.url, "--once", "-n", "one", "--branch", "other")
    assert status == 1
    assert "belongs to the project origin-" in output
