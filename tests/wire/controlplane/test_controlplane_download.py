"""Official programs are fetched whole, checked, and put in place at once; what is wrong is said in one sentence."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from cdl.embedded.controlplane import download
from cdl.embedded.controlplane.binaries import ControlPlaneError, cache
from cdl.embedded.controlplane.download import Wish, fetch, fetch_manager

ARCHITECTURE = download.architecture()
INDEX = "/raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"


def archive(**programs):
    """An archive as envtest publishes it: programs in a folder of some name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        for name, text in {"README": "words", **programs}.items():
            member = tarfile.TarInfo(f"controller-tools/envtest/{name.replace('_', '-')}")
            member.size = len(text)
            made.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


class Mirror:
    """Serves what it is given, and may break off."""

    def __init__(self):
        self.files = {}
        self.short = {}
        """Path: how many answers break off before the end."""
        self.asked = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
                content = mirror.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if mirror.short.get(self.path, 0) > 0:
                    mirror.short[self.path] -= 1
                    content = content[: len(content) // 2]
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def publish(self, version, content=None, **changed):
        """Publish a release, and give the path of its archive."""
        content = archive(etcd="E", kube_apiserver=f"A {version}", kubectl="K") if content is None else content
        path = f"/github.com/releases/envtest-{version}.tar.gz"
        entry = {"hash": hashlib.sha512(content).hexdigest(), "selfLink": f"https:/{path}", **changed}
        name = f"envtest-{version}-linux-{ARCHITECTURE}.tar.gz"
        index = yaml.safe_load(self.files.get(INDEX, b"releases: {}"))
        index["releases"].setdefault(version, {})[name] = entry
        index["releases"][version][f"envtest-{version}-plan9-{ARCHITECTURE}.tar.gz"] = {"hash": "0", "selfLink": ""}
        manager = f"/dl.k8s.io/release/{version}/bin/linux/{ARCHITECTURE}/kube-controller-manager"
        program = f"M {version}".encode()
        self.files |= {
            path: content,
            INDEX: yaml.safe_dump(index).encode(),
            manager: program,
            f"{manager}.sha256": f"{hashlib.sha256(program).hexdigest()}  kube-controller-manager\n".encode(),
        }
        return path, manager


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Mirror()
    yield made
    made.close()


def brought(mirror, version=""):
    return fetch(Wish(mirror.address, version), lambda _: None)


def left():
    """What lies in the cache, locks apart."""
    return sorted(path.name for path in cache().glob("[!.]*"))


def test_the_newest_final_release_is_fetched_and_can_be_run(mirror):
    for version in ("v1.9.0", "v1.31.0", "v1.30.4", "v1.32.0-rc.1"):
        mirror.publish(version)
    folder = brought(mirror)
    assert folder == cache() / "v1.31.0"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "etcd": "E",
        "kube-apiserver": "A v1.31.0",
        "kubectl": "K",
        "kube-controller-manager": "M v1.31.0",
    }
    assert all(path.stat().st_mode & 0o777 == 0o555 for path in folder.iterdir())
    assert left() == ["v1.31.0"]


def test_what_is_there_is_not_fetched_again(mirror):
    path, manager = mirror.publish("v1.30.0")
    brought(mirror)
    brought(mirror)
    assert mirror.asked.count(path) == 1
    assert mirror.asked.count(manager) == 1


def test_a_wished_version_is_fetched(mirror):
    mirror.publish("v1.30.0")
    mirror.publish("v1.31.0")
    assert brought(mirror, "v1.30.0").name == "v1.30.0"
    with pytest.raises(ControlPlaneError, match=r"no release v1.29.0 for linux-\w+; it has v1.30.0, v1.31.0$"):
        brought(mirror, "v1.29.0")


def test_a_wrong_checksum_leaves_nothing(mirror):
    path, _ = mirror.publish("v1.30.0", hash="0" * 128)
    with pytest.raises(ControlPlaneError, match=r"has another checksum than promised \(sha512 \w{12}…, not 0{12}…\)$"):
        brought(mirror)
    assert mirror.asked.count(path) == download.TRIES
    assert left() == []


