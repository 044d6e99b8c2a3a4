"""What trials print is followed while they run, each line once, until nothing runs any more."""

from __future__ import annotations

import pytest

from cdl.api.meta import Key
from cdl.engines.determined import DeterminedEngine
from cdl.engines.determined.logs import DeterminedLogs
from cdl.ports.errors import Rejected
from cdl.stores.artifacts import DirectoryArtifacts

from .wishes import packed_code, training


@pytest.fixture
def running(master, pachd, tmp_path):
    """A run whose only trial goes on for a while."""
    artifacts = DirectoryArtifacts(tmp_path / "artifacts")
    url = f"http://{master.address}"
    cache = {"CDL_CACHE": str(tmp_path / "cache")}
    engine = DeterminedEngine(url, fetch=artifacts.fetch, pachd=pachd.address, environment=cache)
    owner = Key("Experiment", "default", "followed")
    engine.start(owner, "f", training(packed_code(artifacts), epochs=2, pause=0.5))
    yield engine, owner, DeterminedLogs(url)
    engine.forget(owner)


def test_a_follower_hears_everything_once_and_comes_back(running):
    engine, owner, logs = running
    heard = list(logs.follow(owner))
    [run] = engine.look(owner)
    assert run.phase.over
    assert heard == list(logs.lines(owner))
    [trial] = run.trials
    assert heard == list(logs.follow(owner, trial.id))
    assert all(line.startswith(f"run {run.id} trial {trial.id} ") for line in heard)
    with pytest.raises(Rejected, match=rf"trial 987654: .* there are: {trial.id}"):
        list(logs.follow(owner, 987654))


def test_who_has_no_runs_has_no_lines(master):
    logs, nobody = DeterminedLogs(f"http://{master.address}"), Key("Experiment", "default", "nobody")
    assert list(logs.lines(nobody)) == []
    assert list(logs.follow(nobody)) == []
