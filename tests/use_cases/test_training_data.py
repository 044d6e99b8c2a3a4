"""cdl.training.data: the trial's dataset, whole or not at all, and a sentence when there is none."""

import dataclasses
import io
import socket
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from cdl.training import Dataset, TrainingError, data
from cdl.training.progress import Progress

CONFIG = {
    "integrations": {
        "pachyderm": {
            "pachd": {"host": "127.0.0.1", "port": 1},
            "dataset": {"project": "default", "repo": "news-train", "commit": "0123abcd", "branch": "master"},
        }
    }
}
VERSION = Dataset("127.0.0.1", 1, "default", "news-train", "0123abcd")


def archive(*members: tarfile.TarInfo) -> tarfile.TarFile:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as made:
        for member in members:
            made.addfile(member, io.BytesIO(b"x" * member.size))
    raw.seek(0)
    return tarfile.open(fileobj=raw)


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 3) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size if kind == tarfile.REGTYPE else 0, "elsewhere"
    return made


def test_the_dataset_is_read_from_the_experiment_config():
    assert Dataset.of_config(CONFIG) == VERSION
    assert str(VERSION.key) == "default/news-train/0123abcd"


@pytest.mark.parametrize("config", [{}, {"integrations": None}, {"integrations": {"pachyderm": {}}}])
def test_a_config_without_a_dataset_names_none(config):
    assert Dataset.of_config(config) is None


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (("dataset", "commit"), "", "dataset.commit"),
        (("dataset", "repo"), "../../etc", "dataset.repo"),
        (("dataset", "commit"), "..", "dataset.commit"),
        (("pachd", "port"), "many", "pachd.port"),
        (("pachd", "host"), "", "proxy.host"),
    ],
)
def test_a_broken_block_is_named_by_its_field(place, value, sentence):
    block, field = place
    pachyderm = CONFIG["integrations"]["pachyderm"]
    broken = {"integrations": {"pachyderm": {**pachyderm, block: {**pachyderm[block], field: value}}}}
    with pytest.raises(TrainingError, match=sentence):
        Dataset.of_config(broken)


def test_a_version_that_is_there_is_not_fetched_again(tmp_path):
    folder = tmp_path / VERSION.key
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("kept")
    found = data.fetch_version(VERSION, tmp_path)  # nothing answers at port 1: only the cache can
    assert (found / "a.txt").read_text() == "kept"


def test_a_store_that_does_not_answer_leaves_nothing_half_done(tmp_path):
    with pytest.raises(TrainingError, match="cannot fetch dataset version default/news-train@0123abcd from "):
        data.fetch_version(VERSION, tmp_path, patience=0)
    assert [path.name for path in (tmp_path / "default/news-train").iterdir()] == ["0123abcd.lock"]


def test_a_store_that_comes_back_is_asked_again(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        version = dataclasses.replace(VERSION, port=free.getsockname()[1])
    store = grpc.server(ThreadPoolExecutor(1))  # knows no method, and can say so
    with ThreadPoolExecutor(1) as aside:
        asked = aside.submit(data.fetch_version, version, tmp_path, patience=60)
        time.sleep(1)  # refused at least once by then
        store.add_insecure_port(f"127.0.0.1:{version.port}")
        store.start()
        told = str(asked.exception())
    store.stop(None).wait()
    assert "Method not found" in told, told


def test_members_are_unpacked_below_the_folder(tmp_path):
    made = archive(member("/tech/", tarfile.DIRTYPE), member("/tech/1.txt"), member("/top.txt", size=0))
    assert data.unpack(made, tmp_path) == 2
    assert (tmp_path / "tech/1.txt").read_bytes() == b"xxx"
    assert (tmp_path / "top.txt").read_bytes() == b""


@pytest.mark.parametrize("bad", [member("../out.txt"), member("a/../../out.txt"), member("link", tarfile.SYMTYPE)])
def test_a_member_that_points_elsewhere_is_refused(tmp_path, bad):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(TrainingError, match="the dataset holds"):
        data.unpack(archive(bad), folder)
    assert list(tmp_path.rglob("*")) == [folder]


def test_outside_a_cluster_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_DATASET", str(tmp_path))
    assert data.fetch() == tmp_path


def test_outside_a_cluster_without_a_folder_the_way_out_is_named(monkeypatch):
    monkeypatch.delenv("CDL_DATASET", raising=False)
    with pytest.raises(TrainingError, match=r"set integrations.pachyderm in the experiment config, or CDL_DATASET"):
        data.fetch()


def test_a_named_cache_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_CACHE", str(tmp_path))
    assert data.cache_folder() == tmp_path / "datasets"


class _Screen(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_a_download_says_how_far_it_is(terminal):
    screen, times = _Screen(terminal=terminal), iter([0.0, 5.0, 20.0, 21.0, 22.0])
    progress = Progress("news", 4 << 20, screen, lambda: next(times))
    for _ in range(3):
        progress.add(1 << 20)
    progress.end(7)
    told = screen.getvalue()
    assert ("fetching news: 50%, 2 of 4 MiB\n" in told) is not terminal
    assert ("\rfetching news [###############...............]  50% 2 of 4 MiB" in told) is terminal
    assert "fetched news: 7 files, 3.0 MiB in 22.0 s" in told
