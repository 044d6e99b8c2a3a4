"""The tests have rules too: one name each, able to fail, nothing of ours replaced, nothing left out in silence."""

import ast
import re
from collections import Counter

from tests.architecture.tree import imports, modules, offenders, syntax

FILES = modules("tests")
TESTS = [path for path in FILES if path.name.startswith("test_")]
KIT = modules("src/cdl/testing")

# A test speaks by `assert`, by expecting an error, or by calling something named for what it demands.
DEMANDING = re.compile(r"^(assert|check|expect|verify|refuse|raises|warns|fail|must|validate|run_state_machine)")


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def can_fail(test: ast.AST) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call) and DEMANDING.match(getattr(node.func, "attr", getattr(node.func, "id", ""))):
            return True
    return False


def left_out_in_silence(tree: ast.AST) -> list[int]:
    """Lines where a test is skipped or excused without a sentence."""
    silent = []
    for node in ast.walk(tree):
        bare = isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail"}
        if bare and not any(
            isinstance(call, ast.Call) and call.func is node and reason(call) for call in ast.walk(tree)
        ):
            silent.append(node.lineno)
    return silent


def reason(call: ast.Call) -> bool:
    """`pytest.skip` and `pytest.xfail` take their sentence first, so does the mark `skip`; the other marks by name."""
    named = any(word.arg == "reason" for word in call.keywords)
    function = call.func
    assert isinstance(function, ast.Attribute)
    first = function.attr == "skip" or getattr(function.value, "id", "") == "pytest"
    return named or (first and bool(call.args))


def test_file_names_are_unique():
    assert [name for name, count in Counter(path.name for path in TESTS).items() if count > 1] == []


def test_every_test_can_fail():
    assert offenders(TESTS, lambda path: [test.name for test in functions(syntax(path)) if not can_fail(test)]) == {}


def test_nothing_of_ours_is_mocked():
    tools = ("unittest.mock", "mock", "pytest_mock")
    assert offenders(FILES + KIT, lambda path: {name for name in imports(path) if name.startswith(tools)}) == {}


def test_nothing_is_left_out_in_silence():
    assert offenders(FILES + KIT, lambda path: left_out_in_silence(syntax(path))) == {}


def test_these_rules_bite():
    assert not can_fail(ast.parse("def test_x():\n    value = 1\n    value + 1"))
    assert can_fail(ast.parse("def test_x():\n    with pytest.raises(ValueError):\n        f()"))
    assert left_out_in_silence(ast.parse("@pytest.mark.skip\ndef test_x(): ..."))
    assert left_out_in_silence(ast.parse("@pytest.mark.skipif(True)\ndef test_x(): ..."))
    assert left_out_in_silence(ast.parse("@pytest.mark.xfail(True)\ndef test_x(): ..."))
    assert left_out_in_silence(ast.parse("pytest.xfail()"))
    assert not left_out_in_silence(ast.parse("pytest.skip('needs a cluster'); pytest.xfail('no mounting here')"))
    assert not left_out_in_silence(ast.parse("@pytest.mark.skipif(True, reason='needs a cluster')\ndef test_x(): ..."))
