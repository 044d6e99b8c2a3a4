"""`cdl model pull` of a checkpoint in a bucket; the store is a stand-in, the client, which signs, is the real one."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from cdl.api.canonical import canonical, digest
from cdl.api.v1alpha1 import Release
from cdl.cli import main
from cdl.local import LocalStore
from cdl.stores.artifacts import DirectoryArtifacts, pack
from cdl.testing.builders import folder, release_document

WEIGHTS = b"goal shares " * 1000
FILES = {"deep/weights 1.txt": WEIGHTS, "metadata.json": b"{}"}


class _Bucket(BaseHTTPRequestHandler):
    """GetObject of one checkpoint, for who signs with its key."""

    def log_message(self, *arguments):
        """Say nothing."""

    def do_GET(self):
        key = unquote(self.path.partition("?")[0]).removeprefix("/checkpoints/determined/u1/")
        objects = self.server.objects
        if "Credential=reader/" not in self.headers.get("authorization", ""):
            self._answer(403, b"<Error><Code>AccessDenied</Code><Message>m</Message><Resource>r</Resource></Error>")
        elif key not in objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>m</Message><Resource>r</Resource></Error>")
        else:
            self._answer(200, objects[key])

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def bucket():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Bucket) as server:
        server.objects = dict(FILES)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch, bucket):
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.setenv("CDL_HOME", str(made))
    monkeypatch.setenv("CDL_S3", f"http://127.0.0.1:{bucket.server_address[1]}")
    monkeypatch.setenv("CDL_S3_ACCESS_KEY", "reader")
    monkeypatch.setenv("CDL_S3_SECRET_KEY", "a secret of eight")
    artifacts = DirectoryArtifacts(made / "artifacts")
    packed = pack(folder(tmp_path / "code", {"serve.py": "class Model: ..."}))
    code = {"digest": f"sha256:{hashlib.sha256(packed).hexdigest()}", "uri": artifacts.keep(packed, ".tar.gz")}
    files = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in FILES.items()}
    lock = {"digest": digest({}), "uri": artifacts.keep(canonical({}), ".json")}
    document = release_document(
        "news",
        1,
        code={"model": code, "serve": code | {"entrypoint": "serve:Model"}},
        checkpoint={"uuid": "u1", "uri": "s3://checkpoints/determined/u1", "digest": digest(files), "files": files},
        environment={"python": "3.11.9", "lock": lock},
    )
    store = LocalStore(made / "resources.db")
    store.create(Release.read(document))
    yield tmp_path
    store.close()


def pull(home):
    return CliRunner().invoke(main, ["model", "pull", "news@1", str(home / "news")])


def test_weights_come_from_the_bucket_and_are_checked(home, bucket):
    answer = pull(home)
    assert answer.exit_code == 0, answer.output
    assert (home / "news" / "checkpoint" / "deep" / "weights 1.txt").read_bytes() == WEIGHTS
    assert not list((home / "news").rglob("*.part"))
    bucket.objects.clear()
    assert "holds news@1 already" in pull(home).stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda objects: objects.update({"metadata.json": b"[]"}), "has sha256"),
        (lambda objects: objects.pop("metadata.json"), "answered NoSuchKey"),
    ],
    ids=["changed", "gone"],
)
def test_what_is_not_what_was_released_leaves_no_folder_and_is_gone_on_with(home, bucket, change, said):
    change(bucket.objects)
    answer = pull(home)
    assert answer.exit_code == 1
    assert said in answer.stderr
    assert len(answer.stderr.strip().splitlines()[-1]) > len("Error: ")
    assert not (home / "news").exists()
    bucket.objects = {"metadata.json": FILES["metadata.json"]}  # the weights have arrived
    assert pull(home).exit_code == 0


def test_who_may_not_read_the_bucket_is_told_which_settings_say_who(home, monkeypatch):
    monkeypatch.setenv("CDL_S3_ACCESS_KEY", "nobody")
    answer = pull(home)
    assert answer.exit_code == 1
    assert "answered AccessDenied; CDL_S3, CDL_S3_ACCESS_KEY and CDL_S3_SECRET_KEY say where and who" in answer.stderr
