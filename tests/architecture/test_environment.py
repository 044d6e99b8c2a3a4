"""The environment is read once, in settings; programs that run apart read their own."""

import ast

import pytest

from tests.architecture.tree import SOURCE, modules, offenders, syntax

# What `cdl` itself decides with. Embedded servers, the model server and trials are started with an environment of
# their own making, and that is how they are told things.
ROOMS = {"api", "reconcile", "ports", "loop", "engines", "stores", "kube", "local", "gitops", "compose", "web"}
PLATFORM = [path for path in modules("src/cdl") if path.relative_to(SOURCE).parts[0].removesuffix(".py") in ROOMS]


def reads_environment(tree: ast.AST) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
        for node in ast.walk(tree)
    )


def test_only_settings_reads_the_environment():
    assert PLATFORM
    assert offenders(PLATFORM, lambda path: reads_environment(syntax(path))) == {}


@pytest.mark.parametrize("line", ["os.environ['A']", "os.getenv('A')", "from os import environ"])
def test_reading_the_environment_is_found(line):
    assert reads_environment(ast.parse(line))
