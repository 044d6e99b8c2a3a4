"""A port is small and its promises are written down; so is every public thing of the core."""

import ast

from tests.architecture.tree import modules, offenders, syntax

METHODS = 5

PORTS = modules("src/cdl/ports")
CORE = modules("src/cdl/api", "src/cdl/reconcile", "src/cdl/ports")


def protocols(tree: ast.Module) -> list[ast.ClassDef]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(getattr(parent, "id", "") == "Protocol" for parent in node.bases)
    ]


def methods(port: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in port.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def silent(tree: ast.Module) -> list[str]:
    """Public modules, classes and functions of a file that say nothing about themselves."""
    found = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            found += [] if ast.get_docstring(node) else [node.name]
            found += [
                f"{node.name}.{inner.name}"
                for inner in (methods(node) if isinstance(node, ast.ClassDef) else [])
                if not inner.name.startswith("_") and not ast.get_docstring(inner)
            ]
    return found


def test_there_are_ports():
    assert sum(len(protocols(syntax(path))) for path in PORTS) >= 4


def test_a_port_has_at_most_five_methods():
    sizes = {port.name: len(methods(port)) for path in PORTS for port in protocols(syntax(path))}
    assert {name: size for name, size in sizes.items() if size > METHODS} == {}


def test_everything_public_says_what_it_promises():
    assert offenders(CORE, lambda path: silent(syntax(path))) == {}


def test_silence_is_heard():
    quiet = ast.parse(
        "class Door:\n    def open(self): ...\n    def _lock(self): ...\ndef knock(): ...\ndef _wait(): ..."
    )
    assert silent(quiet) == ["the module", "Door", "Door.open", "knock"]
