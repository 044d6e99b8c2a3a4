"""What the model servers of a ModelDeployment printed."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import urllib3

from .door import door
from .translate import GROUP, PLURAL, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key

SECONDS = 10


class SeldonLogs:
    """Reads the logs that the stand-in for Seldon keeps; in a cluster they are the pods' own."""

    def __init__(self, api: str) -> None:
        """Talk to the API server at a URL; nothing is asked yet."""
        self._api = api.rstrip("/")

    def lines(self, owner: Key) -> Iterator[str]:
        """Give the lines of every server, each with its predictor; changes nothing.

        An owner without servers has no lines.
        """
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{quote(owner.namespace)}/{PLURAL}/{quote(owner.name)}/log"
        with door(f"reading the logs of ModelDeployment {owner.name}"):
            answer = urllib3.request("GET", self._api + path, timeout=SECONDS)
        yield from answer.data.decode(errors="replace").splitlines() if answer.status == HTTPStatus.OK else ()
