"""The label store in PostgreSQL: a row a label and the versions it held for, one writer a pipeline at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.labels import Spell, Stored
from cdl.reconcile.datapipeline import LabelRow

from .door import connect, translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import Dataset

    from .door import Connection

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('cdl.label ' || %(namespace)s || '/' || %(pipeline)s, 0))"
NEWEST = """
SELECT number, version FROM cdl.label_set WHERE namespace = %(namespace)s AND pipeline = %(pipeline)s
ORDER BY number DESC LIMIT 1
"""
ADD_SET = """
INSERT INTO cdl.label_set (
    namespace, pipeline, number, version, snapshot, source, train_repo, train_commit, test_repo, test_commit, at
) VALUES (
    %(namespace)s, %(pipeline)s, %(number)s, %(version)s, %(snapshot)s, %(source)s,
    %(train_repo)s, %(train_commit)s, %(test_repo)s, %(test_commit)s, %(at)s
)
"""
GIVEN = """
unnest(%(ids)s::text[], %(sides)s::text[], %(items)s::text[], %(labels)s::text[], %(annotators)s::text[],
       %(moments)s::timestamptz[]) AS given (label_id, side, item, label, annotator, labelled_at)
"""
# fixed texts, put together once; every value is a parameter
END = f"""
UPDATE cdl.label old SET until = %(number)s
WHERE old.namespace = %(namespace)s AND old.pipeline = %(pipeline)s AND old.until IS NULL AND NOT EXISTS (
    SELECT FROM {GIVEN} WHERE (given.label_id, given.label, given.annotator) = (old.label_id, old.label, old.annotator)
    AND given.labelled_at IS NOT DISTINCT FROM old.labelled_at
)
"""  # noqa: S608 - as said above
ADD = f"""
INSERT INTO cdl.label (label_id, namespace, pipeline, side, item, label, annotator, labelled_at, since)
SELECT given.label_id, %(namespace)s, %(pipeline)s, given.side, given.item, given.label, given.annotator,
       given.labelled_at, %(number)s
FROM {GIVEN} WHERE NOT EXISTS (SELECT FROM cdl.label old WHERE old.label_id = given.label_id AND old.until IS NULL)
"""  # noqa: S608 - as said above
SET = """
SELECT number, snapshot, source, min(at) OVER () FROM cdl.label_set
WHERE namespace = %(namespace)s AND pipeline = %(pipeline)s AND version = %(version)s ORDER BY number DESC LIMIT 1
"""
ROWS = """
SELECT side, item, label, annotator, labelled_at FROM cdl.label
WHERE namespace = %(namespace)s AND pipeline = %(pipeline)s
  AND since <= %(number)s AND (until IS NULL OR until > %(number)s)
ORDER BY side DESC, item COLLATE "C"
"""
HISTORY = """
SELECT l.side, l.label, l.annotator, coalesce(l.labelled_at, first.at),
       CASE l.side WHEN 'train' THEN first.train_commit ELSE first.test_commit END,
       first.version, coalesce(last.version, ''), l.label_id
FROM cdl.label l
JOIN cdl.label_set first ON (first.namespace, first.pipeline, first.number) = (l.namespace, l.pipeline, l.since)
LEFT JOIN cdl.label_set last ON (last.namespace, last.pipeline, last.number) = (l.namespace, l.pipeline, l.until)
WHERE l.label_id = ANY(%(ids)s) ORDER BY l.side DESC, l.since
"""


class PostgresLabels:
    """A LabelStore; threads may share one."""

    def __init__(self, address: str) -> None:
        """Name the database and the role that adds; nobody is asked yet."""
        self._address = address

    def newest(self, owner: Key) -> str:
        """Give the digest of the dataset version that was stored last; empty: none was."""
        with connect(self._address) as connection, translated():
            return _newest(connection, _of(owner))[1]

    def store(
        self, owner: Key, dataset: Dataset, source: str, rows: Mapping[Side, Sequence[LabelRow]], at: datetime
    ) -> None:
        """Make a dataset version the newest, with these labels, all or none; see the port."""
        asked = {**_of(owner), **_set(dataset, source, at), **_columns(owner, rows)}
        with connect(self._address) as connection, translated(), connection.transaction():
            connection.execute(LOCK, asked)
            number, version = _newest(connection, asked)
            if version == dataset.version:
                return
            asked["number"] = number + 1
            for statement in (ADD_SET, END, ADD):
                connection.execute(statement, asked)

    def stored(self, owner: Key, version: str) -> Stored | None:
        """Give the labels of a dataset version by its digest; None: it was never stored."""
        asked = {**_of(owner), "version": version}
        with connect(self._address) as connection, translated(), connection.transaction():
            found = connection.execute(SET, asked).fetchone()
            if found is None:
                return None
            asked["number"], snapshot, source, at = found
            rows: dict[Side, list[LabelRow]] = {side: [] for side in Side}
            for side, item, label, annotator, moment in connection.execute(ROWS, asked):
                rows[Side(side)].append(LabelRow(item, label, annotator, moment))
        return Stored(version, snapshot, source, at, {side: tuple(given) for side, given in rows.items()})

    def history(self, owner: Key, item: str) -> tuple[Spell, ...]:
        """Give how an item was labelled, the first label first; train before test."""
        ids = [_label_id(owner, side, item) for side in Side]
        with connect(self._address) as connection, translated():
            found = connection.execute(HISTORY, {"ids": ids}).fetchall()
        return tuple(Spell(Side(side), *rest) for side, *rest in found)


def _newest(connection: Connection, asked: Mapping[str, Any]) -> tuple[int, str]:
    found = connection.execute(NEWEST, asked).fetchone()
    return (int(found[0]), str(found[1])) if found else (0, "")


def _of(owner: Key) -> dict[str, Any]:
    return {"namespace": owner.namespace, "pipeline": owner.name}


def _set(dataset: Dataset, source: str, at: datetime) -> dict[str, Any]:
    return {
        "version": dataset.version,
        "snapshot": dataset.labels.snapshot,
        "source": source,
        "train_repo": dataset.train.repo,
        "train_commit": dataset.train.commit,
        "test_repo": dataset.test.repo,
        "test_commit": dataset.test.commit,
        "at": at,
    }


def _columns(owner: Key, rows: Mapping[Side, Sequence[LabelRow]]) -> dict[str, list[Any]]:
    given = [(side, row) for side in Side for row in rows.get(side, ())]
    return {
        "ids": [_label_id(owner, side, row.item) for side, row in given],
        "sides": [side.value for side, _ in given],
        "items": [row.item for _, row in given],
        "labels": [row.label for _, row in given],
        "annotators": [row.annotator for _, row in given],
        "moments": [row.at for _, row in given],
    }


def _label_id(owner: Key, side: Side, item: str) -> str:
    named = f"{owner.namespace}/{owner.name}/{side.value}/{item}"  # only the last part may hold a slash
    return hashlib.sha256(named.encode()).hexdigest()[:32]
