"""`cdl history` and `cdl audit` on a real PostgreSQL: what people read, and what no change gets past."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from cdl.cli import main
from cdl.reconcile.record import Verb
from cdl.stores.postgres import PostgresLedger, prepare
from cdl.testing.ledger_contract import entry
from tests.wire.postgres.databases import Postgres

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("postgres") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def ledger(server, monkeypatch, tmp_path):
    server.empty()
    prepare(server.owner, server.writer)
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDL_DATABASE", server.writer)
    ledger = PostgresLedger(server.writer)
    ledger.append(
        [
            entry(
                1, at=NOW - timedelta(days=3), who="ada", verb=Verb.APPLIED, what="generation 1", revision="f00d" * 10
            ),
            entry(2, at=NOW - timedelta(days=2), what="Ready True", details={"condition": "Ready"}),
            entry(3, at=NOW - timedelta(days=2), what="Reconciling absent", details={"condition": "Reconciling"}),
            entry(4, "news-1", at=NOW, kind="Release", who="vera", verb=Verb.DECIDED, what="Approved", why="good"),
        ]
    )
    yield ledger
    ledger.close()


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def said(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.output


def refused(*words):
    answer = cdl(*words)
    assert answer.exit_code == 1, answer.output
    return answer.output.strip().splitlines()[-1].removeprefix("Error: ")


def test_the_history_of_everything_tells_who_what_and_why(ledger):
    lines = said("history").splitlines()
    assert [" ".join(line.split())[21:] for line in lines[1:]] == [
        "ada Experiment news applied generation 1 of f00df00df00d Zürich said so — twice",
        "cdl Experiment news Ready True Zürich said so — twice",
        "vera Release news-1 approved good",
    ]


def test_the_history_of_one_resource_leaves_others_out(ledger):
    assert "vera" in said("history", "release", "news-1")
    assert "vera" not in said("history", "experiment", "news")
    assert said("history", "experiment", "other") == "nothing happened that the ledger knows of\n"


def test_programs_get_every_entry_as_it_was_written(ledger):
    assert [json.loads(line)["what"] for line in said("history", "-o", "json").splitlines()] == [
        "generation 1",
        "Ready True",
        "Reconciling absent",
        "Approved",
    ]
    assert len(said("history", "--last", "1", "-o", "json").splitlines()) == 1


@pytest.mark.parametrize("since", ["24h", (NOW - timedelta(hours=1)).isoformat()])
def test_only_what_happened_since_then(ledger, since):
    assert [json.loads(line)["who"] for line in said("history", "--since", since, "-o", "json").splitlines()] == [
        "vera"
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("history", "experiment"),
            "NAME: found nothing, expected the name of a Experiment; without KIND all of it is shown",
        ),
        (
            ("history", "--since", "soon"),
            "--since: found 'soon', allowed: a time as in 2026-01-31T12:00:00Z, or how long ago, as in 24h",
        ),
        (
            ("audit", "prepare"),
            "CDL_DATABASE_OWNER: found nothing, expected an address as in postgresql://role@host/cdl",
        ),
    ],
)
def test_what_cannot_be_told_is_one_sentence(ledger, words, sentence):
    assert refused(*words) == sentence


def test_without_a_database_it_says_that_no_history_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    for words in (("history",), ("audit", "verify"), ("conformance",)):
        assert refused(*words).startswith("no history is kept here: CDL_DATABASE names no PostgreSQL")


def test_a_home_whose_database_does_not_run_says_how_to_start_it(monkeypatch, tmp_path):
    secret = tmp_path / "postgres" / "server" / "cdl_writer.pgpass"
    secret.parent.mkdir(parents=True)
    secret.write_text("*:*:*:cdl_writer:x\n")
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    assert refused("history").endswith("whose PostgreSQL does not run; `cdl run FOLDER` starts it")


def test_a_database_that_does_not_answer_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    monkeypatch.setenv("CDL_DATABASE", "postgresql://cdl_writer@127.0.0.1:1/cdl")
    assert refused("history").startswith("the database: connection failed")


def test_the_tables_are_made_by_who_may_and_once(server, ledger, monkeypatch):
    server.empty()
    monkeypatch.setenv("CDL_DATABASE_OWNER", server.owner)
    assert said("audit", "prepare") == "applied 0001_ledger.sql, 0002_labels.sql\n"
    assert said("audit", "prepare") == "the tables are up to date\n"
    assert said("audit", "verify") == "nothing was written down yet\n"


def test_an_export_can_be_checked_without_the_database_and_with_it(ledger, tmp_path, monkeypatch):
    file = tmp_path / "ledger.jsonl"
    assert said("audit", "export", "-o", file) == f"wrote 4 rows to {file}\n"
    head, *rows = map(json.loads, file.read_text().splitlines())
    assert (head["format"], head["rows"], head["head"]) == ("cdl.dev/ledger/v1", 4, rows[-1]["hash"])
    assert said("audit", "verify", file).endswith("4 rows, unbroken, and the database has them all\n")
    monkeypatch.delenv("CDL_DATABASE")
    assert said("audit", "verify", "--offline", file).endswith("4 rows, unbroken\n")


def test_a_part_of_the_history_is_a_part_of_the_chain(ledger, tmp_path):
    file = tmp_path / "ledger.jsonl"
    said("audit", "export", "--since", "24h", "-o", file)
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()[1:]] == [4]
    said("audit", "verify", file)


@pytest.mark.parametrize(
    ("line", "change", "sentence"),
    [
        (2, ("ada", "otto"), "the ledger is broken at row 1: was changed: it has another hash now"),
        (3, None, "{file}: found 3 rows, its header speaks of 4"),
        (
            1,
            ("cdl.dev/ledger/v1", "x"),
            "{file}: found no export of a ledger; `cdl audit export -o ledger.jsonl` writes one",
        ),
    ],
)
def test_a_changed_export_is_found(ledger, tmp_path, line, change, sentence):
    file = tmp_path / "ledger.jsonl"
    said("audit", "export", "-o", file)
    lines = file.read_text().splitlines()
    if change is None:
        del lines[line - 1]
    else:
        assert change[0] in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(*change)
    file.write_text("\n".join(lines) + "\n")
    assert refused("audit", "verify", file) == sentence.format(file=file)


def test_a_row_that_was_changed_behind_its_back_is_named(server, ledger, tmp_path):
    said("audit", "export", "-o", tmp_path / "before.jsonl")
    server.tamper("UPDATE cdl.ledger SET entry = replace(entry, 'vera', 'otto') WHERE number = 4")
    broken = "the ledger is broken at row 4: was changed: it has another hash now"
    assert refused("audit", "verify") == broken
    assert refused("audit", "export", "-o", tmp_path / "after.jsonl") == broken
    assert json.loads((tmp_path / "after.jsonl").read_text().splitlines()[0])["fault"].startswith("row 4")


def test_an_end_that_was_cut_off_is_found_by_an_earlier_export(server, ledger, tmp_path):
    file = tmp_path / "ledger.jsonl"
    said("audit", "export", "-o", file)
    server.tamper("DELETE FROM cdl.ledger WHERE number = 4")
    assert said("audit", "verify").startswith("3 rows, unbroken"), "of itself a shorter chain is whole"
    assert refused("audit", "verify", file) == "row 4 is missing in the database since it was exported"


def test_an_export_put_back_into_an_empty_database_is_the_same_ledger(server, ledger, tmp_path):
    file, again = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    said("audit", "export", "-o", file)
    server.empty()
    prepare(server.owner, server.writer)
    fresh = PostgresLedger(server.writer)
    fresh.append(
        [entry(1, at=NOW - timedelta(days=3), who="ada", verb=Verb.APPLIED, what="generation 1", revision="f00d" * 10)]
    )
    fresh.close()
    assert said("audit", "import", file).startswith("3 of 4 rows were written")
    said("audit", "export", "-o", again)
    assert again.read_bytes() == file.read_bytes()


def test_an_export_is_not_put_into_another_history(server, ledger, tmp_path):
    file = tmp_path / "one.jsonl"
    said("audit", "export", "-o", file)
    server.empty()
    prepare(server.owner, server.writer)
    ledger.close()
    ledger.append([entry(9)])
    assert refused("audit", "import", file).endswith("1 rows that are not how it begins; nothing was written")
    assert len([*ledger.rows()]) == 1


def test_what_waits_in_the_outbox_is_mentioned(ledger, tmp_path):
    waiting = tmp_path / "home" / "outbox"
    waiting.mkdir(parents=True)
    (waiting / "1.json").write_text(entry(7).text())
    assert "1 more wait in the outbox" in cdl("history").output
