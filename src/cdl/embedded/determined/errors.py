"""Errors a client can cause, with the gRPC code and the HTTP status a real master answers."""

from enum import Enum


class Code(Enum):
    """A gRPC code: its number, its name in the error object, its HTTP status."""

    INVALID_ARGUMENT = (3, "InvalidArgument", 400)
    NOT_FOUND = (5, "NotFound", 404)
    ALREADY_EXISTS = (6, "AlreadyExists", 409)
    PERMISSION_DENIED = (7, "PermissionDenied", 403)
    RESOURCE_EXHAUSTED = (8, "ResourceExhausted", 507)
    FAILED_PRECONDITION = (9, "FailedPrecondition", 400)
    UNIMPLEMENTED = (12, "Unimplemented", 501)
    INTERNAL = (13, "Internal", 500)
    UNAVAILABLE = (14, "Unavailable", 503)
    UNAUTHENTICATED = (16, "Unauthenticated", 401)

    @property
    def number(self) -> int:
        """The gRPC number."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """The name in the error object."""
        return self.value[1]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[2]


class ApiError(Exception):
    """An answer other than 200, in one sentence."""

    def __init__(self, code: Code, message: str) -> None:
        """Keep the code and the sentence."""
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> ApiError:
    """Make the error for a request that is wrong whatever the state."""
    return ApiError(Code.INVALID_ARGUMENT, message)


def refused(message: str) -> ApiError:
    """Make the error for a request that does not fit the present state."""
    return ApiError(Code.FAILED_PRECONDITION, message)


def missing(message: str) -> ApiError:
    """Make the error for something that does not exist."""
    return ApiError(Code.NOT_FOUND, message)
