"""Pachyderm's errors come in here, and leave as ours.

Every gRPC code and every exception of the SDK has a home in one of the tables; a test asks both for their members.
NOT_FOUND is a fact for whoever asked (`absent`), and an error only where something was just seen.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import grpc
from grpc import StatusCode
from pachyderm_sdk import errors as sdk

from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SAYS_NO: dict[StatusCode, type[PortError]] = {
    StatusCode.CANCELLED: Unavailable,
    StatusCode.UNKNOWN: Rejected,  # pachd's default code: nearly every refusal of a request has it
    StatusCode.INVALID_ARGUMENT: Rejected,
    StatusCode.DEADLINE_EXCEEDED: Unavailable,
    StatusCode.NOT_FOUND: Conflict,
    StatusCode.ALREADY_EXISTS: Conflict,
    StatusCode.PERMISSION_DENIED: NotPermitted,
    StatusCode.RESOURCE_EXHAUSTED: Unavailable,
    StatusCode.FAILED_PRECONDITION: Conflict,
    StatusCode.ABORTED: Conflict,
    StatusCode.OUT_OF_RANGE: Rejected,
    StatusCode.UNIMPLEMENTED: Rejected,
    StatusCode.INTERNAL: Unavailable,
    StatusCode.UNAVAILABLE: Unavailable,
    StatusCode.DATA_LOSS: Rejected,
    StatusCode.UNAUTHENTICATED: NotPermitted,
}
NEVER_AN_ERROR = frozenset({StatusCode.OK})
SDK_SAYS_NO: dict[type[Exception], type[PortError]] = {
    sdk.AuthServiceNotActivated: NotPermitted,
    sdk.ConfigError: Rejected,
    sdk.InvalidTransactionOperation: Rejected,
}
RACES = ("has not been finished", "has already finished", "has already been finished", "was deleted")
"""Texts of pachd under the code UNKNOWN that mean: somebody was faster."""

# For every call that nobody answers, the SDK raises once more in a callback of gRPC, which then logs a traceback.
logging.getLogger("grpc._channel").setLevel(logging.CRITICAL)


@contextmanager
def door(doing: str) -> Iterator[None]:
    """Turn whatever the SDK raises into one of our four errors; `doing` begins the sentence."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translated(doing, error) from error
    except tuple(SDK_SAYS_NO) as error:
        raise _kind_of(error)(f"{doing}: {_first_line(error)}") from error
    except ConnectionError as error:
        raise Unavailable(f"{doing}: pachd does not answer") from error


def absent(error: grpc.RpcError) -> bool:
    """The thing asked for is not there."""
    return isinstance(error, grpc.Call) and error.code() is StatusCode.NOT_FOUND


def nobody_answers(error: grpc.RpcError) -> bool:
    """It was not refused: nobody answered, or only with a promise of better times."""
    return not isinstance(error, grpc.Call) or SAYS_NO.get(error.code(), Unavailable) is Unavailable


def there(ask: Callable[[], T]) -> T | None:
    """Give the answer; None when the thing asked for is not there."""
    try:
        return ask()
    except grpc.RpcError as error:
        if absent(error):
            return None
        raise


def _kind_of(error: Exception) -> type[PortError]:
    return next(ours for foreign, ours in SDK_SAYS_NO.items() if isinstance(error, foreign))


def _translated(doing: str, error: grpc.RpcError) -> PortError:
    if not isinstance(error, grpc.Call):
        return Unavailable(f"{doing}: {_first_line(error)}")
    code, details = error.code(), str(error.details() or "").strip()
    kind = SAYS_NO.get(code, Unavailable)
    if kind is Rejected and any(text in details for text in RACES):
        kind = Conflict
    if kind is Unavailable and code is StatusCode.UNAVAILABLE:
        return Unavailable(f"{doing}: pachd does not answer")
    said = details.splitlines()[0] if details else code.name.lower().replace("_", " ")
    return kind(f"{doing}: {said}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
