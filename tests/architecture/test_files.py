"""What lies in the repository could lie in anybody's: no machine's paths, no unfinished marks, nothing heavy."""

import re

import pytest

from tests.architecture.tree import offenders, tracked

TEXT = [path for path in tracked() if path.suffix not in {".png", ".ico", ".gz", ".woff2"}]
PYTHON = [path for path in TEXT if path.suffix == ".py"]

# Spelt in pieces, so that this file may be looked at like any other.
MACHINE_PATHS = re.compile(
    "|".join(["/wo" + "rk/", "/opt/" + "(wheels|pypi)", "/ro" + "ot/", "/ho" + r"me/(?!user\b|you\b)\w+/"])
)
HOSTS = [
    "py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(org|com)", "ghcr" + r"\.io",
    "quay" + r"\.io", "gcr" + r"\.io", "docker" + r"\.(io|com)", "arti" + r"factory\b", r"nexus\.",
]  # fmt: skip
REGISTRIES = re.compile(r"\b(" + "|".join(HOSTS) + ")")
UNFINISHED = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b"]))
# `type: ignore[code]` and `noqa: CODE` must be followed by a reason.
UNEXPLAINED = re.compile(r"#\s*(type:\s*ignore(\[[\w, -]+\])?|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?)\s*$", re.MULTILINE)


def found(pattern, text):
    return [match.group(0).strip() for match in pattern.finditer(text)]


def test_nothing_names_a_machine_or_a_registry():
    assert offenders(TEXT, lambda path: found(MACHINE_PATHS, path.read_text())) == {}
    assert offenders(TEXT, lambda path: found(REGISTRIES, path.read_text())) == {}


def test_nothing_is_marked_unfinished():
    assert offenders(TEXT, lambda path: found(UNFINISHED, path.read_text())) == {}


def test_every_exception_to_a_rule_says_why():
    assert offenders(PYTHON, lambda path: found(UNEXPLAINED, path.read_text())) == {}


def test_nothing_is_heavy():
    assert offenders(tracked(), lambda path: path.stat().st_size >= 300_000) == {}


@pytest.mark.parametrize("line", ["x = 1  # noqa: S608", "x = 1  # type: " + "ignore[arg-type]", "import x  # noqa"])
def test_an_unexplained_exception_is_found(line):
    assert found(UNEXPLAINED, line)


@pytest.mark.parametrize(
    "line", ["x = 1  # noqa: S608 - the table names are ours", "x = 1  # type: " + "ignore[misc]  # untyped SDK"]
)
def test_an_explained_exception_is_left_alone(line):
    assert not found(UNEXPLAINED, line)


@pytest.mark.parametrize("text", ["cd /wo" + "rk/main", "--find-links /opt/" + "wheels", "image: ghcr" + ".io/x/y:1"])
def test_a_machine_or_registry_is_found(text):
    assert found(MACHINE_PATHS, text) + found(REGISTRIES, text)
