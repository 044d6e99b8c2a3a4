"""What the chart has containers start is started here, with its words: only folders and ports are other ones."""

import re
import socket
import subprocess
import sys

import pytest

from cdl.cli.operator import main as operator
from tests.architecture.tree import ROOT
from tests.kube.chart import NAMES, objects, pods

ENGINES = ("cdl-pachd", "cdl-determined", "cdl-seldon")


@pytest.fixture(scope="module")
def embedded():
    return {name: spec["containers"][0] for name, _, spec in pods(objects("values-embedded.yaml"))}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def here(words, folder):
    """The words of a container, for this machine."""
    moved = [w.replace("/opt/cdl/pipelines=/opt/cdl/pipelines", f"/opt/cdl/pipelines={ROOT}/pipelines") for w in words]
    moved = [word.replace("/var/lib/cdl", str(folder)) for word in moved]
    return [re.sub(r"^(--(?:router-)?port)=\d+$", lambda m: f"{m.group(1)}={free_port()}", word) for word in moved]


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_starts_with_the_words_of_its_container(embedded, tmp_path, name):
    program, *words = embedded[name]["command"] + embedded[name]["args"]
    assert program == "python"
    (tmp_path / "sources").mkdir()
    process = subprocess.Popen(
        [sys.executable, *here(words, tmp_path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert f"{name.removeprefix('cdl-')} ready" in line, line + process.stdout.read()
        (port,) = [word.rpartition("=")[2] for word in process.args if word.startswith("--port=")]
        with socket.create_connection(("127.0.0.1", int(port)), timeout=10):
            pass
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_an_engine_keeps_its_state_on_the_volume(embedded):
    for name in ENGINES:
        (data,) = [word.partition("=")[2] for word in embedded[name]["args"] if word.startswith("--data=")]
        mounts = [mount["mountPath"] for mount in embedded[name]["volumeMounts"]]
        assert any(data.startswith(f"{mount}/") for mount in mounts)


@pytest.mark.parametrize("name", NAMES)
def test_the_operator_understands_the_kinds_it_is_given(name):
    for who, _, spec in pods(objects(name)):
        if who.startswith("cdl-operator"):
            words = spec["containers"][0]["args"]
            context = operator.make_context("cdl-operator", list(words))
            assert [kind.lower() for kind in context.params["kinds"]] == [word.lower() for word in words]
