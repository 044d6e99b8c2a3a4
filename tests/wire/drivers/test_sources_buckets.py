"""Sources in an object store: one object, a folder of them, and what it says when it does not give them.

The store is a stand-in that knows two calls of S3's; the client, which signs and checks, is the real one.
"""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side, Source
from cdl.ports.errors import Rejected, Unavailable
from cdl.stores.sources import Buckets, Sources

OBJECTS = {
    "news/all.csv": b"a,b\n" * 1000,
    "news/bbc/sport/1.txt": b"goal",
    "news/bbc/tech/2 b.txt": b"phone",
    "news/other.txt": b"not wanted",
}


class _Store(BaseHTTPRequestHandler):
    """GetObject and ListObjectsV2 of one bucket, for who signs with its key."""

    def log_message(self, *arguments):
        """Say nothing."""

    def do_GET(self):
        at = urlsplit(self.path)
        bucket, _, key = unquote(at.path).lstrip("/").partition("/")
        signed = "Credential=reader/" in self.headers.get("authorization", "")
        if not signed:
            self._answer(403, _fault("AccessDenied"))
        elif bucket != "data":
            self._answer(404, _fault("NoSuchBucket"))
        elif not key:
            self._answer(200, _listing(parse_qs(at.query).get("prefix", [""])[0]))
        elif key == "slow.txt":
            self._answer(500, _fault("InternalError"))
        elif key not in OBJECTS:
            self._answer(404, _fault("NoSuchKey"))
        else:
            self._answer(200, OBJECTS[key])

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body)


def _fault(code):
    return f"<Error><Code>{code}</Code><Message>m</Message><Resource>r</Resource></Error>".encode()


def _listing(prefix):
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;e&quot;</ETag><Size>{len(content)}</Size></Contents>"
        for key, content in OBJECTS.items()
        if key.startswith(prefix)
    )
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return (
        f'<ListBucketResult xmlns="{space}"><Name>data</Name><Prefix>{escape(prefix)}</Prefix>'
        f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
    ).encode()


@pytest.fixture(scope="module")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Store) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def sources(address, tmp_path):
    return Sources(tmp_path / "cache", buckets=Buckets(address, "reader", "secret"))


def collected(sources, uri, **more):
    source = Source(name="articles", uri=uri, side="train", **more)
    sources.collect(source)
    folder = sources.lay_out((source,), None, Side.TRAIN)
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return sources.look((source,))[0].digest, found


def test_an_object_is_fetched_and_checked(sources):
    sha = hashlib.sha256(OBJECTS["news/all.csv"]).hexdigest()
    assert collected(sources, "s3://data/news/all.csv", sha256=sha) == (sha, {"all.csv": OBJECTS["news/all.csv"]})


def test_a_folder_is_everything_below_it_and_the_same_each_time(address, sources, tmp_path):
    digest, found = collected(sources, "s3://data/news/bbc/", unpack="tar", strip=1)
    assert found == {"sport/1.txt": b"goal", "tech/2 b.txt": b"phone"}
    again = Sources(tmp_path / "other", buckets=Buckets(address, "reader", "secret"))
    assert collected(again, "s3://data/news/bbc/", unpack="tar", strip=1)[0] == digest


@pytest.mark.parametrize(
    ("uri", "more", "sentence"),
    [
        ("s3://data/none.csv", {}, "answered NoSuchKey"),
        ("s3://elsewhere/none.csv", {}, "answered NoSuchBucket"),
        ("s3://data/none/", {}, "holds no objects"),
        ("s3://data/news/all.csv", {"sha256": "0" * 64}, "expected 000000000000…"),
        ("s3://B!/x", {}, "is no address to fetch from"),
    ],
)
def test_what_a_person_must_change_is_one_sentence(sources, uri, more, sentence):
    source = Source(name="articles", uri=uri, side="train", **more)
    with pytest.raises(Rejected, match=r"^source articles: ") as caught:
        sources.collect(source)
    assert sentence in str(caught.value)
    assert caught.value.reason is Reason.SOURCE_UNUSABLE
    assert sources.look((source,))[0].digest is None


def test_a_stranger_is_told_so(address, tmp_path):
    sources = Sources(tmp_path / "cache", buckets=Buckets(address))
    with pytest.raises(Rejected, match="answered AccessDenied"):
        sources.collect(Source(name="articles", uri="s3://data/news/all.csv", side="train"))


@pytest.mark.parametrize("uri", ["s3://data/slow.txt", "s3://data/x"])
def test_a_store_in_trouble_is_asked_again_later(address, tmp_path, uri):
    at = address if uri.endswith("slow.txt") else "http://127.0.0.1:9"
    sources = Sources(tmp_path / "cache", buckets=Buckets(at, "reader", "secret"))
    with pytest.raises(Unavailable, match="source articles: "):
        sources.collect(Source(name="articles", uri=uri, side="train"))
