"""What steps do in memory: enough of each program to give a decision something true to stand on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cdl.reconcile.datapipeline import Report

if TYPE_CHECKING:
    from cdl.reconcile.datapipeline import StepWish

FAILS = ("false",)


def run(wish: StepWish, files: dict[str, bytes]) -> tuple[dict[str, bytes], Report]:
    """Process one datum: copy what passes the checks, count what does not."""
    rejected: Counter[str] = Counter()
    kept: dict[str, bytes] = {}
    for path, content in files.items():
        broken = [c.name for c in wish.checks if c.min_length is not None and len(content) < c.min_length]
        if broken:
            rejected[broken[0]] += 1
        else:
            kept[path] = content
    return kept, Report(len(kept), dict(rejected))
