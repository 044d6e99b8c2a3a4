"""The ledger contract, kept by the real PostgreSQL; and what nobody can do to it."""

from __future__ import annotations

import psycopg
import pytest

from cdl.ports.errors import NotPermitted, Rejected, Unavailable
from cdl.reconcile.record import RELEASE_DETAIL
from cdl.stores.postgres import PostgresLedger, prepare
from cdl.testing.ledger_contract import LedgerContract, entry, texts


class TestPostgresLedger(LedgerContract):
    @pytest.fixture
    def engine(self, ledger, postgres):
        ledger.server = postgres
        return ledger

    def change(self, engine, number, entry):
        engine.server.tamper("UPDATE cdl.ledger SET entry = %s WHERE number = %s", entry, number)


def execute(address, statement, *values):
    with psycopg.connect(address, autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()


@pytest.mark.parametrize("role", ["cdl_writer", "cdl_owner"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cdl.ledger SET entry = entry",
        "DELETE FROM cdl.ledger",
        "TRUNCATE cdl.ledger CASCADE",
        "UPDATE cdl.release SET digest = ''",
        "DELETE FROM cdl.release",
        "TRUNCATE cdl.release",
    ],
)
def test_nobody_changes_or_removes_a_row(postgres, ledger, role, statement):
    ledger.append([entry(1), entry(2, details={RELEASE_DETAIL: {}})])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(postgres.address(role), statement)
    assert len(tuple(ledger.rows())) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO cdl.ledger (number, key, entry, previous, hash) VALUES (7, '', '{}', '', '')",
        "INSERT INTO cdl.release VALUES (1, '', '', '', now(), '{}')",
        "INSERT INTO cdl.migration (name, sha256) VALUES ('', '')",
        "ALTER TABLE cdl.ledger DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE cdl.ledger",
        "CREATE TABLE cdl.mine (number int)",
        "CREATE TABLE public.mine (number int)",
        "CREATE TEMPORARY TABLE mine (number int)",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_the_role_that_writes_may_add_and_read_and_no_more(postgres, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(postgres.writer, statement)


@pytest.mark.parametrize(
    ("damage", "number", "what"),
    [
        ("DELETE FROM cdl.ledger WHERE number = 3", 3, "is missing"),
        ("UPDATE cdl.ledger SET hash = repeat('1', 64) WHERE number = 3", 3, "was changed"),
        ("UPDATE cdl.ledger SET number = 9 WHERE number = 5", 5, "is missing"),
        ("DELETE FROM cdl.release", 2, "is missing in the table of Releases"),
        ("UPDATE cdl.release SET document = '{}'", 2, "differs in the table of Releases"),
        ("INSERT INTO cdl.release VALUES (4, '', '', '', now(), '{}')", 4, "was put into the table of Releases"),
        # whoever makes the hash fit again breaks the next row
        (
            """UPDATE cdl.ledger SET entry = upper(entry), hash =
            encode(sha256(decode(previous, 'hex') || convert_to(upper(entry), 'UTF8')), 'hex') WHERE number = 3""",
            4,
            "does not follow row 3",
        ),
    ],
)
def test_damage_behind_its_back_is_found_and_named(postgres, ledger, damage, number, what):
    ledger.append([entry(n, details={RELEASE_DETAIL: {"n": n}} if n == 2 else {}) for n in range(1, 6)])
    assert ledger.fault() is None
    postgres.tamper(damage)
    fault = ledger.fault()
    assert (fault.number, fault.what[: len(what)]) == (number, what)


def test_many_pages_are_read_in_order(ledger):
    told = [entry(n) for n in range(1101)]
    ledger.append(told)
    assert texts(tuple(ledger.rows())) == [one.text() for one in told]


def test_two_processes_write_one_chain(postgres, ledger):
    other = PostgresLedger(postgres.writer)
    for n in range(5):
        ledger.append([entry(n)])
        other.append([entry(n), entry(n, "other")])
    other.close()
    assert len(tuple(ledger.rows())) == 10
    assert ledger.fault() is None


def test_a_cut_connection_is_opened_again(postgres, ledger):
    ledger.append([entry(1)])
    execute(postgres.owner, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cdl_writer'")
    with pytest.raises(Unavailable):
        ledger.append([entry(2)])
    ledger.append([entry(2)])
    assert len(tuple(ledger.rows())) == 2


def test_preparing_twice_changes_nothing(postgres):
    assert prepare(postgres.owner, postgres.writer) == ()


def test_a_migration_that_changed_is_refused(postgres):
    postgres.tamper("UPDATE cdl.migration SET sha256 = 'other'")
    with pytest.raises(Rejected, match=r"0001_ledger\.sql was applied with another content"):
        prepare(postgres.owner, postgres.writer)


def test_a_writer_that_is_no_role_is_refused_and_nothing_is_left_half_done(postgres):
    postgres.empty()
    with pytest.raises(Rejected, match="found the user 'nobody'"):
        prepare(postgres.owner, f"postgresql://nobody@127.0.0.1:{postgres.port}/cdl")
    with pytest.raises(Rejected, match="`cdl audit prepare` makes them"):
        PostgresLedger(postgres.writer).append([entry(1)])


def test_the_writer_cannot_make_tables(postgres):
    postgres.empty()
    with pytest.raises(NotPermitted):
        prepare(postgres.writer, postgres.writer)


@pytest.mark.parametrize("address", ["postgresql://cdl_writer@127.0.0.1:{port}/cdl", "nonsense"])
def test_without_the_password_or_an_address_nobody_gets_in(postgres, address):
    with pytest.raises((Unavailable, Rejected)):
        next(PostgresLedger(address.format(port=postgres.port)).rows())
