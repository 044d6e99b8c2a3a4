"""The embedded PostgreSQL: private, gone with its parent, and whole after any death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from cdl.embedded.postgres import folder
from cdl.embedded.postgres.folder import Folder, PostgresError
from cdl.stores.postgres import PostgresLedger, prepare
from cdl.testing.ledger_contract import entry, texts
from tests.wire.postgres.databases import ROLES, Postgres


@pytest.fixture
def server(tmp_path):
    server = Postgres(tmp_path / "data")
    server.start()
    yield server
    server.stop()


def test_only_loopback_and_only_with_passwords_that_only_we_can_read(server):
    heard = [c.laddr for c in psutil.Process(server.pid()).net_connections("all") if c.status == psutil.CONN_LISTEN]
    assert [tuple(address) for address in heard] == [("127.0.0.1", server.port)]
    secrets = [server.data / "server" / f"{role}.pgpass" for role in ROLES]
    assert [secret.stat().st_mode & 0o777 for secret in secrets] == [0o600, 0o600]
    words = [secret.read_text().strip().rpartition(":")[2] for secret in secrets]
    assert len(set(words)) == 2
    assert min(map(len, words)) >= 24
    told = [" ".join(process.cmdline()) for process in psutil.Process(server.process.pid).children(recursive=True)]
    assert not any(word in line for word in words for line in told)


@pytest.mark.parametrize("whom", ["the one that looks after it", "the server itself"])
def test_a_kill_loses_nothing_that_was_acknowledged(server, whom):
    prepare(server.owner, server.writer)
    ledger, told = PostgresLedger(server.writer), [entry(n) for n in range(20)]
    for one in told:
        ledger.append([one])
    server.kill(server.pid() if whom == "the server itself" else None)
    server.start()
    assert texts(tuple(ledger.rows())) == [one.text() for one in told]
    assert ledger.fault() is None
    ledger.close()


def test_a_killed_servers_number_that_is_somebody_elses_by_now_is_no_hindrance(server):
    server.kill()
    record = server.data / "server/cluster/postmaster.pid"
    record.write_text(f"{os.getpid()}\n{record.parent}\n")
    server.start()
    assert server.pid() != os.getpid()


def test_a_start_that_was_cut_off_is_begun_again(tmp_path):
    half = tmp_path / "data" / "new" / "cluster"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = Postgres(tmp_path / "data")
    server.start()
    assert prepare(server.owner, server.writer) != ()
    server.stop()


def test_a_folder_is_used_by_one_server_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "WAIT_SECONDS", 0)
    second = Folder(tmp_path).held()
    with Folder(tmp_path).held(), pytest.raises(PostgresError, match="is in use by another server"):
        second.__enter__()


def test_the_folder_of_another_release_is_refused_in_one_sentence(server):
    server.stop()
    (server.data / "server/cluster/PG_VERSION").write_text("12\n")
    command = [sys.executable, "-m", "cdl.embedded.postgres", "--data", str(server.data), "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "was made by PostgreSQL 12, this one is 18" in done.stderr


def test_it_ends_when_asked_also_while_somebody_is_connected(server):
    prepare(server.owner, server.writer)
    ledger = PostgresLedger(server.writer)
    ledger.append([entry(1)])
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    server.process.stdout.close()
    server.process = None
    ledger.close()
