"""What leaves a job for elsewhere: into a bucket, and as rows into a real PostgreSQL; secrets by their names alone."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from pachyderm_sdk.api import pfs, pps

from tests.wire.postgres.databases import Postgres

from .refusals import eventually, refused


class _Store(BaseHTTPRequestHandler):
    """PutObject of one bucket, for who signs with its key."""

    def log_message(self, *arguments):
        """Say nothing."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        if "Credential=writer/" not in self.headers.get("authorization", ""):
            return self._answer(403, "AccessDenied")
        if bucket not in self.server.buckets:
            return self._answer(404, "NoSuchBucket")
        self.server.buckets[bucket][key] = body
        return self._answer(200)

    def _answer(self, status, code=""):
        body = f"<Error><Code>{code}</Code><Message>m</Message><Resource>r</Resource></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", '"e"')
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def store():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Store) as server:
        server.buckets = {"models": {}}
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("egress") / "data")
    server.start()
    yield server
    server.stop()


def secret(server, name, **values):
    server.client.pps.create_secret(name=name, data=values)


def address(store, prefix="out", bucket="models"):
    return f"s3://{bucket}/{prefix}?endpoint=127.0.0.1:{store.server_port}&disableSSL=true&region=here"


def test_a_job_puts_its_output_into_a_bucket(own_pachd, store):
    server = own_pachd()
    secret(server, "pachyderm-storage-secret", AMAZON_ID="writer", AMAZON_SECRET="hidden")
    repo = server.repo("raw")
    large = hashlib.shake_256(b"large").digest(300_000)
    server.put(repo, {"/a b.txt": b"1", "/large": large})
    script = "mkdir -p /pfs/out/d; cp /pfs/in/* /pfs/out/d/"
    pipeline = server.pipeline(repo, script, glob="/", egress=pps.Egress(object_storage=_storage(address(store))))
    job = server.job(pipeline)
    assert (pps.JobState(job.state).name, job.reason) == ("JOB_SUCCESS", "")
    assert store.buckets["models"] == {"out/d/a b.txt": b"1", "out/d/large": large}


def test_a_bucket_that_says_no_is_told_in_its_words(own_pachd, store):
    server = own_pachd()
    commit = server.put(server.repo("raw"), {"/a": b"1"})

    def go(url):
        return server.client.pfs.egress(commit=commit, object_storage=_storage(url))

    assert "egress to s3://models/out failed: " in refused(go, address(store))[1]
    assert "answered AccessDenied" in refused(go, address(store))[1]
    secret(server, "pachyderm-storage-secret", AMAZON_ID="writer", AMAZON_SECRET="hidden")
    assert "answered NoSuchBucket" in refused(go, address(store, bucket="others"))[1]
    assert go(address(store)).object_storage.bytes_written == 1
    assert refused(go, "s3://me:key@models/x")[0] == "INVALID_ARGUMENT"
    assert "key@" not in refused(go, "s3://me:key@models/x")[1]
    assert "answered" not in str(store.buckets)


def _storage(url):
    return pfs.ObjectStorageEgress(url=url)


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(database):
    """Two tables, one with a row that has to go."""
    with psycopg.connect(database.owner, autocommit=True) as sql:
        sql.execute("DROP TABLE IF EXISTS words, marks")
        sql.execute("CREATE TABLE words (word text, times int); CREATE TABLE marks (name text PRIMARY KEY, mark float)")
        sql.execute("INSERT INTO words VALUES ('old', 1)")
        yield lambda table: sorted(sql.execute(f"SELECT * FROM {table}").fetchall())


def rows(database, form, *columns, key="password", url=""):
    where = url or f"postgresql://cdl_owner@127.0.0.1:{database.port}/cdl"
    made = pfs.SqlDatabaseEgressFileFormat(type=pfs.SqlDatabaseEgressFileFormatType[form], columns=list(columns))
    return pfs.SqlDatabaseEgress(
        url=where, file_format=made, secret=pfs.SqlDatabaseEgressSecret(name="sql", key=key) if key else None
    )


def password(database):
    """The owner's, as its password file has it: host:port:database:user:password."""
    return (database.data / "server" / "cdl_owner.pgpass").read_text().strip().split(":")[-1]


def test_a_job_replaces_the_rows_of_tables(own_pachd, database, tables):
    server = own_pachd()
    secret(server, "sql", password=password(database))
    repo = server.repo("raw")
    server.put(repo, {"/words/1": b'a,1\n"b,c",2\n', "/words/2": b"d,\n"})
    script = "cp -r /pfs/in/words /pfs/out/"
    pipeline = server.pipeline(repo, script, glob="/", egress=pps.Egress(sql_database=rows(database, "CSV")))
    assert pps.JobState(server.job(pipeline).state).name == "JOB_SUCCESS"
    assert tables("words") == [("a", 1), ("b,c", 2), ("d", None)]


def test_rows_of_several_tables_are_written_together_or_not_at_all(own_pachd, database, tables):
    server = own_pachd()
    secret(server, "sql", password=password(database))
    good = server.put(server.repo("good"), {"/marks/1": b'{"mark": 1.5, "name": "x", "more": 1}\n{"name": "y"}'})
    bad = server.put(server.repo("bad"), {"/marks/1": b'{"name": "z"}', "/nowhere/1": b'{"name": "z"}'})

    def go(commit, **other):
        return server.client.pfs.egress(commit=commit, sql_database=rows(database, "JSON", "name", "mark", **other))

    assert go(good).sql_database.rows_written == {"marks": 2}
    assert tables("marks") == [("x", 1.5), ("y", None)]
    assert 'relation "nowhere" does not exist' in refused(go, bad)[1]
    assert tables("marks") == [("x", 1.5), ("y", None)]
    assert "has no key 'other'" in refused(go, good, key="other")[1]
    open_password = f"postgresql://me:pass@127.0.0.1:{database.port}/cdl"
    assert refused(go, good, url=open_password)[0] == "INVALID_ARGUMENT"
    said = refused(go, good, key="", url=f"postgresql://nobody@127.0.0.1:{database.port}/cdl")
    assert "failed: " in said[1]


def test_a_job_says_why_its_rows_are_not_written_yet(own_pachd, database, tables):
    server = own_pachd()
    secret(server, "sql", password=password(database))
    repo = server.repo("raw")
    server.put(repo, {"/later/1": b"a\n"})
    egress = pps.Egress(sql_database=rows(database, "CSV"))
    pipeline = server.pipeline(repo, "cp -r /pfs/in/later /pfs/out/", glob="/", egress=egress)
    eventually(lambda: 'relation "later" does not exist' in server.job(pipeline, wait=False).reason, 60)
    assert pps.JobState(server.job(pipeline, wait=False).state).name == "JOB_EGRESSING"
    assert password(database) not in server.job(pipeline, wait=False).reason
    with psycopg.connect(database.owner, autocommit=True) as sql:
        sql.execute("DROP TABLE IF EXISTS later; CREATE TABLE later (word text)")
    job = server.job(pipeline)
    assert (pps.JobState(job.state).name, job.reason) == ("JOB_SUCCESS", "")
    assert tables("later") == [("a",)]
