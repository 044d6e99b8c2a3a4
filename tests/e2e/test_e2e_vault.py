"""The vault on a whole platform: trained, measured and served, and nobody but the evaluation read the test side."""

import json

import pytest

from cdl.training import TrainingError
from cdl.training.data import fetch_version
from cdl.training.versions import Dataset

pytestmark = pytest.mark.slow


def test_a_project_runs_to_its_end_with_the_test_side_in_a_vault(place, tmp_path):
    place.environment["CDL_VAULT"] = "1"
    place.run("--detach")
    del place.environment["CDL_VAULT"]  # what once was hidden stays so
    place.run()
    experiment = place.get("experiment")
    status = experiment["status"]
    assert status["evaluation"]["looks"] == 1
    low, high = status["evaluation"]["intervals"]["accuracy"]
    assert low <= status["evaluation"]["metrics"]["accuracy"] <= high
    test, train = status["data"]["test"], status["data"]["train"]
    noted = (place.home / "logs" / "pachd.log").read_text()
    assert f"vault: GetFileTAR of {test['repo']}@{test['commit'][:12]} by evaluator: let" in noted

    # a trial that asks, and what lies in the folder where trials keep data
    operator = json.loads((place.home / "processes" / "operator.json").read_text())
    host, port = dict(operator["environment"])["CDL_PACHD"].removeprefix("grpc://").split(":")
    asked = Dataset(host, int(port), "default", test["repo"], test["commit"])
    with pytest.raises(TrainingError, match="which only the evaluator may read"):
        fetch_version(asked, tmp_path / "of-a-trial")
    kept = {path.name for path in (place.home / "cache" / "datasets" / "default").iterdir()}
    assert kept == {train["repo"]}
    assert (place.home / "cache-evaluation").stat().st_mode & 0o077 == 0

    # the tokens are in no log, no record of a process, no database and no configuration
    tokens = [path.read_bytes() for path in (place.home / "vault").glob("*.token")]
    assert len(tokens) == 2
    place.cdl("stop")  # what is in memory only is written by now
    files = [path for path in place.home.rglob("*") if path.is_file() and path.parent.name != "vault"]
    assert [path for path in files if any(token in path.read_bytes() for token in tokens)] == []
