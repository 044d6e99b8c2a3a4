"""A logged-in line to one master: without the SDK's token file, with deadlines, renewed when it runs out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from determined.common import api
from determined.common.api import authentication, certs
from determined.common.api import errors as sdk
from determined.experimental.client import Determined

from .door import door

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60
T = TypeVar("T")


class _Session(api.Session):  # type: ignore[misc]  # the SDK is not followed for types
    """No method of the SDK takes a deadline: a master that hangs would hold its caller for ever."""

    def _do_request(self, method: str, path: str, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - the SDK's own
        named["timeout"] = named.get("timeout") or SECONDS
        return super()._do_request(method, path, *rest, **named)


class Master:
    """Where questions to the SDK go through."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Remember whom to ask; nobody is asked yet."""
        self._url = api.canonicalize_master_url(url)
        self._user, self._password = user, password
        self._client: Determined | None = None
        self._lock = threading.Lock()

    def ask(self, doing: str, work: Callable[[Determined, api.Session], T]) -> T:
        """Do the work with the SDK's client; a token that ran out is renewed once."""
        with door(doing):
            try:
                return self._do(work)
            except sdk.UnauthenticatedException:
                self._client = None
                return self._do(work)

    def _do(self, work: Callable[[Determined, api.Session], T]) -> T:
        with self._lock:
            if self._client is None:
                self._client = self._log_in()
            client = self._client
        return work(client, client._session)  # noqa: SLF001 - the generated bindings take it, and have no other source

    def _log_in(self) -> Determined:
        cert = certs.default_load(master_url=self._url)
        # The cached login of the SDK would write into the user's home and print advice about passwords.
        token = authentication.login(self._url, self._user, self._password, cert).token
        # Who asks again, and when, is the loop's business: a retry in here would only hold it up and log noise.
        session = _Session(master=self._url, username=self._user, token=token, cert=cert, max_retries=0)
        return Determined._from_session(session)  # noqa: SLF001 - as the det CLI does
