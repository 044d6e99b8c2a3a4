"""What the stub engines keep: keyed creates in memory, and in a file that the next operator process reads."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from cdl.api.meta import Key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Kept:
    """Values by owner and name, in a journal that is written line by line. Safe to share between threads."""

    def __init__(self, journal: Path) -> None:
        """Take in what an earlier process wrote."""
        self._held: dict[Key, dict[str, str]] = {}
        self._changes: dict[Key, int] = {}
        self._lock = threading.Lock()
        journal.touch()
        for line in journal.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # the last one may be torn
                self._learn(*json.loads(line))
        self._file = journal.open("a", buffering=1)

    def of(self, owner: Key) -> Mapping[str, str]:
        """Give all of an owner's values."""
        with self._lock:
            return dict(self._held.get(owner, {}))

    def put(self, owner: Key, name: str, value: str) -> None:
        """Keep a value; what is kept already changes nothing."""
        with self._lock:
            if self._held.get(owner, {}).get(name) != value:
                self._note(owner, name, value)

    def count(self, owner: Key, name: str) -> int:
        """Give a name its number among its owner's, counted from 1; the same one every time."""
        with self._lock:
            number = self._held.get(owner, {}).get(name) or str(len(self._held.get(owner, {})) + 1)
            if name not in self._held.get(owner, {}):
                self._note(owner, name, number)
            return int(number)

    def forget(self, owner: Key) -> None:
        """Drop everything of an owner."""
        with self._lock:
            if owner in self._held:
                self._note(owner, "", "")

    def changes(self, kind: str) -> dict[Key, str]:
        """Give a text for each owner of a kind that changes whenever one of its values does."""
        with self._lock:
            return {owner: str(self._changes[owner]) for owner in self._held if owner.kind == kind}

    def _note(self, owner: Key, name: str, value: str) -> None:
        self._learn(owner.kind, owner.namespace, owner.name, name, value)
        self._file.write(json.dumps([owner.kind, owner.namespace, owner.name, name, value]) + "\n")

    def _learn(self, kind: str, namespace: str, of: str, name: str, value: str) -> None:
        owner = Key(kind, namespace, of)
        self._changes[owner] = self._changes.get(owner, 0) + 1
        if name:
            self._held.setdefault(owner, {})[name] = value
        else:
            self._held.pop(owner, None)
