"""The core reads no clock, no chance and no world, not even through a module it may import."""

import ast

import pytest

from tests.architecture.tree import modules, offenders, syntax

CORE = modules("src/cdl/api", "src/cdl/reconcile", "src/cdl/ports")

# Called by name or as an attribute of anything.
IMPURE_CALLS = {
    "now", "utcnow", "today", "uuid1", "uuid4", "getenv", "import_module", "__import__", "open", "print", "input",
    "read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "is_dir", "iterdir", "mkdir", "unlink",
    "stat", "cwd", "home", "expanduser", "resolve", "glob", "rglob", "sleep", "breakpoint", "exec", "eval", "globals",
}  # fmt: skip
# Handed over without being called: `default_factory=datetime.now` reads the clock too.
IMPURE_REFERENCES = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("os", "environ"),
}  # fmt: skip


def impurities(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found |= {name} & IMPURE_CALLS
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            found |= {f"{owner}.{node.attr}"} if (owner, node.attr) in IMPURE_REFERENCES else set()
        if isinstance(node, ast.Global):
            found |= {f"global {name}" for name in node.names}
    return found


def test_there_is_a_core_to_read():
    assert len(CORE) >= 20


def test_the_core_reads_no_clock_no_chance_and_no_world():
    assert offenders(CORE, lambda path: impurities(syntax(path))) == {}


@pytest.mark.parametrize(
    "line",
    [
        "at = datetime.now(UTC)",
        "at = datetime.datetime.utcnow()",
        "at: datetime = Field(default_factory=datetime.now)",
        "name = str(uuid.uuid4())",
        "home = os.environ['HOME']",
        "text = open('x').read()",
        "text = path.read_text()",
        "here = folder.exists()",
        "module = importlib.import_module('time')",
        "print('looked')",
        "def count():\n    global seen\n    seen = 1",
    ],
)
def test_an_impure_line_is_found(line):
    assert impurities(ast.parse(line))


@pytest.mark.parametrize(
    "line", ["at = seen.at", "due = seen.at + interval", "now = seen.at", "key = sha256(text).hexdigest()"]
)
def test_a_pure_line_is_left_alone(line):
    assert not impurities(ast.parse(line))
