"""The Kubernetes API in one small client: paths and plain documents in, plain documents or our four errors out.

Credentials, certificates and token renewal are the `kubernetes` library's; only its pool of connections is used,
because its models cost more than all the rest of a status write.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

from cdl.api.conditions import Reason
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Document = dict[str, Any]

CONNECTIONS = 20
READ_SECONDS = 30
WRITE_SECONDS = 5
"""Less than what lies between the end of a leader's term and the next one's: no write may come after that."""
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Api:
    """One API server and who we are to it. Safe to share between threads."""

    def __init__(self, configuration: Any, patience: float = READ_SECONDS) -> None:  # noqa: ANN401 - the library has no types
        """Keep the library's pool of connections; nothing is sent yet. No answer is waited for longer than patience."""
        self._patience = patience
        self.requested: Callable[[str, int], None] = lambda verb, status: None  # noqa: ARG005 - nobody listens yet
        """Hears of each request and its answer's status; 0: there was none."""
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.retries = False  # the loop tries again, and knows when
        self.configuration = configuration
        self.library = client.ApiClient(configuration)
        """The library's own client of the same server, for whoever is written against it."""
        self._pool = self.library.rest_client.pool_manager
        self._host = configuration.host.rstrip("/")

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, patience: float = READ_SECONDS) -> Self:
        """Reach the cluster a kubeconfig names; without one the cluster this process runs in, else the user's default.

        Raises:
            Rejected: there is no such file, or it names no cluster.
        """
        return cls(_configuration(kubeconfig), patience)

    def get(self, path: str, **query: str) -> Document | None:
        """Give a document; None when there is none."""
        return self._call("GET", path, query=query, missing_is_fine=True)

    def list(self, path: str, **query: str) -> Document:
        """Give a collection's document, with `items` and `metadata.resourceVersion`."""
        return self._sure("GET", path, query=query)

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> Document:
        """Post a document to a collection; Conflict when one of that name exists."""
        return self._sure("POST", path, body, query=query)

    def update(self, path: str, body: Mapping[str, Any], **query: str) -> Document:
        """Replace a document; Conflict when its resourceVersion is an old one."""
        return self._sure("PUT", path, body, query=query)

    def merge_patch(self, path: str, body: Mapping[str, Any], **query: str) -> Document | None:
        """Merge into a document; None when it is gone, Conflict when the resourceVersion in body is an old one."""
        return self._call("PATCH", path, body, query=query, content=MERGE_PATCH, missing_is_fine=True)

    def json_patch(self, path: str, steps: Iterable[Mapping[str, Any]], **query: str) -> Document | None:
        """Change a document step by step; None when it is gone."""
        return self._call("PATCH", path, list(steps), query=query, content=JSON_PATCH, missing_is_fine=True)

    def apply(self, path: str, body: Mapping[str, Any], manager: str) -> Document:
        """Apply on the server's side, taking every field named."""
        query = {"fieldManager": manager, "force": "true"}
        return self._sure("PATCH", path, body, query=query, content=APPLY_PATCH)

    def delete(self, path: str, body: Mapping[str, Any] | None = None, **query: str) -> Document | None:
        """Delete; None when there was nothing."""
        return self._call("DELETE", path, body, query=query, missing_is_fine=True)

    def _sure(self, method: str, path: str, body: object = None, **how: Any) -> Document:  # noqa: ANN401 - passed on
        answer = self._call(method, path, body, **how)
        if answer is None:
            message = f"{method} {path}: the API server does not know this path"
            raise Unavailable(message)  # a resource definition that is not served yet
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str],
        content: str = "application/json",
        missing_is_fine: bool = False,
    ) -> Document | None:
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "cdl"}
        try:
            for setting in self.configuration.auth_settings().values():  # a token may have been renewed
                headers[str(setting["key"])] = str(setting["value"])
            answer = self._pool.request(
                method,
                f"{self._host}{path}" + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body, allow_nan=False).encode(),
                headers=headers,
                timeout=min(self._patience, READ_SECONDS if method == "GET" else WRITE_SECONDS),
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self.requested(method, 0)
            message = f"the API server at {self._host} does not answer: {error}"
            raise Unavailable(message) from error
        self.requested(method, answer.status)
        if answer.status == 404 and missing_is_fine:
            return None
        document = _document(answer.data)
        if answer.status >= 400:
            raise _error(answer.status, document, f"{method} {path}")
        return document


def _document(data: bytes) -> Document:
    """What was answered; an API server that does not know a path answers in plain text."""
    try:
        read = json.loads(data)
    except ValueError:
        return {"message": data[:300].decode(errors="replace").strip()}
    return read if isinstance(read, dict) else {"message": str(read)[:300]}


def _error(status: int, document: Document, asked: str) -> PortError:
    said = f"{asked}: {document.get('message') or f'status {status}'}"
    match status:
        case 409:
            return Conflict(said)
        case 401 | 403:
            return NotPermitted(said)
        case 404:
            return Unavailable(said)  # a resource definition that is not served yet, or a namespace that is gone
        case 408 | 429:
            return Unavailable(said)
        case _ if status >= 500:
            return Unavailable(said)
        case _:
            return Rejected(said, Reason.INVALID_SPEC if status == 422 else Reason.ENGINE_REFUSED)


def _configuration(kubeconfig: Path | None) -> Any:  # noqa: ANN401 - the library has no types
    made = client.Configuration()
    try:
        if kubeconfig is not None:
            config.load_kube_config(config_file=str(kubeconfig), client_configuration=made)
        else:
            _of_this_place(made)
    except (config.ConfigException, OSError) as error:
        message = f"kubeconfig {kubeconfig or '(the default one)'} cannot be used: {error}"
        raise Rejected(message) from error
    return made


def _of_this_place(made: Any) -> None:  # noqa: ANN401 - the library has no types
    try:
        config.load_incluster_config(client_configuration=made)
    except config.ConfigException:
        config.load_kube_config(client_configuration=made)
