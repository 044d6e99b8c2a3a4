"""What the chart tells the programs is what the programs can be told."""

import tomllib

import pytest

from cdl.settings import Settings
from tests.architecture.tree import ROOT
from tests.kube.chart import NAMES, environments, objects, pods

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
SAID_TO_PYTHON = {"HOME"}


@pytest.fixture(params=NAMES)
def documents(request):
    return objects(request.param)


def test_every_setting_of_the_operator_is_one(documents):
    known = {f"CDL_{name.upper()}" for name in Settings.model_fields} | SAID_TO_PYTHON
    said = {variable["name"] for name, variable in environments(documents) if name.startswith("cdl-operator")}
    assert said - known == set()


def test_every_command_is_a_program_of_ours(documents):
    for name, _, spec in pods(documents):
        for container in spec["containers"]:
            program = container["command"][0]
            assert program == "python" or program in SCRIPTS, name
