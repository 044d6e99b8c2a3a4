"""`cdl gitops` refuses in one sentence what it cannot follow, and ends with what programs ask for."""

import pytest
from click.testing import CliRunner

from cdl.cli.gitops import command
from cdl.local import LocalStore
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


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (
            ("--merge-requests",),
            {},
            "--merge-requests: needs --forge-project GROUP/NAME",
        ),
        (
            ("--forge-project", "team/secret"),
            {"CDL_FORGE_PROJECTS": "team/news, team/other"},
            "--forge-project: found 'team/secret', CDL_FORGE_PROJECTS allows team/news, team/other",
        ),
        ((), {"CDL_FORGE_PROJECT": "team/news"}, "found 'team/news', CDL_FORGE_PROJECTS allows no project"),
        (("--merge-requests",), {"CDL_FORGE_PROJECT": "team/news"}, "CDL_FORGE_PROJECTS allows no project"),
        (
            ("--merge-requests", "--forge-project", "team/news"),
            {"CDL_FORGE_PROJECTS": "team/news"},
            "--merge-requests: needs CDL_FORGE, the address of GitLab, and CDL_FORGE_TOKEN",
        ),
        (
            ("--merge-requests", "--forge-project", "team/news"),
            {"CDL_FORGE_PROJECTS": "team/news", "CDL_FORGE": "http://127.0.0.1:9"},
            "CDL_FORGE_TOKEN: found nothing",
        ),
        (
            ("--merge-requests", "--name", "a.b"),
            {},
            "--name: found 'a.b', allowed with --merge-requests: letters, digits and '-', at most 51",
        ),
        (
            ("--name", "news-mr-7"),
            {},
            "--name: found 'news-mr-7', which is what the preview",
        ),
        (("--previews", "0"), {}, "0 is not in the range 1<=x<=1000"),
    ],
)
def test_what_merge_requests_need_is_said(origin, monkeypatch, words, environment, sentence):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    status, output = said("--repo", origin.url, "--once", *words)
    assert status != 0
    assert sentence in output


def test_the_project_of_the_forge_is_written_on_what_is_applied(origin, monkeypatch, tmp_path):
    origin.push()
    monkeypatch.setenv("CDL_FORGE_PROJECTS", "team/news")
    assert said("--repo", origin.url, "--once", "--forge-project", "team/news")[0] == 0
    store = LocalStore(tmp_path / "home" / "resources.db")
    found = {document["metadata"]["annotations"]["cdl.dev/forge-project"] for document in store.documents()}
    store.close()
    assert found == {"team/news"}


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
