"""Collecting data from outside: fetch, check, take apart, divide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from cdl.api.v1alpha1.datapipeline import Side, Source, Split
    from cdl.reconcile.datapipeline import SourceSeen


class SourceCollector(Protocol):
    """Sources of DataPipelines, fetched once and kept by their content."""

    def look(self, sources: tuple[Source, ...]) -> tuple[SourceSeen, ...]:
        """Say which sources are at hand, with the digest of their bytes; fetches nothing.

        With the newest due time that each was fetched for, where it ever was fetched for one.
        """

    def collect(self, source: Source, due: datetime | None = None) -> None:
        """Fetch a source, its mirrors after it, and check it. A second call for what is at hand changes nothing.

        With `due`, what is at hand is fetched again, unless that was done for this due time or a later one already.
        A fetch that fails leaves what is at hand.

        Raises:
            Rejected: with reason SourceUnusable; one sentence names the source, what was found and what is expected.
            Unavailable: nobody answered at any of its places.
        """

    def lay_out(self, sources: tuple[Source, ...], split: Split | None, side: Side) -> Path:
        """Give a folder with exactly the files of a side, unpacked and divided.

        Same sources, same split: same files on each side. Equal contents never lie on both sides of a split.

        Raises:
            Rejected: with reason SourceUnusable when an archive cannot be taken apart.
        """
