"""GitLab's errors come in here, and leave as ours.

Every exception of python-gitlab and every status has a home. 404 is a fact for whoever asked (`there`), and an error
only where something was just seen.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import requests
from gitlab import exceptions as sdk

from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SAYS_NO: dict[type[Exception], type[PortError]] = {
    sdk.GitlabAuthenticationError: NotPermitted,
    sdk.RedirectError: Rejected,
    sdk.GitlabParsingError: Unavailable,
    sdk.GitlabConnectionError: Unavailable,
    sdk.GitlabError: Rejected,
}
"""Exceptions without a status; with one, the status says what they mean."""
BY_STATUS: dict[int, type[PortError]] = {
    401: NotPermitted,
    403: NotPermitted,
    404: Conflict,
    408: Unavailable,
    409: Conflict,
    425: Unavailable,
    429: Unavailable,
}
"""Statuses that do not mean what their hundred means: 4xx is refused, 5xx comes and goes."""


@contextmanager
def door(doing: str) -> Iterator[None]:
    """Turn whatever python-gitlab raises into one of our four errors; `doing` begins the sentence."""
    try:
        yield
    except sdk.GitlabError as error:
        raise _translated(doing, error) from error
    except requests.RequestException as error:
        raise Unavailable(f"{doing}: GitLab does not answer") from error


def there(ask: Callable[[], T]) -> T | None:
    """Give the answer; None when the thing asked for is not there."""
    try:
        return ask()
    except sdk.GitlabError as error:
        if error.response_code == 404:
            return None
        raise


def allowed(ask: Callable[[], T]) -> T | None:
    """Give the answer; None when it is not there, or not for us: what a GitLab of another tier does not have."""
    try:
        return there(ask)
    except sdk.GitlabError as error:
        if error.response_code == 403:
            return None
        raise


def _translated(doing: str, error: sdk.GitlabError) -> PortError:
    status = error.response_code
    said = str(error.error_message).strip().splitlines()
    first = said[0] if said else type(error).__name__
    if status:
        kind = BY_STATUS.get(status, Unavailable if status >= 500 else Rejected)
        # A page of HTML stands before a GitLab that is being updated; it says nothing a person could use.
        return kind(f"{doing}: GitLab answers {status}" if first.startswith("<") else f"{doing}: {first}")
    kind = next(SAYS_NO[c] for c in type(error).__mro__ if c in SAYS_NO)
    return kind(f"{doing}: {first}")
