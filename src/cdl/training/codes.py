"""Stand for the code of a transform: its file, the project's files that it imports, and the versions of packages."""

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from cdl.training.failures import TrainingError

INSTALLED = frozenset({"site-packages", "dist-packages"})
ABSENT = "absent"


@dataclass
class Code:
    """What was found behind one function."""

    function: str
    files: dict[str, str] = field(default_factory=dict)
    """Module of the project to the sha256 of its file."""
    packages: dict[str, str] = field(default_factory=dict)
    """Installed package to its version."""

    @property
    def digest(self) -> str:
        """Changes when the code does, wherever its files lie."""
        said = [self.function, self.files, self.packages, list(sys.version_info[:2])]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def code_of(function: Callable[..., object]) -> Code:
    """Read what a function is made of, without importing anything.

    Counted are the bytes of the file that defines it, and of every file of the project which that one imports, directly
    or through others, anywhere in its text; the versions of the installed packages that these files name; the
    function's name; and Python's version. Not seen is what no import names: files the code reads, the environment,
    modules loaded by a computed name.

    Raises:
        TrainingError: a lambda, a method, a function made inside another: its source alone does not say what it does.
    """
    module = sys.modules.get(function.__module__) if inspect.isfunction(function) else None
    place = getattr(module, "__file__", None)
    if not inspect.isfunction(function) or "." in function.__qualname__ or place is None:
        named = getattr(function, "__qualname__", repr(function))
        raise TrainingError(f"{named} cannot be cached: it has to be a function that a module defines by its name")
    name = Path(place).stem if function.__module__ == "__main__" else function.__module__
    code = Code(f"{name}.{function.__qualname__}")
    waiting = [(name, Path(place))]
    while waiting:
        module_name, file = waiting.pop()
        if module_name not in code.files:
            waiting += _count(code, module_name, file)
    return code


def _count(code: Code, name: str, file: Path) -> list[tuple[str, Path]]:
    """Count one file of the project; gives those it imports."""
    text = file.read_bytes()
    code.files[name] = hashlib.sha256(text).hexdigest()
    if file.suffix != ".py":
        return []
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    further: list[tuple[str, Path]] = []
    for wanted, sure in _imports(ast.parse(text), package):
        top = wanted.partition(".")[0]
        if top in sys.stdlib_module_names or top in code.packages:
            continue
        found = _find(wanted)
        if found is None:
            code.packages.update({top: ABSENT} if sure and _find(top) is None else {})
        elif found.origin is not None and (version := _version(top, found.origin)):
            code.packages[top] = version
        elif found.origin is not None:
            further.append((wanted, Path(found.origin)))
    return further


def _imports(tree: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    """Name every module that a text imports, with the packages above it; not sure: it may be a name inside of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _above(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            yield from _above(base)
            for alias in node.names:
                yield ".".join(filter(None, (base, alias.name))), False


def _above(name: str) -> Iterator[tuple[str, bool]]:
    parts = name.split(".") if name else []
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count]), True


def _find(name: str) -> ModuleSpec | None:
    """Find a module by the import path; nothing is run."""
    found: ModuleSpec | None = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        path = None if found is None else list(found.submodule_search_locations or ())
        found = PathFinder.find_spec(".".join(parts[:count]), path)
        if found is None:
            return None
    return found


@lru_cache(maxsize=1024)
def _version(package: str, origin: str) -> str:
    """Tell the version of an installed package; empty: it is the project's own."""
    if INSTALLED.isdisjoint(Path(origin).parts):
        return ""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        owners = _owners().get(package, ())
        return ", ".join(f"{owner} {metadata.version(owner)}" for owner in sorted(set(owners)))


@lru_cache(maxsize=1)
def _owners() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()
