"""Questions to a Label Studio, and its errors turned into ours.

Every status and every way of not answering has a home; 404 is a fact for whoever asked (`there`), and an error only
where something was just seen.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

# It logs each question; an operator that listens to people would say nothing else.
logging.getLogger("httpx").setLevel(logging.WARNING)

SECONDS = 60
"""An import of a thousand tasks takes one or two."""
LARGEST = 256 << 20
"""Bytes of an answer that are read."""
LONGEST = 500
"""Characters of what the server says that are passed on."""
BY_STATUS: dict[int, type[PortError]] = {
    401: NotPermitted,
    403: NotPermitted,
    404: Conflict,
    408: Unavailable,
    409: Conflict,
    410: Conflict,
    425: Unavailable,
    429: Unavailable,
}
"""Statuses that do not mean what their hundred means: 4xx is refused, 5xx comes and goes."""


class Server:
    """A Label Studio."""

    def __init__(self, url: str, token: str, seconds: float = SECONDS) -> None:
        """Remember whom to ask; nobody is asked yet."""
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=f"{self.url}/api/",
            auth=Proof(self.url, token),
            timeout=seconds,
            trust_env=not _is_near(self.url),
            # A connection that was kept would be a dead one after each restart of the server.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, doing: str, path: str, **asked: str | int) -> Any:  # noqa: ANN401 - JSON of a stranger
        """Ask for something; `doing` begins the sentence when that fails."""
        return self._ask(doing, "GET", path, params=asked)

    def there(self, doing: str, path: str, **asked: str | int) -> Any | None:  # noqa: ANN401 - JSON of a stranger
        """Ask for something that need not be there; None: it is not."""
        try:
            return self.get(doing, path, **asked)
        except Conflict:
            return None

    def post(self, doing: str, path: str, content: object) -> Any:  # noqa: ANN401 - JSON of a stranger
        """Make something; it is tried once, for a lost answer does not say that nothing happened."""
        return self._ask(doing, "POST", path, content=content)

    def patch(self, doing: str, path: str, content: object) -> Any:  # noqa: ANN401 - JSON of a stranger
        """Change something."""
        return self._ask(doing, "PATCH", path, content=content)

    def delete(self, doing: str, path: str) -> None:
        """Remove something; what is not there is a success."""
        try:
            self._ask(doing, "DELETE", path)
        except Conflict:
            return

    def _ask(
        self, doing: str, method: str, path: str, params: Mapping[str, str | int] | None = None, content: object = None
    ) -> Any:  # noqa: ANN401 - JSON of a stranger
        # ASCII, so that whatever a text holds can be sent.
        sent = None if content is None else json.dumps(content, allow_nan=False).encode()
        head = {"Content-Type": "application/json"} if sent else {}
        try:
            with self._client.stream(method, path, params=params, content=sent, headers=head) as answer:
                body = self._read(doing, answer)
        except httpx.InvalidURL as error:
            raise Rejected(f"{doing}: {self.url} is no address of a Label Studio: {error}") from error
        except httpx.UnsupportedProtocol as error:
            raise Rejected(f"{doing}: {self.url} is no address of a Label Studio: {error}") from error
        except httpx.HTTPError as error:
            why = type(error).__name__
            raise Unavailable(f"{doing}: Label Studio at {self.url} does not answer ({why})") from error
        if not answer.is_success:
            raise self._refused(doing, answer, body)
        return self._understood(doing, body) if body else None

    def _read(self, doing: str, answer: httpx.Response) -> bytes:
        held = bytearray()
        for block in answer.iter_bytes():
            held += block
            if len(held) > LARGEST:
                raise Rejected(f"{doing}: Label Studio at {self.url} answers with more than {LARGEST >> 20} MiB")
        return bytes(held)

    def _understood(self, doing: str, body: bytes) -> Any:  # noqa: ANN401 - JSON of a stranger
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            # A page of HTML stands before a server that is being updated.
            raise Unavailable(f"{doing}: what answers at {self.url} does not speak as Label Studio does") from error

    def _refused(self, doing: str, answer: httpx.Response, body: bytes) -> PortError:
        status = answer.status_code
        if status in {401, 403}:
            return NotPermitted(f"{doing}: Label Studio at {self.url} answers {status}: {_said(body) or 'wrong token'}")
        if answer.is_redirect:
            there = answer.headers.get("location", "elsewhere")[:LONGEST]
            return Rejected(f"{doing}: {self.url} sends us to {there}; name the address of Label Studio itself")
        kind = BY_STATUS.get(status, Unavailable if status >= 500 else Rejected)
        said = _said(body) or f"it answers {status}"
        return kind(f"{doing}: Label Studio at {self.url}: {said}")


class Proof(httpx.Auth):
    """Who we are: a token of the old kind as it is; for one of the new kind (a JWT), what the server gives for it."""

    requires_response_body = True

    def __init__(self, url: str, token: str) -> None:
        """Keep the token; nobody is asked yet."""
        self._url = url
        self._token = _sendable(token.strip())
        self._short = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Show the token with a question."""
        if self._token.count(".") != 2:
            if self._token:
                request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        if self._short:
            request.headers["Authorization"] = f"Bearer {self._short}"
            answer = yield request
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return
        given = yield httpx.Request("POST", f"{self._url}/api/token/refresh/", json={"refresh": self._token})
        self._short = _access(given)
        request.headers.pop("Authorization", None)
        if self._short:
            request.headers["Authorization"] = f"Bearer {self._short}"
        yield request


def _access(answer: httpx.Response) -> str:
    """Read the token that lasts minutes; nothing, where none was given: then the question itself is refused."""
    try:
        found = json.loads(answer.content) if answer.is_success else None
    except (ValueError, RecursionError):
        return ""
    access = found.get("access") if isinstance(found, dict) else None
    return _sendable(access) if isinstance(access, str) else ""


def _sendable(token: str) -> str:
    """Give a token as it may stand in a header; nothing for what is none: then the server says so."""
    return token if token.isascii() and token.isprintable() and " " not in token else ""


def _said(body: bytes) -> str:
    """Read the sentence out of an error, with the field it is about; nothing out of a page of HTML."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    faults = found.get("validation_errors")
    if isinstance(faults, dict) and faults:
        field, told = next(iter(faults.items()))
        first = told[0] if isinstance(told, list) and told else told
        return _line(str(first) if field == "non_field_errors" else f"{field}: {first}")
    return _line(str(found.get("detail", "")))


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST]


def _is_near(url: str) -> bool:
    """Tell whether an address is on this machine, where no proxy leads."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
