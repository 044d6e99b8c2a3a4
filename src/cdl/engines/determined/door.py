"""Determined's errors come in here, and leave as ours.

Every exception of the SDK has a home; a test asks the SDK for its members. A subclass without a home of its own lives
with its parent. NotFoundException is a fact for whoever asked (`there`), and an error only where something was just
seen.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import requests
from determined.common.api import bindings
from determined.common.api import errors as sdk

from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SAYS_NO: dict[type[Exception], type[PortError]] = {
    sdk.BadRequestException: Rejected,
    sdk.BadResponseException: Unavailable,
    sdk.MasterNotFoundException: Unavailable,
    sdk.APIException: Rejected,
    sdk.NotFoundException: Conflict,
    sdk.ForbiddenException: NotPermitted,
    sdk.UnauthenticatedException: NotPermitted,
    sdk.InvalidCredentialsException: NotPermitted,
    sdk.CorruptTokenCacheException: Unavailable,
    sdk.CorruptCertificateCacheException: Unavailable,
    sdk.EmptyResultException: Unavailable,
    sdk.DeleteFailedException: Conflict,
    bindings.APIHttpError: Unavailable,
    bindings.APIHttpStreamError: Unavailable,
}
BY_STATUS: dict[int, type[PortError]] = {408: Unavailable, 409: Conflict, 425: Unavailable, 429: Unavailable}
"""Statuses of an APIException that do not mean what their hundred means: 4xx is refused, 5xx comes and goes."""


@contextmanager
def door(doing: str) -> Iterator[None]:
    """Turn whatever the SDK raises into one of our four errors; `doing` begins the sentence."""
    try:
        yield
    except tuple(SAYS_NO) as error:
        raise _translated(doing, error) from error
    except requests.RequestException as error:
        raise Unavailable(f"{doing}: the Determined master does not answer") from error


def there(ask: Callable[[], T]) -> T | None:
    """Give the answer; None when the thing asked for is not there."""
    try:
        return ask()
    except sdk.NotFoundException:
        return None


def _translated(doing: str, error: Exception) -> PortError:
    kind = next(SAYS_NO[c] for c in type(error).__mro__ if c in SAYS_NO)
    if isinstance(error, sdk.MasterNotFoundException) or _is_of_the_line(error):
        return Unavailable(f"{doing}: the Determined master does not answer")
    if type(error) is sdk.APIException:
        status = int(getattr(error, "status_code", 500))
        kind = BY_STATUS.get(status, Unavailable if status >= 500 else Rejected)
    said = str(error).strip().splitlines()
    return kind(f"{doing}: {said[0] if said else type(error).__name__}")


def _is_of_the_line(error: Exception) -> bool:
    """A time-out reaches us as a bad request; what it came from says which it was."""
    return isinstance(error.__context__, requests.RequestException)
