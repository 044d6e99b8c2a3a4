"""The forge as the loop may ask it: projects to which the token is lent, and who in a project stands for a role."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdl.ports.forge import Forge


def _nowhere(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Forges:
    """Gives the forge of a project."""

    of: Callable[[str], Forge | None] = _nowhere
    """None: no forge is configured. Raises Rejected for a project that the token is not lent to."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Who in a project stands for an approval role: a level, or the name of an approval rule."""
    appliers: tuple[str, ...] = ()
    """Who is believed about the commit a resource is of; none stands for everybody."""
    asked: bool = True
    """False: whoever looks wants no forge to be asked, as a plan does."""


NOWHERE = Forges()
"""No forge is configured."""
