"""Acts done at once, or written down for later: a transaction is a list of requests that is run as one wave."""

import sqlite3
from contextvars import ContextVar

from cdl.embedded.pachd import views, wire
from cdl.embedded.pachd.acts import ACTS, REMOVING
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.graph import Wave
from cdl.embedded.pachd.refusals import absent, missing
from cdl.embedded.pachd.store import new_id, now
from cdl.embedded.pachd.wire import Msg

OF_CALL: ContextVar[str] = ContextVar("transaction", default="")  # what the caller's metadata name


class _RehearsedError(Exception):
    """Ends a transaction of the database that was only to be tried."""


class Desk:
    """Takes every request that a transaction may hold."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store
        self._layers = engine.layers

    def do(self, kind: str, request: Msg) -> Msg:
        """Do something now, or add it to the caller's transaction and tell what it will answer."""
        if OF_CALL.get():
            return self._add(OF_CALL.get(), kind, request)
        with self._store.write() as db:
            wave = Wave(db)
            answer = ACTS[kind](wave, request)
            wave.spread()
        if kind in REMOVING:
            self._layers.forget()
        return answer

    def _add(self, key: str, kind: str, request: Msg) -> Msg:
        """Rehearse a transaction with one more request; it is kept only when that went well."""
        kept = self._requests(self._row(key)[0])
        entry = wire.transaction.TransactionRequest()
        getattr(entry, kind).CopyFrom(request)
        answers = self._rehearse(key, [*kept, entry])
        with self._store.write() as db:
            db.execute("INSERT INTO transaction_requests VALUES (?, ?, ?)", (key, len(kept), entry.SerializeToString()))
        return answers[-1]

    def _rehearse(self, key: str, requests: list[Msg]) -> list[Msg]:
        answers: list[Msg] = []
        try:
            with self._store.write() as db:
                answers = _run(Wave(db, key), requests)
                raise _RehearsedError
        except _RehearsedError:
            return answers

    def _row(self, key: str) -> tuple[str, int]:
        row = self._store.db.execute("SELECT id, started FROM transactions WHERE id = ?", (key,)).fetchone()
        if row is None:
            raise missing(f"transaction {key} not found")
        return str(row[0]), int(row[1])

    def _requests(self, key: str) -> list[Msg]:
        rows = self._store.db.execute(
            "SELECT body FROM transaction_requests WHERE id = ? ORDER BY seq", (key,)
        ).fetchall()
        return [wire.transaction.TransactionRequest.FromString(row[0]) for row in rows]

    # -- transactions themselves --------------------------------------------------------------------------------------

    def start(self) -> Msg:
        """Open a transaction; its id will be that of the commit set."""
        key = new_id()
        with self._store.write() as db:
            db.execute("INSERT INTO transactions VALUES (?, ?)", (key, now()))
        return wire.transaction.Transaction(id=key)

    def inspect(self, key: str) -> Msg:
        """Describe a transaction with what its requests will answer."""
        found, started = self._row(key)
        requests = self._requests(found)
        return _info(found, started, requests, self._rehearse(found, requests))

    def every(self) -> list[Msg]:
        """Describe every open transaction, newest first."""
        rows = self._store.db.execute("SELECT id, started FROM transactions ORDER BY started DESC").fetchall()
        return [_info(key, started, self._requests(key), []) for key, started in rows]

    def finish(self, key: str) -> Msg:
        """Run a transaction; when it cannot be run nothing of it is done and it stays."""
        found, started = self._row(key)
        requests = self._requests(found)
        with self._store.write() as db:
            answers = _run(Wave(db, found), requests)
            _forget(db, found)
        self._layers.forget()
        return _info(found, started, requests, answers)

    def batch(self, requests: list[Msg]) -> Msg:
        """Run requests as one transaction, at once."""
        with self._store.write() as db:
            wave = Wave(db)
            answers = _run(wave, requests)
        self._layers.forget()
        return _info(wave.id, wave.at, requests, answers)

    def delete(self, key: str) -> None:
        """Forget a transaction."""
        found, _ = self._row(key)
        with self._store.write() as db:
            _forget(db, found)

    def delete_all(self) -> None:
        """Forget every transaction."""
        with self._store.write() as db:
            db.execute("DELETE FROM transactions")


def _forget(db: sqlite3.Connection, key: str) -> None:
    db.execute("DELETE FROM transactions WHERE id = ?", (key,))


def _run(wave: Wave, requests: list[Msg]) -> list[Msg]:
    """Do everything in order; what is downstream appears once, at the end."""
    answers: list[Msg] = []
    for request in requests:
        set_fields = [field.name for field, _ in request.ListFields()]
        kind = set_fields[0] if len(set_fields) == 1 else ""
        if kind not in ACTS:
            raise absent(f"a transaction's request must be one of {', '.join(sorted(ACTS))}")
        answers.append(ACTS[kind](wave, getattr(request, kind)))
    wave.spread()
    return answers


def _info(key: str, started: int, requests: list[Msg], answers: list[Msg]) -> Msg:
    responses = [{"commit": answer} if isinstance(answer, wire.pfs.Commit) else {} for answer in answers]
    return wire.transaction.TransactionInfo(
        transaction={"id": key}, requests=requests, responses=responses, started=views.stamp(started)
    )
