"""A source that is the rows of a query, out of a real PostgreSQL."""

from __future__ import annotations

import csv
import io
import socket

import psycopg
import pytest
from pydantic import ValidationError

from cdl.api.v1alpha1.datapipeline import Side, Source
from cdl.ports.errors import Rejected, Unavailable
from cdl.stores.sources import Sources

QUERY = "SELECT id, label, text FROM articles ORDER BY id"


@pytest.fixture
def address(shared_postgres):
    """The address of a database with two articles."""
    with psycopg.connect(shared_postgres.owner, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS articles")
        database.execute("CREATE TABLE articles (id int, label text, text text)")
        database.execute("INSERT INTO articles VALUES (2, 'tech', 'a \"phone\",\nnew'), (1, 'sport', NULL)")
    return shared_postgres.owner


def source(address, query=QUERY):
    return Source(name="articles", uri=address, query=query, side="train")


def rows(sources, wanted):
    sources.collect(wanted)
    (file,) = (p for p in sources.lay_out((wanted,), None, Side.TRAIN).rglob("*") if p.is_file())
    assert file.suffix == ".csv"
    return list(csv.reader(io.StringIO(file.read_text())))


def test_rows_become_a_csv_file_and_the_same_bytes_each_time(address, tmp_path):
    expected = [["id", "label", "text"], ["1", "sport", ""], ["2", "tech", 'a "phone",\nnew']]
    digests = set()
    for cache in ("one", "two"):
        sources = Sources(tmp_path / cache)
        assert rows(sources, source(address)) == expected
        digests.add(sources.look((source(address),))[0].digest)
    assert len(digests) == 1


def test_another_query_is_another_source(address, tmp_path):
    sources = Sources(tmp_path / "cache")
    sources.collect(source(address))
    assert sources.look((source(address, "SELECT 1 AS one;"),))[0].digest is None
    assert rows(sources, source(address, "SELECT 1 AS one;")) == [["one"], ["1"]]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELEC 1", "syntax error"),
        ("DELETE FROM articles RETURNING id", "read-only transaction"),
        ("SELECT 1) TO PROGRAM 'false' --", "syntax error"),
        ("SELECT 1 /*", "unterminated"),
        ("SELECT 1; SELECT 2", "cannot insert multiple commands"),
        ("COPY articles TO PROGRAM 'false'", "syntax error"),
        ("SET transaction_read_only = off", "syntax error"),
    ],
)
def test_a_query_that_the_database_refuses_is_one_sentence(address, tmp_path, query, sentence):
    with pytest.raises(Rejected, match=sentence) as caught:
        Sources(tmp_path / "cache").collect(source(address, query))
    assert "\n" not in str(caught.value)
    with psycopg.connect(address) as database:
        assert database.execute("SELECT count(*) FROM articles").fetchone() == (2,)


def test_a_comment_at_the_end_ends_nothing(address, tmp_path):
    assert rows(Sources(tmp_path / "cache"), source(address, "SELECT 1 AS one -- the last")) == [["one"], ["1"]]


def test_a_database_that_is_away_may_come_back(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="source articles: "):
        Sources(tmp_path / "cache").collect(source(f"postgresql://reader@127.0.0.1:{port}/news"))


@pytest.mark.parametrize(
    ("uri", "query", "sentence"),
    [
        ("postgresql://reader@host/news", "", "such an address needs a query"),
        ("https://host/news.csv", "SELECT 1", "query goes with an address that begins with postgresql://"),
        ("postgresql://reader:secret@host/news", "SELECT 1", "holds a password"),
        ("postgresql://reader@host/news?password=secret", "SELECT 1", "holds a password"),
    ],
)
def test_an_address_and_its_query_go_together(uri, query, sentence):
    with pytest.raises(ValidationError, match=sentence):
        source(uri, query)
