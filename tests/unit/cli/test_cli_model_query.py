"""`cdl model query`: one SELECT over all versions, and nothing but that."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner

from cdl.api.v1alpha1 import Release
from cdl.cli import main
from cdl.local import LocalStore
from cdl.local.question import query
from cdl.ports.errors import Rejected
from cdl.testing.builders import release, release_document


def members(version):
    return {
        "experiment": {"run": str(version), "trial": 3, "metric": 0.5, "hparams": {"rate": 0.1 * version, "deep": [1]}},
        "data": {"version": "sha256:d", "pipeline": "news"},
        "checkpoint": {"uuid": f"c{version}", "files": {"w.bin": "sha256:w"}},
        "evaluation": {"metrics": {"accuracy": version / 10, "loss": 1.0}},
    }


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    store = LocalStore(tmp_path / "resources.db")
    for version in (1, 2, 3):
        store.create(Release.read(release_document("news", version, **members(version))))
    other = release_document("olds", 1, **members(9))
    store.create(Release.read(other | {"metadata": {**other["metadata"], "namespace": "team"}}))
    yield tmp_path
    store.close()


def cdl(*words):
    return CliRunner().invoke(main, ["model", "query", *words])


def answered(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(question, **limits):
    with pytest.raises(Rejected) as refusal:
        query([release("news", 1, **members(1))], question, **limits)
    return str(refusal.value)


def test_versions_are_joined_with_what_was_measured_of_them(home):
    asked = (
        "SELECT r.name, m.value AS accuracy, h.value AS rate FROM releases r JOIN metrics m ON m.release = r.name "
        "JOIN hyperparameters h ON h.release = r.name AND h.name = 'rate' "
        "WHERE m.name = 'accuracy' AND r.approval = 'Pending' ORDER BY accuracy DESC LIMIT 2"
    )
    assert json.loads(answered(asked, "-o", "json")) == [
        {"name": "olds-1", "accuracy": 0.9, "rate": pytest.approx(0.9)},
        {"name": "news-3", "accuracy": 0.3, "rate": pytest.approx(0.3)},
    ]


def test_a_namespace_narrows_it_down(home):
    assert json.loads(answered("SELECT count(*) AS n FROM releases", "-n", "team", "-o", "json")) == [{"n": 1}]


def test_tables_are_printed_for_people_and_lines_for_programs(home):
    assert "news-2" in answered("SELECT name FROM releases")
    assert answered("SELECT name FROM releases WHERE version > 7").strip() == "no rows"
    rows = list(csv.reader(io.StringIO(answered("SELECT path, digest FROM files LIMIT 1", "-o", "csv"))))
    assert rows == [["path", "digest"], ["w.bin", "sha256:w"]]


def test_every_member_is_there_as_a_document(home):
    (found,) = json.loads(
        answered(
            "SELECT json_extract(document, '$.run') AS run FROM members WHERE release = 'news-2' "
            "AND member = 'experiment'",
            "-o",
            "json",
        )
    )
    assert found == {"run": "2"}


def test_an_empty_home_has_the_same_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    assert json.loads(answered("SELECT count(*) AS n FROM metrics", "-o", "json")) == [{"n": 0}]


@pytest.mark.parametrize(
    "question",
    [
        "DELETE FROM releases",
        "INSERT INTO metrics VALUES ('a', 'b', 1)",
        "CREATE TABLE t (a)",
        "PRAGMA table_info(releases)",
        "ATTACH DATABASE '/etc/passwd' AS p",
        "SELECT 1; DROP TABLE releases",
        "SELECT load_extension('x')",
        "VACUUM INTO '/tmp/x'",
        "BEGIN",
        "EXPLAIN DELETE FROM releases",
        "",
        "-- nothing",
    ],
)
def test_anything_but_one_select_is_refused(question):
    assert "allowed: one SELECT" in refused(question)


def test_what_cannot_be_understood_names_what_there_is():
    message = refused("SELECT nome FROM releases")
    assert message.startswith("the question: no such column: nome; there are releases(name, namespace, model")
    assert "metrics(release, name, value)" in message


def test_a_question_without_end_ends():
    forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert "takes longer than 0.1 s" in refused(forever, seconds=0.1)


def test_an_answer_without_end_is_refused():
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n"
    assert "more than 100000 rows" in refused(many)


def test_columns_of_one_name_are_told_apart_and_bytes_are_text():
    columns, rows = query([], "SELECT 1 AS a, 2 AS a, x'00ff' AS b, 9e999 AS c")
    assert (columns, rows) == (("a", "a_2", "b", "c"), [(1, 2, "00ff", "inf")])


def test_a_refusal_is_one_line_and_a_failure(home):
    answer = cdl("DROP TABLE releases")
    assert answer.exit_code == 1
    assert answer.stderr == "Error: the question: found 'DROP TABLE releases', allowed: one SELECT that only reads\n"
