"""What the model servers of a ModelDeployment printed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from kubernetes import client as kubernetes

from .door import door, there
from .translate import GROUP, PLURAL, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key

SECONDS = 10


class SeldonLogs:
    """Reads the logs that the stand-in for Seldon keeps; in a cluster they are the pods' own."""

    def __init__(self, api: str) -> None:
        """Talk to the API server at a URL; nothing is asked yet."""
        self._api = kubernetes.ApiClient(kubernetes.Configuration(host=api.rstrip("/")))

    def lines(self, owner: Key) -> Iterator[str]:
        """Give the lines of every server, each with its predictor; changes nothing.

        An owner without servers has no lines.
        """
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{quote(owner.namespace)}/{PLURAL}/{quote(owner.name)}/log"
        with door(f"reading the logs of ModelDeployment {owner.name}"):
            answer = there(
                lambda: self._api.call_api(
                    path, "GET", response_type="str", _request_timeout=SECONDS, _return_http_data_only=True
                )
            )
        yield from str(answer or "").splitlines()
