"""The pages of the forge."""

from __future__ import annotations

from starlette.routing import Route

from cdl.embedded.forge.forge import Forge


def routes(forge: Forge) -> list[Route]:
    """Serve the pages."""
    return []
