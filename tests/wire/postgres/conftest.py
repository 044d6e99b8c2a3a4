"""One server for the tests that do not break it."""

from __future__ import annotations

import pytest

from cdl.stores.postgres import PostgresLedger, prepare
from tests.wire.postgres.databases import Postgres


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("postgres") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres(shared_postgres):
    """The server with fresh tables."""
    shared_postgres.empty()
    prepare(shared_postgres.owner, shared_postgres.writer)
    return shared_postgres


@pytest.fixture
def ledger(postgres):
    ledger = PostgresLedger(postgres.writer)
    yield ledger
    ledger.close()
