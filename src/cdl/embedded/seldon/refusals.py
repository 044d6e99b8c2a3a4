"""What the API says no with: Kubernetes' Status object."""

from __future__ import annotations

from collections.abc import Sequence

from cdl.embedded.seldon.fields import Object

GROUP = "machinelearning.seldon.io"
VERSION = "v1"
KIND = "SeldonDeployment"
PLURAL = "seldondeployments"


class Refusal(Exception):  # noqa: N818 - it is a verdict of the API, and Kubernetes calls the object Status
    """A request that is not carried out."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> Object:
        """Spell it as the API server does."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def _details(name: str, **more: object) -> Object:
    return {"name": name, "group": GROUP, "kind": PLURAL, **more}


def not_found(name: str) -> Refusal:
    """There is no such object."""
    return Refusal(404, "NotFound", f'{PLURAL}.{GROUP} "{name}" not found', _details(name))


def already_exists(name: str) -> Refusal:
    """There is such an object."""
    return Refusal(409, "AlreadyExists", f'{PLURAL}.{GROUP} "{name}" already exists', _details(name))


def conflict(name: str, why: str) -> Refusal:
    """The object is not the one that the caller has seen."""
    return Refusal(
        409, "Conflict", f'Operation cannot be fulfilled on {PLURAL}.{GROUP} "{name}": {why}', _details(name)
    )


def bad_request(message: str) -> Refusal:
    """The request cannot be read."""
    return Refusal(400, "BadRequest", message)


def invalid(name: str, faults: Sequence[tuple[str, str]]) -> Refusal:
    """The object breaks rules; every one is named by its field."""
    causes = [{"reason": "FieldValueInvalid", "message": why, "field": field} for field, why in faults]
    sentence = "; ".join(f"{field}: {why}" for field, why in faults)
    message = f'{KIND}.{GROUP} "{name}" is invalid: {sentence}'
    return Refusal(422, "Invalid", message, _details(name, causes=causes))


def gone(message: str) -> Refusal:
    """The history that a watch asks for is no longer kept."""
    return Refusal(410, "Expired", message)


def disk_full(message: str) -> Refusal:
    """Nothing was written."""
    return Refusal(507, "InternalError", f"the object was not stored: {message}")
