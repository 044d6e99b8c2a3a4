"""The contract of a data engine is one suite with an address: it reaches the pachd that is named, or fails."""

import subprocess
import sys

from pachyderm_sdk import Client

from .conftest import ROOT, Server, free_port

SUITE = "tests/wire/drivers/test_driver_contracts.py::TestPachyderm"


def held(address: str, test: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{SUITE}::{test}", "--pachd", address]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_the_suite_reaches_the_pachd_that_is_named_and_leaves_it_clean(tmp_path):
    server = Server("pachd", tmp_path / "somebodys")
    server.start()
    try:
        done = held(server.address, "test_a_half_written_commit_leaves_the_head_before_it")
        assert "1 passed" in done.stdout, done.stdout
        sdk = Client.from_pachd_address(server.address)
        assert list(sdk.pfs.list_repo()) == []
        assert len(server.log.read_text().splitlines()) == 1
    finally:
        server.stop()


def test_a_pachd_that_is_not_there_is_a_failure_and_no_skip():
    done = held(f"127.0.0.1:{free_port()}", "test_an_unknown_owner_is_an_empty_report")
    assert done.returncode == 1
    assert "1 failed" in done.stdout or "1 error" in done.stdout, done.stdout
