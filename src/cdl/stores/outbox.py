"""What a ledger could not be told yet, in files: one an entry, in the order of telling, sent as soon as it answers.

Reconciling never waits for a database. While anything waits here, everything goes here, so that the order holds.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from cdl.ports.errors import PortError, Rejected, Unavailable
from cdl.reconcile.record import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.ports.ledger import Ledger
    from cdl.reconcile.chain import Fault, Row

AGAIN_SECONDS = 2.0
BATCH = 100
REFUSED = "refused"
"""The folder of entries that the ledger will never take; there should be none."""

log = logging.getLogger(__name__)


class Outbox:
    """A Ledger that takes what it is told even while the real one does not answer."""

    def __init__(self, folder: Path, ledger: Ledger, again: float = AGAIN_SECONDS) -> None:
        """Send what a process before this one left in the folder."""
        self._folder, self._ledger, self._again = folder, ledger, again
        self._count = itertools.count()
        self._lock = threading.Lock()
        """Held to look at the folder and change it; never while the ledger is asked."""
        self._sending: threading.Thread | None = None
        with self._lock:
            if self._waiting():
                self._send_soon()

    @property
    def waiting(self) -> int:
        """How many entries the ledger was not told yet."""
        return len(self._waiting())

    def append(self, entries: Sequence[Entry]) -> None:
        """Tell the ledger, or keep for it what it cannot be told now.

        Raises:
            Unavailable: the entries can be kept nowhere.
        """
        if not self._kept_behind_others(entries):
            try:
                self._ledger.append(entries)
            except PortError as error:
                log.warning("the ledger was not told, its outbox keeps what happened: %s", error)
                with self._lock:
                    self._keep(entries)

    def rows(self, about: Key | None = None, since: datetime | None = None) -> Iterator[Row]:
        """Give the rows of the ledger; what waits is not among them."""
        return self._ledger.rows(about, since)

    def releases(self, namespace: str, name: str) -> tuple[str, ...]:
        """Give what the ledger kept of a Release."""
        return self._ledger.releases(namespace, name)

    def fault(self) -> Fault | None:
        """Say which row of the ledger is the first that was changed."""
        return self._ledger.fault()

    def _kept_behind_others(self, entries: Sequence[Entry]) -> bool:
        with self._lock:
            if not self._waiting():
                return False
            self._keep(entries)
            return True

    def _waiting(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))

    def _keep(self, entries: Sequence[Entry]) -> None:
        """Write the entries down for good, and see that somebody sends them."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for entry in entries:
                name = f"{time.time_ns():020d}-{next(self._count):08d}.json"
                _write(self._folder / name, entry.text())
            _sync(self._folder)
        except OSError as error:
            message = f"neither the ledger nor its outbox {self._folder} can be written: {error}"
            raise Unavailable(message) from error
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None or not self._sending.is_alive():
            self._sending = threading.Thread(target=self._send, name="cdl-outbox", daemon=True)
            self._sending.start()

    def _send(self) -> None:
        """Send until nothing waits."""
        while True:
            with self._lock:
                files = self._waiting()[:BATCH]
                if not files:
                    self._sending = None
                    return
            if not self._sent(files):
                time.sleep(self._again)

    def _sent(self, files: Sequence[Path]) -> bool:
        entries = [Entry.model_validate_json(text) for text in map(_read, files) if text]
        try:
            self._ledger.append(entries)
        except Rejected as error:
            if len(files) == 1:
                return self._refused(files[0], error)
            return all(self._sent([file]) for file in files)  # in their order, up to one that has to wait
        except PortError:
            return False
        for file in files:
            file.unlink(missing_ok=True)
        return True

    def _refused(self, file: Path, error: Rejected) -> bool:
        """Put aside what will never be taken, where others take it; where the tables are missing, wait for them."""
        try:
            next(iter(self._ledger.rows()), None)
        except PortError:
            return False
        log.error("the ledger refuses %s, which is kept aside: %s", file.name, error)
        (self._folder / REFUSED).mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            file.rename(self._folder / REFUSED / file.name)
        return True


def _read(path: Path) -> str:
    """Give what is kept in a file; nothing when another process has sent it meanwhile, which shares this outbox."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _sync(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
