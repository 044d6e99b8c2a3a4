"""The built-in programs, known by their code."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cdl import checks
from cdl.api.canonical import digest

WITH_CHECKS = ("checks", "store_labels")
"""Programs that read tables or hold data against checks, which a library says how to do that others use too."""


def programs_below(folder: Path) -> dict[str, str]:
    """Give the digest of every built-in program: its own files, and the modules it may share with its neighbours."""
    found: dict[str, str] = {}
    words = _files(Path(checks.__file__).parent)
    for step in sorted(folder.rglob("step.py")):
        home = step.parent
        shared = [p for above in home.parents if above.is_relative_to(folder) for p in above.glob("*.py")]
        own = [p for p in home.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        code = sorted({p for p in (*shared, *own) if not p.name.startswith("test_")})
        name = home.relative_to(folder).as_posix()
        library = words if name in WITH_CHECKS else []
        found[name] = digest([[p.relative_to(folder).as_posix(), _sha256(p)] for p in code] + library)
    return found


def _files(folder: Path) -> list[list[str]]:
    return [[f"cdl/{folder.name}/{p.name}", _sha256(p)] for p in sorted(folder.glob("*.py"))]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
