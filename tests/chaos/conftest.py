"""A platform of this tier's own: here API server and etcd are killed, which no other tier could bear."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from cdl.embedded.controlplane.find import find
from tests.chaos import materials
from tests.chaos.course import DATA
from tests.chaos.journal import Journal
from tests.chaos.kube import is_ready
from tests.chaos.rig import rig, rights
from tests.kube.conftest import CRDS, Cluster

SEED = 7
NAMESPACE = "proving-ground"
FIGURES = []
"""Lines for the end of the run."""


@pytest.fixture(scope="session")
def battered(tmp_path_factory):
    """A control plane with cdl's kinds and the operator's rights, to be killed at will."""
    cluster = Cluster(tmp_path_factory.mktemp("battered"), find(lambda line: print(line, file=sys.stderr)))
    try:
        cluster.start()
        cluster.kubectl("apply", "-f", CRDS)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", CRDS)
        rights(cluster)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(cluster.plane.folder / "etcd", ignore_errors=True)


@pytest.fixture(scope="session")
def platform(tmp_path_factory, battered):
    """Engines, proxies and the operator, with a dataset that Experiments can train on."""
    with rig(tmp_path_factory.mktemp("platform"), battered) as made:
        made.operator.start()
        made.kube.namespace(NAMESPACE)
        made.kube.create(materials.pipeline(NAMESPACE, DATA, made.source(DATA), step=""))
        made.kube.until("DataPipeline", NAMESPACE, DATA, is_ready)
        yield made


@pytest.fixture
def place(platform):
    """The platform with nothing going wrong, before and after a test."""
    gate, proxy = platform.gate, platform.proxies["api"]
    unchanged = proxy.events
    yield platform
    gate.plan, gate.answered = (lambda _call: None), (lambda _call, _status: None)
    gate.down.clear()
    proxy.events = unchanged
    platform.cluster.start()


@pytest.fixture(scope="session")
def journal(tmp_path_factory):
    """What was done; `CHAOS_OUT` names a file that keeps it. The figures stand below the run's summary."""
    out = os.environ.get("CHAOS_OUT")
    made = Journal(SEED, Path(out) if out else tmp_path_factory.mktemp("journal") / "faults.jsonl")
    yield made
    FIGURES.append(f"chaos: {json.dumps(made.summary())}")


def pytest_terminal_summary(terminalreporter):
    """Say what was done and how long it took until all was well again."""
    for line in FIGURES:
        terminalreporter.write_line(line)
