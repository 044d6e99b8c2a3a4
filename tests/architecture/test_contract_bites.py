"""A rule that never fires is a picture: every import nobody may write is written once, and must be caught.

Each mutant goes alone into a copy of the tree; the contract named beside it, at least, must break.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.architecture.tree import ROOT, SOURCE

ENGINE = "cdl/engines/{}/__init__.py".format
SERVER = "cdl/embedded/{}/__init__.py".format
LAZY = "def late() -> None:\n    "
TYPING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


def room(name):
    """The file of a room, be it a module or a package."""
    return f"cdl/{name}.py" if (SOURCE / f"{name}.py").exists() else f"cdl/{name}/__init__.py"


# How the loop, a package or a module, writes its parent.
ABOVE = ".." if room("loop").endswith("__init__.py") else "."

# (file, what is appended to it, the contract that must break)
MUTANTS = [
    # upwards
    (room("api"), "import cdl.reconcile", "layers"),
    (room("api"), "from cdl import cli", "layers"),
    (room("reconcile"), "import cdl.ports", "layers"),
    (room("ports"), "import cdl.loop", "layers"),
    (room("loop"), "import cdl.engines.pachyderm", "layers"),
    (room("loop"), "import cdl.settings", "layers"),
    (room("loop"), "import cdl.compose", "layers"),
    (ENGINE("determined"), "import cdl.compose", "layers"),
    (room("local"), "import cdl.cli", "layers"),
    (room("settings"), "import cdl.compose", "layers"),
    (room("compose"), "import cdl.cli.run", "layers"),
    (room("compose"), "import cdl.testing", "layers"),
    # strangers on one floor
    (room("cli"), "import cdl.testing", "layers"),
    (room("testing"), "import cdl.cli", "layers"),
    (room("local"), "import cdl.engines", "layers"),
    (room("local"), "import cdl.settings", "layers"),
    (room("settings"), "import cdl.local", "layers"),
    (ENGINE("pachyderm"), "import cdl.settings", "layers"),
    (ENGINE("pachyderm"), "import cdl.engines.determined", "siblings-engines"),
    (ENGINE("seldon"), "import cdl.engines.pachyderm", "siblings-engines"),
    ("cdl/stores/artifacts/__init__.py", "import cdl.stores.sources", "siblings-stores"),
    (room("stores"), "import cdl.engines", "layers"),
    (room("stores"), "import cdl.loop", "adapters-are-driven"),
    (ENGINE("determined"), "import cdl.loop", "adapters-are-driven"),
    (room("local"), "import cdl.loop", "adapters-are-driven"),
    # however it is written
    (room("loop"), f"{LAZY}import cdl.compose", "layers"),
    (room("loop"), f"{LAZY}from {ABOVE}cli import run", "layers"),
    (room("api"), f"{TYPING}import cdl.reconcile", "layers"),
    (room("reconcile"), f"{LAZY}import time", "pure-core"),
    (room("reconcile"), "try:\n    import os\nexcept ImportError:\n    pass", "pure-core"),
    # a core that looks at the world
    (room("api"), "import uuid", "pure-core"),
    (room("api"), "import yaml", "pure-core"),
    (room("reconcile"), "from time import monotonic", "pure-core"),
    (room("reconcile"), "import random", "pure-core"),
    (room("reconcile"), "import asyncio", "pure-core"),
    (room("reconcile"), "from os import environ", "pure-core"),
    (room("reconcile"), "import logging", "pure-core"),
    (room("ports"), "import socket", "pure-core"),
    (room("checks"), "import cdl.api", "layers"),
    (room("checks"), "import random", "pure-core"),
    (room("checks"), "import numpy", "checks-need-only-python"),
    (room("ports"), "import subprocess", "pure-core"),
    (room("api"), "import pathlib", "no-paths-in-decisions"),
    (room("reconcile"), "from pathlib import Path", "no-paths-in-decisions"),
    # kinds and ports
    ("cdl/api/v1alpha1/resource.py", "import cdl.api.v1alpha1.release", "inside-api"),
    ("cdl/api/v1alpha1/experiment.py", "import cdl.api.v1alpha1.modeldeployment", "inside-api"),
    ("cdl/reconcile/summary.py", "import cdl.reconcile.modeldeployment", "inside-reconcile"),
    ("cdl/reconcile/modeldeployment.py", "import cdl.reconcile.datapipeline", "inside-reconcile"),
    ("cdl/ports/data.py", "import cdl.ports.training", "inside-ports"),
    ("cdl/ports/errors.py", "import cdl.ports.data", "inside-ports"),
    # servers that flatter
    (SERVER("pachd"), "import cdl.api", "programs-stand-alone"),
    (SERVER("determined"), "import cdl.reconcile", "programs-stand-alone"),
    (SERVER("seldon"), "import cdl.engines.seldon", "programs-stand-alone"),
    (room("serving"), "import cdl.api", "programs-stand-alone"),
    (room("serving"), "import cdl.settings", "programs-stand-alone"),
    (room("training"), "import cdl.ports", "programs-stand-alone"),
    (SERVER("pachd"), "import cdl.embedded.determined", "inside-embedded"),
    (SERVER("forge"), "import cdl.embedded.pachd", "inside-embedded"),
    (SERVER("forge"), "import cdl.ports", "programs-stand-alone"),
    (SERVER("seldon"), "import cdl.embedded.stack", "inside-embedded"),
    (SERVER("seldon"), "import cdl.serving", "user-processes-are-apart"),
    (room("serving"), "import cdl.training", "user-processes-are-apart"),
    (room("compose"), "import cdl.training", "user-processes-are-apart"),
    (room("cli"), "import cdl.serving", "user-processes-are-apart"),
    (room("compose"), "import cdl.embedded.stack", "embedded-is-for-laptops"),
    ("cdl/cli/another.py", "import cdl.embedded.stack", "embedded-is-for-laptops"),
    ("cdl/cli/another.py", "import cdl.embedded.pachd", "embedded-is-for-laptops"),
    # libraries out of their room
    (room("loop"), "import determined", "sdk-determined"),
    (ENGINE("seldon"), "from determined.experimental import client", "sdk-determined"),
    (SERVER("pachd"), "import determined", "sdk-determined"),
    (room("compose"), "import pachyderm_sdk", "sdk-pachyderm"),
    (ENGINE("determined"), "import grpc", "sdk-pachyderm"),
    (SERVER("determined"), "import betterproto", "sdk-pachyderm"),
    (room("cli"), "import kubernetes", "sdk-kubernetes"),
    (room("compose"), "import gitlab", "sdk-gitlab"),
    (SERVER("forge"), "from gitlab import exceptions", "sdk-gitlab"),
    (room("loop"), "import kopf", "informer-in-kube"),
    (room("compose"), "import prometheus_client", "informer-in-kube"),
    (room("api"), "import cel", "informer-in-kube"),
    (room("cli"), "import structlog", "informer-in-kube"),
    (SERVER("seldon"), "import kubernetes", "sdk-kubernetes"),
    (room("compose"), "import torch", "no-machine-learning-in-the-platform"),
    (ENGINE("determined"), "import numpy", "no-machine-learning-in-the-platform"),
    (SERVER("determined"), f"{LAZY}import tensorflow", "no-machine-learning-in-the-platform"),
    (room("local"), "import pickle", "only-user-processes-unpickle"),
    (SERVER("determined"), "import cloudpickle", "only-user-processes-unpickle"),
    (room("compose"), "import uvicorn", "servers-serve"),
    (ENGINE("seldon"), "from starlette.applications import Starlette", "servers-serve"),
    (room("loop"), "import typer", "only-the-command-line-talks"),
    (ENGINE("pachyderm"), "from rich.progress import Progress", "only-the-command-line-talks"),
    (room("compose"), "import sqlite3", "databases-have-owners"),
    (room("cli"), "import sqlite3", "databases-have-owners"),
    (room("compose"), "import psycopg", "postgres-in-its-store"),
    (SERVER("postgres"), "import psycopg", "postgres-in-its-store"),
    (room("loop"), "import securesystemslib", "keys-in-their-store"),
    (room("compose"), "import pydantic_settings", "settings-read-the-environment"),
    (room("loop"), "import pytest", "test-tools-in-the-test-kit"),
    (ENGINE("seldon"), "from unittest import mock", "test-tools-in-the-test-kit"),
    # rooms and files nobody drew
    ("cdl/utils.py", '"""Things."""', "layers"),
    ("cdl/common/__init__.py", '"""Things."""', "layers"),
    ("cdl/reconcile/helpers.py", '"""Things."""', "inside-reconcile"),
    ("cdl/ports/helpers.py", '"""Things."""', "inside-ports"),
    ("cdl/embedded/helpers.py", '"""Things."""', "inside-embedded"),
    ("cdl/api/v1alpha1/helpers.py", '"""Things."""', "inside-api"),
]  # fmt: skip
CIRCLES = [
    {
        "cdl/engines/pachyderm/left.py": "import cdl.engines.pachyderm.right",
        "cdl/engines/pachyderm/right.py": "import cdl.engines.pachyderm.left",
    },
    {
        "cdl/serving/left.py": f"{LAZY}import cdl.serving.right",
        "cdl/serving/right.py": f"{TYPING}import cdl.serving.left",
    },
]


def described(files):
    return " + ".join(f"{name}: {' '.join(lines.split())}" for name, lines in files.items())


CASES = [({name: lines}, contract) for name, lines, contract in MUTANTS] + [(files, "no-cycles") for files in CIRCLES]
NOTHING = "nothing injected"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("injected")
    shutil.copytree(SOURCE, folder / "cdl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    mutants = [{"name": NOTHING, "files": {}}] + [{"name": described(files), "files": files} for files, _ in CASES]
    done = subprocess.run(
        [sys.executable, ROOT / "tests/architecture/inject.py", folder],
        input=json.dumps(mutants),
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_copy_itself_is_clean(verdicts):
    assert verdicts[NOTHING] == []


@pytest.mark.parametrize(("files", "contract"), CASES, ids=[described(files) for files, _ in CASES])
def test_an_illegal_import_is_caught(verdicts, files, contract):
    assert contract in verdicts[described(files)]


def test_every_contract_has_a_mutant():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())
    written = {contract["id"] for contract in options["tool"]["importlinter"]["contracts"]}
    assert written == {contract for _, contract in CASES}


def test_the_tree_keeps_its_contracts():
    program = "import sys; from importlinter.cli import lint_imports_command as lint; sys.exit(lint())"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
