"""A program that runs in one trial of a search alone."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = (sys.executable, "-c", "print('trained')")


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ({"rate": 0.1, "deep": {"layers": [1, 2]}}, "trained"),
        ({"rate": 0.1, "deep": {"layers": [1, 3]}}, "this trial is not the one that is rebuilt: it ends here"),
        ({}, "this trial is not the one that is rebuilt: it ends here"),
    ],
)
def test_the_program_runs_in_the_trial_with_these_hyperparameters(mine, said):
    wanted = json.dumps({"deep": {"layers": [1, 2]}, "rate": 0.1})
    command = [sys.executable, "-m", "cdl.training.only", "--hparams", wanted, "--", *PROGRAM]
    environment = os.environ | {"DET_HPARAMS": json.dumps(mine)}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.strip() == said
