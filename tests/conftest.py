"""What holds for every test: quiet libraries, one thread each, no network in unit tests, no process left behind."""

import os
import socket
from pathlib import Path

import psutil
import pytest

# Two shared cores: a library that takes every core for itself makes all of them slow.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Nobody's own state or settings may decide what a test sees.
for name in [key for key in os.environ if key.startswith("CDL_") and key != "CDL_DATA"]:
    del os.environ[name]

UNIT = Path(__file__).parent / "unit"
LEVELS = ("architecture", "unit", "contract", "wire", "use_cases", "e2e", "kube", "chaos")
"""What is quick comes first; what keeps servers and threads for a whole run comes after all that must be without."""


def pytest_addoption(parser):
    parser.addoption(
        "--pachd",
        metavar="HOST:PORT",
        help="hold this pachd against the contract of a data engine, not the embedded one",
    )


def pytest_collection_modifyitems(items):
    """Put the tests in the order of their levels; within one they stay as they are."""

    def level(item):
        folder = item.path.relative_to(UNIT.parent).parts[0]
        return LEVELS.index(folder) if folder in LEVELS else len(LEVELS)

    items.sort(key=level)


@pytest.fixture(autouse=True)
def no_network_in_unit_tests(request, monkeypatch):
    if not request.path.is_relative_to(UNIT):
        return

    def refuse(_socket, address):
        pytest.fail(f"a unit test tried to connect to {address}; put it into tests/wire or tests/e2e")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True, scope="session")
def no_process_left_behind():
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    # multiprocessing's own resource tracker ends with this process.
    left = [child for child in left if "multiprocessing.resource_tracker" not in " ".join(child.cmdline())]
    assert not left, f"the tests left processes behind: {[(child.pid, child.cmdline()[:4]) for child in left]}"
