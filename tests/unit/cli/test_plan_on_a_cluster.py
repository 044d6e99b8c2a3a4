"""Whom `cdl plan` asks on a home of `cdl up`: of what is served the API server, for there are the objects."""

import json
import os
from pathlib import Path

import pytest

from cdl.cli.plan import _asked
from cdl.cli.platform import ENGINES, OPERATOR
from cdl.settings import Settings

STARTED = 21
"""The field of /proc/PID/stat, counted from 0."""


@pytest.fixture
def home(tmp_path):
    """A home whose engines run, as far as anybody can tell: each of them is this process."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[STARTED - 2])
    (tmp_path / "processes").mkdir()
    for name in (*ENGINES, OPERATOR):
        record = {"name": name, "pid": os.getpid(), "started": started, "command": [], "environment": []}
        (tmp_path / "processes" / f"{name}.json").write_text(json.dumps(record))
    return tmp_path


def test_what_a_cluster_serves_its_api_server_is_asked(home):
    asked = _asked(Settings(home=home, kubeconfig=home / "kubeconfig"))
    assert asked.seldon == ""
    assert asked.pachd.startswith("grpc://127.0.0.1:")
    assert asked.determined.startswith("http://127.0.0.1:")


def test_a_seldon_that_somebody_names_is_asked(home):
    assert _asked(Settings(home=home, kubeconfig=home / "kubeconfig", seldon="http://seldon:1")).seldon == (
        "http://seldon:1"
    )


def test_without_a_cluster_the_seldon_of_this_machine_is_asked(home):
    assert _asked(Settings(home=home)).seldon.startswith("http://127.0.0.1:")
