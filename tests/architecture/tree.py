"""The checkout as the architecture tests see it: its files, its modules, their syntax."""

import ast
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "cdl"


def modules(*folders: str) -> list[Path]:
    """Every Python file below the folders, written here or about to be."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not {"__pycache__", ".venv"} & set(path.parts)
    )


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def short(path: Path) -> str:
    """A path as people name it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tracked() -> tuple[Path, ...]:
    """Every file git holds, and every one that is not ignored and so will be next."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def imports(path: Path) -> set[str]:
    """Every dotted name a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def offenders(paths: Iterable[Path], check: Callable[[Path], object]) -> dict[str, object]:
    """What a rule found, by file; empty when every file keeps it."""
    return {short(path): found for path in paths if (found := check(path))}
