"""cdl.training.evaluate: the user's function is found, and its answer is plain numbers or a sentence."""

import hashlib
import platform
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

from cdl.training import TrainingError
from cdl.training.evaluate import main, provenance, resolve, verified

GOOD = {"metrics": {"accuracy": 0.5}, "n": 2}


@pytest.fixture
def model_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_function_is_found_in_the_working_folder(model_folder):
    (model_folder / "judge_found.py").write_text("def judge(checkpoint, data):\n    return {'metrics': {'a': 1}}\n")
    assert resolve("judge_found:judge")(model_folder, model_folder) == {"metrics": {"a": 1}}


@pytest.mark.parametrize(
    ("entrypoint", "sentence"),
    [
        ("evaluate", "allowed is module:function"),
        ("no_such_module:evaluate", "there is no module no_such_module in the model folder"),
        ("judge_empty:evaluate", "module judge_empty has no function evaluate"),
    ],
)
def test_a_wrong_entrypoint_is_one_sentence(model_folder, entrypoint, sentence, capsys):
    (model_folder / "judge_empty.py").write_text("")
    assert main(["--entrypoint", entrypoint, "--checkpoint", "any"]) == 1
    complaint = capsys.readouterr().err
    assert sentence in complaint
    assert complaint.count("\n") == 1


def test_a_module_the_users_code_lacks_is_the_users_traceback(model_folder):
    (model_folder / "judge_lacks.py").write_text("import a_module_nobody_has\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_nobody_has"):
        resolve("judge_lacks:evaluate")


def test_numpys_numbers_become_plain_ones():
    answer = {"metrics": {"accuracy": np.float32(0.5)}, "confusion": np.eye(2, dtype=int), "n": np.int64(2)}
    assert verified(answer) == {"metrics": {"accuracy": 0.5}, "confusion": [[1, 0], [0, 1]], "n": 2}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "must return a mapping"),
        ({"accuracy": 0.5}, "must return a mapping"),
        ({"metrics": {}}, "must return a mapping"),
        ({"metrics": {"accuracy": "good"}}, "the metric accuracy as 'good'"),
        ({"metrics": {"accuracy": True}}, "the metric accuracy as True"),
        ({"metrics": {"accuracy": float("nan")}}, "no JSON"),
        ({**GOOD, "model": object()}, "no JSON: object cannot be written as JSON"),
    ],
)
def test_an_answer_that_says_nothing_is_refused(answer, sentence):
    with pytest.raises(TrainingError, match=sentence):
        verified(answer)


def test_the_evaluator_pins_every_file_it_measured_and_what_it_measured_with(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/weights").write_bytes(b"abc")
    (tmp_path / "metadata.json").write_bytes(b"{}")
    pinned = provenance("a-uuid", tmp_path)
    assert pinned["checkpoint"] == {
        "uuid": "a-uuid",
        "files": {
            "deep/weights": f"sha256:{hashlib.sha256(b'abc').hexdigest()}",
            "metadata.json": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
        },
    }
    assert pinned["environment"]["python"] == platform.python_version()
    assert pinned["environment"]["packages"]["numpy"] == metadata.version("numpy")


@pytest.mark.parametrize("module", ["cdl.training", "cdl.training.data", "cdl.training.evaluate"])
def test_the_kit_loads_no_framework_before_it_is_used(module):
    heavy = "{'determined', 'keras', 'tensorflow', 'torch', 'pachyderm_sdk', 'numpy'}"
    look = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
