"""Who wrote what a Release holds: never the one who may approve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.reconcile.origin import POLICY, among, named

if TYPE_CHECKING:
    from cdl.api.v1alpha1 import Release


def authors(release: Release) -> tuple[str, ...]:
    """Name who wrote the commit and who applied the Experiment, as the members say; none where nobody said."""
    return named(release.spec.members)


def author(release: Release, who: str) -> str:
    """Give the author that a name stands for; empty when it stands for none. A policy is nobody."""
    return "" if who.startswith(POLICY) else among(authors(release), who)
