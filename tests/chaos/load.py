"""A steady stream of predictions, at a bounded rate, that notes every answer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Self

import httpx


@dataclass(frozen=True, slots=True)
class Answered:
    """One request and what became of it."""

    at: float
    ok: bool
    digest: str = ""
    why: str = ""


class Load:
    """Asks for predictions as long as a with block lasts."""

    def __init__(self, url: str, rate: float = 20.0) -> None:
        """So many requests a second to a deployment's URL."""
        self._url, self._pause = url, 1 / rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="chaos-load")
        self.answers: list[Answered] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.wait(self._pause):
                self.answers.append(_one(client, self._url))


def _one(client: httpx.Client, url: str) -> Answered:
    at = time.time()
    try:
        answer = client.post(url, json={"data": {"ndarray": ["a note"]}})
    except httpx.HTTPError as error:
        return Answered(at, ok=False, why=f"{type(error).__name__}: {error}")
    if answer.status_code != 200:
        return Answered(at, ok=False, why=f"{answer.status_code} {answer.text[:200]}")
    tags = answer.json().get("meta", {}).get("tags", {})
    return Answered(at, ok=True, digest=str(tags.get("digest", "")))
