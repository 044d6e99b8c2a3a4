"""Programs are believed when they have worked: a broken one is passed over, with its fault, and remembered."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cdl.embedded.controlplane import probe
from cdl.embedded.controlplane.binaries import NEEDED, Binaries, ControlPlaneError, cache
from cdl.embedded.controlplane.find import find

PROGRAM = (Path(__file__).parent / "stand_in.py").read_text()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(probe, "COLLECTED_SECONDS", 1)
    return tmp_path


def put(folder, fault=""):
    """Lay programs into a folder, all with the same fault or none."""
    folder.mkdir(parents=True)
    (folder / "fault").write_text(fault)
    for name in NEEDED:
        (folder / name).write_text(f"#!{sys.executable}\n{PROGRAM}")
        (folder / name).chmod(0o755)
    return folder


def programs(folder):
    return Binaries(*(folder / name for name in NEEDED), origin="here")


def started(folder):
    return (folder / "started").read_text().split() if (folder / "started").exists() else []


def alive(folder):
    """Processes that run a program of this folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in process.cmdline()):
                found.append(process.pid)
    return found


def nothing(_):
    pass


def test_programs_that_work_are_tried_once(places):
    folder = put(places / "good")
    assert probe.fault(programs(folder), nothing) == ""
    assert started(folder) == list(NEEDED)
    assert probe.fault(programs(folder), nothing) == ""
    assert started(folder) == list(NEEDED)
    assert alive(folder) == []
    assert not (cache() / "probe").exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("dies", "kube-apiserver dies of the first custom resource"),
        ("refuses", "kube-apiserver refuses a custom resource with an empty string: text: Invalid value: null"),
        ("keeps", "kube-controller-manager does not remove what lost its owner"),
    ],
)
def test_a_broken_program_is_found_out_once(places, fault, said):
    folder = put(places / "bad", fault)
    assert said in probe.fault(programs(folder), nothing)
    assert said in probe.fault(programs(folder), nothing)
    assert started(folder) == list(NEEDED)
    assert alive(folder) == []


def test_another_build_in_the_same_place_is_tried_again(places):
    folder = put(places / "mended", "refuses")
    assert probe.fault(programs(folder), nothing)
    (folder / "fault").write_text("")
    assert probe.fault(programs(folder), nothing)
    with (folder / "kube-apiserver").open("a") as file:
        file.write("# another build\n")
    assert probe.fault(programs(folder), nothing) == ""


def test_what_could_not_be_tried_is_not_held_against_it(places):
    folder = put(places / "shy", "silent")
    assert "could not be tried out: etcd ended with 1: I will not" in probe.fault(programs(folder), nothing)
    (folder / "fault").write_text("")
    assert probe.fault(programs(folder), nothing) == ""


def test_a_spoilt_memory_is_no_memory(places):
    folder = put(places / "good")
    cache().mkdir(parents=True)
    (cache() / "probed.json").write_text("[")
    assert probe.fault(programs(folder), nothing) == ""


def test_the_next_place_is_taken_when_one_does_not_work(places):
    said = []
    bad, good = put(places / "bad", "refuses"), put(places / "bin")
    environment = {"KUBEBUILDER_ASSETS": str(bad), "PATH": str(good), "XDG_DATA_HOME": str(places)}
    found = find(said.append, environment=environment, fetch=False)
    assert found.paths == tuple(good / name for name in NEEDED)
    assert any(line.startswith(f"passed over KUBEBUILDER_ASSETS: {bad}/kube-apiserver: ") for line in said)
    assert said[-1] == f"control plane from PATH: {good}/kube-apiserver"


def test_a_named_program_that_does_not_work_is_refused(places):
    bad, good = put(places / "bad", "refuses"), put(places / "bin")
    environment = {"CDL_APISERVER": str(bad / "kube-apiserver"), "PATH": str(good), "XDG_DATA_HOME": str(places)}
    with pytest.raises(ControlPlaneError, match=r"^CDL_APISERVER: .* refuses a custom resource with an empty string"):
        find(nothing, environment=environment)


def test_when_nothing_works_every_reason_and_every_way_out_is_said(places):
    bad = put(places / "bad", "refuses")
    environment = {"KUBEBUILDER_ASSETS": str(bad), "XDG_DATA_HOME": str(places)}
    with pytest.raises(ControlPlaneError) as caught:
        find(nothing, environment=environment, fetch=False)
    told = str(caught.value)
    assert "refuses a custom resource with an empty string" in told
    for word in ("CDL_APISERVER", "KUBEBUILDER_ASSETS", "setup-envtest use", "CDL_DOWNLOAD_MIRROR", "Debian"):
        assert word in told


def test_a_trial_that_was_killed_leaves_nothing_once_somebody_looks_again(places):
    folder = put(places / "good", "keeps")
    text = (
        "from cdl.embedded.controlplane import probe; from cdl.embedded.controlplane.binaries import *; "
        f"from pathlib import Path; f = Path({str(folder)!r}); "
        "probe.fault(Binaries(*(f / n for n in NEEDED), origin='x'), print)"
    )
    trial = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.DEVNULL)
    while len(started(folder)) < len(NEEDED):
        time.sleep(0.05)
    os.kill(trial.pid, signal.SIGKILL)
    trial.wait()
    assert len(alive(folder)) == len(NEEDED)
    probe.sweep()
    assert alive(folder) == []
    assert not (cache() / "probe").exists()
