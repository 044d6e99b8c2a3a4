"""Collecting sources from web addresses."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side, Source
from cdl.ports.errors import Rejected, Unavailable
from cdl.stores.sources import Sources


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(call, *arguments) -> str:
    with pytest.raises(Rejected) as caught:
        call(*arguments)
    assert caught.value.reason is Reason.SOURCE_UNUSABLE
    assert "\n" not in str(caught.value)
    return str(caught.value)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_needs_no_data_root(web, tmp_path):
    folder, address = web
    (folder / "train.gz").write_bytes(b"images" * 100_000)
    source = Source(name="train", uri=f"{address}/train.gz", sha256=sha(b"images" * 100_000), side="train")
    sources = Sources(tmp_path / "cache")
    sources.collect(source)
    assert sources.look((source,))[0].digest == source.sha256


def test_a_mirror_is_tried_after_the_address(web, tmp_path):
    folder, address = web
    (folder / "other.gz").write_bytes(b"images")
    source = Source(
        name="train", uri=f"{address}/train.gz", sha256=sha(b"images"), side="test", mirrors=(f"{address}/other.gz",)
    )
    sources = Sources(tmp_path / "cache")
    sources.collect(source)
    assert tree(sources.lay_out((source,), None, Side.TEST)) == {"train.gz": b"images"}


def test_a_wrong_checksum_from_the_web_is_never_at_hand(web, tmp_path):
    folder, address = web
    (folder / "train.gz").write_bytes(b"tampered")
    source = Source(name="train", uri=f"{address}/train.gz", sha256=sha(b"right"), side="train")
    sources = Sources(tmp_path / "cache")
    assert "has sha256" in refused(sources.collect, source)
    assert sources.look((source,))[0].digest is None


def test_nobody_answering_is_no_fault_of_the_source(tmp_path):
    source = Source(name="train", uri="http://127.0.0.1:9/train.gz", sha256=sha(b"x"), side="train")
    with pytest.raises(Unavailable, match=r"source train: .*cannot be fetched"):
        Sources(tmp_path / "cache").collect(source)


def test_a_page_that_is_not_there_is_a_fault_of_the_source(web, tmp_path):
    source = Source(name="train", uri=f"{web[1]}/none.gz", sha256=sha(b"x"), side="train")
    assert "answered 404" in refused(Sources(tmp_path / "cache").collect, source)


def test_an_answer_that_breaks_off_is_never_at_hand(tmp_path):
    class Short(_Quiet):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")

    with ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        source = Source(name="train", uri=f"http://127.0.0.1:{server.server_port}/train.gz", side="train")
        sources = Sources(tmp_path / "cache")
        with pytest.raises(Unavailable, match="source train: "):
            sources.collect(source)
        server.shutdown()
        thread.join()
    assert sources.look((source,))[0].digest is None
