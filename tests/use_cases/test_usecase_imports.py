"""Customers stand on the published kit alone, steps on the standard library and the words of the checks alone."""

import ast
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, USE_CASES

STEPS = sorted((ROOT / "pipelines").rglob("*.py"))
CUSTOMERS = sorted(path for path in USE_CASES.rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_step_imports_the_standard_library_and_what_comes_with_the_steps(path):
    beside = {"pfs", "pictures"}
    library = {"PIL"} if path.name == "pictures.py" else set()
    strangers = {
        name
        for name in imported(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, *beside, *library} and not name.startswith("cdl.checks")
    }
    assert not strangers


@pytest.mark.parametrize("path", CUSTOMERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_customer_imports_nothing_of_cdl_but_the_training_kit(path):
    ours = {name for name in imported(path) if name.split(".")[0] == "cdl"}
    assert all(name.startswith("cdl.training") for name in ours)


@pytest.mark.parametrize("case", ["bbc_news", "fashion_mnist"])
def test_what_is_served_needs_no_training_kit(case):
    served = [
        USE_CASES / case / "serve/serve.py",
        *(USE_CASES / case / "model" / f"{name}.py" for name in ("network", "transform")),
    ]
    assert not any(name.startswith(("cdl", "determined")) for path in served for name in imported(path))


@pytest.mark.parametrize("case", ["bbc_news", "fashion_mnist"])
def test_serving_uses_the_very_transform_of_training(case):
    assert "transform" in imported(USE_CASES / case / "model/network.py")
    assert not list((USE_CASES / case / "serve").glob("transform*"))
