"""What `cdl init` writes, refuses, and leaves alone."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
from click.testing import CliRunner

from cdl.cli import main
from cdl.cli.init import DOT, EVERY, TEMPLATES, shipped
from cdl.kube.rbac import PEOPLE
from tests.architecture.tree import ROOT, imports, modules, offenders

KNOWN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"} | {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "Ada", "EMAIL": "ada@example.org"}.items()
}
NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "EMAIL": ""}


def init(*words, env=None):
    return CliRunner().invoke(main, ["init", *map(str, words)], env=env or KNOWN)


@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_of_the_template_is_left_to_fill_in(tmp_path, template):
    made = init("seven-day-news", "--template", template, "--into", tmp_path / "x", "--no-git")
    assert made.exit_code == 0, made.output
    files = [path for path in (tmp_path / "x").rglob("*") if path.is_file()]
    assert f"wrote {len(files)} files" in made.output
    assert [path for path in files if re.search(r"@[A-Z]+@", path.read_text())] == []
    assert [path for path in files if path.name.startswith(DOT)] == []
    assert not (tmp_path / "x" / ".git").exists()
    for name in ("resources/datapipeline.yaml", "resources/experiment.yaml", "resources/modeldeployment.yaml"):
        assert 'name: "seven-day-news"' in (tmp_path / "x" / name).read_text()


@pytest.mark.parametrize("name", ["123", "true", "1e5", "n" * 32])
def test_a_name_stays_a_name_whatever_yaml_would_make_of_it(tmp_path, name):
    assert init(name, "--template", "table", "--into", tmp_path / "x", "--no-git").exit_code == 0
    answer = CliRunner().invoke(main, ["validate", str(tmp_path / "x")])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("name", ["News", "-news", "news-", "my_news", "a/b", "..", "", "ü", "n" * 33])
def test_a_wrong_name_is_refused_in_a_sentence(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    answer = init("--template", "text", "--", name)
    assert answer.exit_code == 1
    assert answer.output == (
        f"Error: NAME: found {name!r}, allowed: at most 32 small letters, digits and hyphens, "
        "with a letter or digit at both ends\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "README.md").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for taken in (["news"], ["news", "--into", "news/README.md"], ["news", "--into", "link"]):
        answer = init(*taken, "--template", "text")
        assert answer.exit_code == 1
        assert answer.output.endswith("something is there already, allowed: a new folder, or an empty one\n")
    assert (tmp_path / "news" / "README.md").read_text() == "mine"
    assert list((tmp_path / "empty").iterdir()) == []
    assert init("news", "--into", "empty", "--template", "text").exit_code == 0


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    answer = init("news", "--template", "text", "--into", tmp_path / "file" / "news")
    assert answer.exit_code == 1
    assert answer.output == f"Error: {tmp_path}/file/news: cannot be written: Not a directory\n"


def test_the_first_commit_holds_everything(tmp_path):
    assert init("news", "--template", "image", "--into", tmp_path / "x").exit_code == 0
    git = ["git", "-C", str(tmp_path / "x")]
    assert subprocess.run([*git, "status", "--porcelain"], capture_output=True, check=True).stdout == b""
    branch = subprocess.run([*git, "branch", "--show-current"], capture_output=True, text=True, check=True).stdout
    assert branch == "main\n"


def test_without_a_name_for_the_author_the_files_are_there_all_the_same(tmp_path):
    answer = init("news", "--template", "text", "--into", tmp_path / "x", env=NOBODY | {"HOME": str(tmp_path)})
    assert answer.exit_code == 0
    assert "the files are there, the first commit is yours to make" in answer.output
    assert (tmp_path / "x" / "README.md").is_file()


def test_a_machine_without_git_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = init("news", "--template", "text", "--into", tmp_path / "x")
    assert answer.exit_code == 0
    assert "found no git, so this is no repository yet" in answer.output


def test_every_role_is_asked_for_a_review_of_something(tmp_path):
    init("news", "--template", "text", "--into", tmp_path / "x", "--no-git")
    lines = (tmp_path / "x" / "CODEOWNERS").read_text().splitlines()
    asked = {word for line in lines if not line.startswith("#") for word in line.split() if word.startswith("@")}
    assert asked == {f"@{role}s" for role in PEOPLE}
    paths = [line.split()[0] for line in lines if line.startswith("/")]
    assert [path for path in paths if not (tmp_path / "x" / path.strip("/")).exists()] == []


def test_the_wheel_holds_the_templates():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert shipped("templates") == ROOT / "templates"
    assert wheel["sources"]["templates"] == "cdl/_templates"
    assert {path.name for path in shipped("templates").iterdir()} == {EVERY, *TEMPLATES}


def test_a_new_project_imports_the_training_kit_at_most():
    def others(path):
        return {
            name for name in imports(path) if name.startswith("cdl.") and not f"{name}.".startswith("cdl.training.")
        }

    assert len(modules("templates")) > 8
    assert offenders(modules("templates"), others) == {}
