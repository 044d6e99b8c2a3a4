"""The control plane built from Debian's source works, also when its build was killed and two went on at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cdl.embedded.controlplane import debian, probe
from cdl.embedded.controlplane.binaries import NEEDED, Binaries, cache

BUILD = "from cdl.embedded.controlplane import debian; print(debian.build(lambda line: print(line, flush=True)))"


def building():
    return subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.skipif("bookworm" not in Path("/etc/os-release").read_text(), reason="it is built on Debian 12 only")
def test_a_build_that_was_killed_is_completed_by_two_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = building()
    for line in first.stdout:
        if "4/4 compiling," in line:
            break
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert debian.built() is None
    others = [building(), building()]
    told = [other.communicate()[0].splitlines() for other in others]
    assert [other.returncode for other in others] == [0, 0], told
    folder = debian.built()
    assert [lines[-1] for lines in told] == [str(folder)] * 2
    assert sum("fetching packages" in line for lines in told for line in lines) == 0
    assert sum("another cdl builds the control plane; waiting for it" in line for lines in told for line in lines) >= 1
    assert [path.name for path in cache().glob("[!.]*")] == [folder.name]
    assert probe.fault(Binaries(*(folder / name for name in NEEDED), origin="the build"), print) == ""
