"""The serving engine: servers that answer for a Release (Seldon)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.reconcile.modeldeployment import ServingSeen, ServingWish


class ServingEngine(Protocol):
    """Servers of ModelDeployments; owner is the resource's key."""

    def look(self, owner: Key) -> ServingSeen | None:
        """Report what runs for the owner; changes nothing; None when nothing does.

        The key is the wish's key; phase Available is said only of the wish last served, not of the one before it.
        """

    def serve(self, owner: Key, wish: ServingWish) -> None:
        """Make the engine run the wish. A second call with an equal wish changes nothing.

        What answered before goes on answering until the new servers do. With the wish's owner named, the engine may
        remove what runs when it learns that this resource is gone.

        Raises:
            Rejected: the wish says why it may not be served, with reason NotApproved.
        """

    def let_go(self, owner: Key) -> None:
        """Make what runs for the owner outlive the resource that is named as the wish's owner; it answers as before.

        Letting go of what is not there is a success.
        """

    def remove(self, owner: Key) -> None:
        """Stop and remove what runs for the owner. Removing what is not there is a success."""
