"""Use cases and pipeline steps are customers: they see the kit for code inside trials, or the words of checks."""

from tests.architecture.tree import imports, modules, offenders

USE_CASES = modules("use_cases")
PIPELINES = modules("pipelines")


def of_cdl(path):
    return {name for name in imports(path) if name.partition(".")[0] == "cdl"}


def test_there_are_customers():
    assert USE_CASES
    assert PIPELINES


def test_a_use_case_imports_the_training_kit_at_most():
    def others(path):
        return {name for name in of_cdl(path) - {"cdl"} if not f"{name}.".startswith("cdl.training.")}

    assert offenders(USE_CASES, others) == {}


def test_a_step_imports_the_words_of_checks_at_most():
    def others(path):
        return {name for name in of_cdl(path) - {"cdl"} if not f"{name}.".startswith("cdl.checks.")}

    assert offenders(PIPELINES, others) == {}
