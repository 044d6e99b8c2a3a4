"""`cdl-operator` with one difference: its engines are stubs. Loaded is everything that the real one loads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cdl import compose
from cdl.cli import operator

from . import engines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdl.loop import Engines
    from cdl.ports.resources import ResourceStore
    from cdl.settings import Settings

JOURNAL = "stub-engines.jsonl"


def stubs(settings: Settings, resources: ResourceStore, kinds: Sequence[str] = ()) -> Engines:  # noqa: ARG001 - they cost nothing
    """Take the place of `cdl.compose.engines`."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return engines.engines(resources, settings.home / JOURNAL)


if __name__ == "__main__":
    compose.engines = stubs
    sys.argv[1:] = []
    operator.main()
