"""The two use cases on generated look-alikes, from files to answers, on one platform."""

import json
import tempfile
from pathlib import Path

import pytest

USE_CASES = Path(__file__).parents[2] / "use_cases"


@pytest.mark.parametrize(("case", "name"), [("fashion_mnist", "fashion-mnist"), ("bbc_news", "bbc-news")])
def test_a_use_case_answers_on_synthetic_data(shared_place, case, name):
    answer = shared_place.cdl("run", USE_CASES / case, "--data", "synthetic", timeout=280)
    assert answer.returncode == 0, shared_place.story(answer)
    for shown in (answer.stdout, shared_place.cdl("get").stdout, shared_place.cdl("lineage", name).stdout):
        assert "SYNTHETIC" in shown
    status = shared_place.get("experiment", name)["status"]
    assert status["trials"]["total"] == 4
    assert status["trials"]["failed"] == 0
    assert status["evaluation"]["gates"][0]["passed"]
    samples = sorted((USE_CASES / case / "samples").iterdir())
    asked = shared_place.cdl("predict", name, *samples)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.count(f"{name}-1") == len(samples)
    assert "SYNTHETIC" in asked.stdout


def test_bbc_news_is_built_again_bit_for_bit(shared_place):
    answer = shared_place.cdl("reproduce", "bbc-news@1", "-o", "json", timeout=200)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    unlike = sorted(name for name, same in found["files"].items() if not same)
    assert found["verdict"] == "bit-equal", f"{found['reason']}: {unlike}"
    assert found["files"]["state_dict.pth"]
    released, rebuilt = found["metrics"]["accuracy"]
    assert released == rebuilt
    assert not list(Path(tempfile.gettempdir()).glob("cdl-reproduce-*/logs"))


def test_a_model_that_chance_made_is_not_called_reproduced(place):
    place.edit("model/train.py", "def accuracy", "import os\nCHANCE = os.urandom(8).hex()\n\n\ndef accuracy")
    place.edit("model/train.py", "json.dumps(known)", 'json.dumps({**known, "by-chance": {CHANCE: 1}})')
    place.run()
    answer = place.cdl("reproduce", "tiny-1", "--place", place.home / "twin", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["verdict"] == "metric-equal"
    assert found["files"]["words.json"] is False
    assert (place.home / "twin" / "determined").is_dir()
    again = place.cdl("reproduce", "tiny@1", "--place", place.home / "twin")
    assert again.returncode == 1
    assert "which is not empty, allowed: an empty folder, or none yet" in again.stderr


def test_synthetic_data_is_forgotten_when_real_data_comes_back(place):
    (place.project / "synthetic.py").write_text(
        "import pathlib, shutil, sys\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "out.mkdir(parents=True, exist_ok=True)\n"
        f"shutil.copy({str(place.data / 'notes.tar.gz')!r}, out)\n"
    )
    assert place.cdl("run", place.project, "--data", "synthetic", "--detach").returncode == 0
    assert "SYNTHETIC" in place.cdl("get").stdout
    assert "SYNTHETIC" not in place.run()
