"""Use cases and pipeline steps are customers: they see the published kit for code inside trials, or nothing of cdl."""

import pytest

from tests.architecture.tree import imports, modules, short

USE_CASES = modules("use_cases")
PIPELINES = modules("pipelines")


def of_cdl(path):
    return {name for name in imports(path) if name.partition(".")[0] == "cdl"}


def test_there_are_customers():
    assert USE_CASES
    assert PIPELINES


@pytest.mark.parametrize("path", USE_CASES, ids=short)
def test_a_use_case_imports_the_training_kit_at_most(path):
    assert not {name for name in of_cdl(path) - {"cdl"} if not f"{name}.".startswith("cdl.training.")}


@pytest.mark.parametrize("path", PIPELINES, ids=short)
def test_a_step_imports_nothing_of_cdl(path):
    assert not of_cdl(path)
