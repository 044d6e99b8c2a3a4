"""`cdl forge` on a home folder: the forge starts, people have tokens, nobody else reads them, `cdl stop` ends it."""

import os
import stat
import subprocess
import sys

import gitlab
import httpx
import pytest

from tests.wire.forge.forges import commit, git

ROLES = ("data-engineer", "labeler", "data-scientist", "validator", "software-engineer", "devops-engineer", "platform")


@pytest.fixture
def cdl(tmp_path):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "cdl.cli", *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "CDL_HOME": str(tmp_path / "home")},
            timeout=100,
            check=False,
        )

    yield run
    assert run("stop").returncode == 0


def started(cdl):
    answer = cdl("forge", "up")
    assert answer.returncode == 0, answer.stderr
    address = answer.stdout.split()[2].rstrip(";")
    return address, {name: cdl("forge", "token", name).stdout.strip() for name in ROLES}


def test_a_forge_comes_up_with_everybody_of_the_thesis_and_stays_the_same(cdl, tmp_path):
    address, tokens = started(cdl)
    assert len({*tokens.values()}) == len(ROLES)
    assert (address, tokens) == started(cdl)
    assert cdl("stop").stdout == "stopped forge\n"
    with pytest.raises(httpx.TransportError):
        httpx.get(address, trust_env=False)
    assert (address, tokens) == started(cdl)
    for name, token in tokens.items():
        with gitlab.Gitlab(address, private_token=token) as api:
            api.auth()
            assert api.user.username == name


def test_tokens_are_in_one_file_that_nobody_else_reads(cdl, tmp_path):
    _, tokens = started(cdl)
    found = set()
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file() and any(token.encode() in path.read_bytes() for token in tokens.values()):
            found.add((path.name, stat.S_IMODE(path.stat().st_mode)))
    assert found == {("tokens.json", 0o600)}
    assert stat.S_IMODE((tmp_path / "home" / "forge").stat().st_mode) == 0o700


def test_only_who_may_merge_pushes_to_the_branch_that_production_follows(cdl, tmp_path):
    address, tokens = started(cdl)
    with gitlab.Gitlab(address, private_token=tokens["platform"]) as api:
        api.projects.create({"name": "news", "namespace_path": "team"})
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=main")
    commit(work, "README.md", "news")

    def push(user, branch):
        url = address.replace("//", f"//{user}:{tokens[user]}@")
        return git(work, "push", f"{url}/team/news.git", f"HEAD:{branch}", check=False)

    refused = push("data-scientist", "main")
    assert refused.returncode != 0
    assert "not allowed to push code to protected branches" in refused.stderr
    assert push("devops-engineer", "main").returncode == 0
    assert push("data-scientist", "idea").returncode == 0


def test_wrong_words_are_refused_in_one_sentence(cdl):
    assert cdl("forge", "token", "validator").stderr == (
        "Error: there is no forge in this home folder yet; `cdl forge up` starts one\n"
    )
    started(cdl)
    assert cdl("forge", "token", "nobody").stderr.startswith("Error: USER: found 'nobody', allowed: data-engineer, ")
    assert (
        cdl("forge", "follow", "news").stderr == "Error: PROJECT: found 'news', allowed: GROUP/NAME, as in team/news\n"
    )
