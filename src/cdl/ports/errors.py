"""Four errors, by what must happen next.

PortError
├── Unavailable    nobody answered; ask again later
├── Conflict       somebody was faster; look again
├── Rejected       the request is wrong; a person must change it
└── NotPermitted   we are known and may not; a person must change a right
"""

from __future__ import annotations

from cdl.api.conditions import Reason


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


class NotPermitted(PortError):  # noqa: N818 - as above
    """Credentials are missing, wrong or too weak."""
