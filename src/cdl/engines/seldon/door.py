"""Kubernetes' errors come in here, and leave as ours.

Every exception of the client and every status it answers with has a home. 404 is a fact for whoever asked (`there`),
and an error only where something was just seen.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from kubernetes.client import exceptions as sdk
from urllib3.exceptions import HTTPError

from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SAYS_NO: dict[type[Exception], type[PortError]] = {
    sdk.OpenApiException: Rejected,
    sdk.ApiTypeError: Rejected,
    sdk.ApiValueError: Rejected,
    sdk.ApiAttributeError: Rejected,
    sdk.ApiKeyError: Rejected,
    sdk.ApiException: Rejected,
    sdk.BadRequestException: Rejected,
    sdk.NotFoundException: Conflict,
    sdk.UnauthorizedException: NotPermitted,
    sdk.ForbiddenException: NotPermitted,
    sdk.ServiceException: Unavailable,
    sdk.ConflictException: Conflict,
    sdk.UnprocessableEntityException: Rejected,
}
BY_STATUS: dict[int, type[PortError]] = {
    0: Unavailable,
    401: NotPermitted,
    403: NotPermitted,
    404: Conflict,
    408: Unavailable,
    409: Conflict,
    410: Conflict,
    429: Unavailable,
}
"""Statuses that do not mean what their hundred means: 4xx is refused, 5xx comes and goes."""


@contextmanager
def door(doing: str) -> Iterator[None]:
    """Turn whatever the client raises into one of our four errors; `doing` begins the sentence."""
    try:
        yield
    except sdk.ApiException as error:
        raise _translated(doing, error) from error
    except sdk.OpenApiException as error:
        kind = next(SAYS_NO[c] for c in type(error).__mro__ if c in SAYS_NO)
        raise kind(f"{doing}: {_first_line(str(error))}") from error
    except HTTPError as error:
        raise Unavailable(f"{doing}: the API server does not answer") from error


def there(ask: Callable[[], T]) -> T | None:
    """Give the answer; None when the thing asked for is not there."""
    try:
        return ask()
    except sdk.ApiException as error:
        if error.status == 404:
            return None
        raise


def _translated(doing: str, error: sdk.ApiException) -> PortError:
    status = int(error.status or 0)
    kind = BY_STATUS.get(status, Unavailable if status >= 500 else Rejected)
    return kind(f"{doing}: {_message(error) or f'the API server answered {status} {error.reason}'}")


def _message(error: sdk.ApiException) -> str:
    """Read the sentence out of the Status object that an API server answers with."""
    try:
        body = json.loads(error.body or "{}")
    except (TypeError, ValueError):
        return ""
    return _first_line(str(body.get("message", ""))) if isinstance(body, dict) else ""


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else ""
