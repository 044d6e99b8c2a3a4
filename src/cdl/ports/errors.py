"""Five errors, by what must happen next.

PortError
├── Unavailable    nobody answered; ask again later
├── Conflict       somebody was faster; look again
├── Rejected       the request is wrong; a person must change it
│   └── Unreadable the resource itself is wrong; its document comes along
└── NotPermitted   we are known and may not; a person must change a right
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdl.api.conditions import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping


class PortError(Exception):
    """Something an adapter could not do; the message is one sentence for people."""


class Unavailable(PortError):  # noqa: N818 - named by what must happen next
    """Nobody answered, or only with a promise of better times."""


class Conflict(PortError):  # noqa: N818 - as above
    """The thing changed since it was looked at."""


class Rejected(PortError):  # noqa: N818 - as above
    """The request itself is wrong; trying again changes nothing."""

    def __init__(self, message: str, reason: Reason = Reason.ENGINE_REFUSED) -> None:
        """Say what is wrong, and under which reason a status shows it."""
        super().__init__(message)
        self.reason = reason


class Unreadable(Rejected):
    """What is stored is no resource of its kind."""

    def __init__(self, message: str, document: Mapping[str, Any]) -> None:
        """Say what is wrong with the document, as it is stored."""
        super().__init__(message, Reason.INVALID_SPEC)
        self.document = document


class NotPermitted(PortError):  # noqa: N818 - as above
    """Credentials are missing, wrong or too weak."""
