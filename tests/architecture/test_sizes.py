"""No giants: a module is read in one sitting, a function on one screen."""

import ast

from tests.architecture.tree import modules, offenders, syntax

MODULE_LINES = 400
SUITE_LINES = 600  # a suite is a list: it is read by its names, not from end to end
FUNCTION_LINES = 60

OURS = modules("src/cdl", "pipelines", "use_cases", "operators", "benchmarks", "demos")
TESTS = modules("tests")


def lines_of(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


def long_functions(tree: ast.AST) -> list[str]:
    return [
        f"{node.name} has {length} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def test_a_module_is_read_in_one_sitting():
    assert offenders(OURS, lambda path: max(0, lines_of(path.read_text()) - MODULE_LINES)) == {}
    assert offenders(TESTS, lambda path: max(0, lines_of(path.read_text()) - SUITE_LINES)) == {}


def test_a_function_fits_on_a_screen():
    assert offenders(OURS + TESTS, lambda path: long_functions(syntax(path))) == {}


def test_a_giant_is_found():
    body = "\n".join(["def giant():"] + ["    x = 1"] * FUNCTION_LINES)
    assert long_functions(ast.parse(body)) == [f"giant has {FUNCTION_LINES + 1} lines"]
    assert not long_functions(ast.parse(body.rsplit("\n", 1)[0]))
    assert lines_of(f"{body}\n\n\n") == FUNCTION_LINES + 1
