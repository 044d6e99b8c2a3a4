"""The built-in programs, known by their code."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cdl.api.canonical import digest


def programs_below(folder: Path) -> dict[str, str]:
    """Give the digest of every built-in program: its own files, and the modules it may share with its neighbours."""
    found: dict[str, str] = {}
    for step in sorted(folder.rglob("step.py")):
        home = step.parent
        shared = [p for above in home.parents if above.is_relative_to(folder) for p in above.glob("*.py")]
        own = [p for p in home.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        code = sorted({p for p in (*shared, *own) if not p.name.startswith("test_")})
        found[home.relative_to(folder).as_posix()] = digest(
            [[p.relative_to(folder).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()] for p in code]
        )
    return found
