"""What a client is told when the answer is no, in GitLab's words."""

from __future__ import annotations

Words = str | dict[str, list[str]] | list[str]


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, body: dict[str, object]) -> None:
        """Keep the status and the body."""
        super().__init__(str(body.get("message") or body.get("error") or status))
        self.status = status
        self.body = body


def unauthorized() -> ApiError:
    """Make the error for who is not known, or may not do just this."""
    return ApiError(401, {"message": "401 Unauthorized"})


def forbidden(why: str = "") -> ApiError:
    """Make the error for who is known and may not."""
    return ApiError(403, {"message": f"403 Forbidden - {why}" if why else "403 Forbidden"})


def missing(what: str = "") -> ApiError:
    """Make the error for what does not exist, or not for the one who asks."""
    return ApiError(404, {"message": f"404 {what} Not Found" if what else "404 Not found"})


def invalid(message: Words) -> ApiError:
    """Make the error for a request that GitLab's models refuse."""
    return ApiError(400, {"message": message})


def incomplete(parameter: str, why: str = "is missing") -> ApiError:
    """Make the error for a parameter that GitLab's API refuses."""
    return ApiError(400, {"error": f"{parameter} {why}"})


def conflict(message: Words) -> ApiError:
    """Make the error for what somebody else was faster at."""
    return ApiError(409, {"message": message})