def test_a_wrong_checksum_of_the_controller_manager_leaves_nothing(mirror):
    _, manager = mirror.publish("v1.30.0")
    mirror.files[f"{manager}.sha256"] = b""
    with pytest.raises(ControlPlaneError, match="kube-controller-manager has another checksum than promised"):
        brought(mirror)
    assert left() == []


def test_an_answer_that_breaks_off_is_asked_for_again(mirror):
    path, _ = mirror.publish("v1.30.0")
    mirror.short[path] = 1
    assert (brought(mirror) / "etcd").read_text() == "E"


def test_answers_that_keep_breaking_off_leave_nothing(mirror):
    path, _ = mirror.publish("v1.30.0")
    mirror.short[path] = 99
    with pytest.raises(ControlPlaneError, match=r"envtest-v1.30.0.tar.gz (broke off|has another checksum)"):
        brought(mirror)
    assert left() == []


def test_a_list_that_breaks_off_is_said(mirror):
    mirror.publish("v1.30.0")
    mirror.short[INDEX] = 99
    with pytest.raises(ControlPlaneError, match=r"envtest-releases.yaml broke off"):
        brought(mirror)


@pytest.mark.parametrize("text", [b"", b"{", b"releases:", b"releases: {v1.30.0: 3}", b"- 1"])
def test_a_list_that_cannot_be_read_is_said(mirror, text):
    mirror.files[INDEX] = text
    with pytest.raises(ControlPlaneError, match=r"envtest's list of releases cannot be read|has no release"):
        brought(mirror)


@pytest.mark.parametrize("missing", ["index", "archive", "manager", "checksum"])
def test_what_is_not_there_is_said_and_leaves_nothing(mirror, missing):
    path, manager = mirror.publish("v1.30.0")
    gone = {"index": INDEX, "archive": path, "manager": manager, "checksum": f"{manager}.sha256"}[missing]
    del mirror.files[gone]
    with pytest.raises(ControlPlaneError, match=rf"^{mirror.address}{gone} answers 404$"):
        brought(mirror)
    assert left() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no archive at all", r"cannot be unpacked"),
        (archive(etcd="E"), r"has no kube-apiserver$"),
        (archive(etcd="E" * 5000, kube_apiserver="A" * 5000)[:-60], r"cannot be unpacked|has no"),
    ],
)
def test_an_archive_of_something_else_is_said_and_leaves_nothing(mirror, content, said):
    mirror.publish("v1.30.0", content)
    with pytest.raises(ControlPlaneError, match=said):
        brought(mirror)
    assert left() == []


def test_programs_never_leave_their_folder(mirror, tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:
        for name in ("../../etcd", "/kube-apiserver"):
            member = tarfile.TarInfo(name)
            member.size = 1
            made.addfile(member, io.BytesIO(b"X"))
        link = tarfile.TarInfo("kubectl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    mirror.publish("v1.30.0", content.getvalue())
    assert sorted(path.name for path in brought(mirror).iterdir()) == [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
    ]


def test_without_a_network_one_sentence_says_so(mirror):
    address = mirror.address
    nobody = f"{address.rpartition(':')[0]}:1"
    with pytest.raises(ControlPlaneError, match=rf"^{nobody}{INDEX} cannot be reached: .*refused"):
        fetch(Wish(nobody), lambda _: None)
    with pytest.raises(ControlPlaneError, match=r"^gopher://nowhere.* cannot be reached: .*gopher"):
        fetch(Wish("gopher://nowhere"), lambda _: None)


def test_the_controller_manager_alone_can_be_fetched(mirror):
    mirror.publish("v1.30.0")
    path = fetch_manager(Wish(mirror.address), "v1.30.0", lambda _: None)
    assert path == cache() / "v1.30.0" / "kube-controller-manager"
    assert path.read_text() == "M v1.30.0"
    assert fetch_manager(Wish("http://127.0.0.1:1"), "v1.30.0", lambda _: None) == path


def test_what_a_killed_fetch_left_is_cleared_away(mirror):
    mirror.publish("v1.30.0")
    (cache() / "download" / "v1.30.0").mkdir(parents=True)
    (cache() / "download" / "v1.30.0" / "etcd").write_text("half")
    assert (brought(mirror) / "etcd").read_text() == "E"
    assert left() == ["v1.30.0"]
