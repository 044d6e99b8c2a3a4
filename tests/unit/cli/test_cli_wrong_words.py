"""What cannot be done is said in one sentence, whichever verb was asked."""

import pytest
from click.testing import CliRunner

from cdl.cli import main


def spoken(*words):
    answer = CliRunner().invoke(main, words)
    assert answer.exit_code == 1, answer
    assert isinstance(answer.exception, SystemExit), answer.exception
    assert len(answer.output.splitlines()) == 1, answer.output
    return answer.output


@pytest.mark.parametrize("words", [("get",), ("doctor",), ("stop",), ("apply", "."), ("logs", "operator")])
def test_a_home_that_is_a_file(words, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a letter")
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    assert "home', which is a file, allowed: a folder" in spoken(*words)


def test_the_log_of_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    assert spoken("logs", "experiment", "nope") == "Error: Experiment nope: not found in namespace default\n"
    assert "a release runs nothing" in spoken("logs", "release", "news-1")


def test_a_decision_without_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    assert "--reason: found nothing" in spoken("reject", "news-1", "--reason", " ")


def test_stopping_where_nothing_ever_ran_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    answer = CliRunner().invoke(main, ("stop",))
    assert (answer.exit_code, answer.output) == (0, "nothing was running\n")
    assert not (tmp_path / "home").exists()
