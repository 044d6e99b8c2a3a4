"""The label store: which item had which label in which dataset version, who said so, and what it was before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import Dataset, Side
    from cdl.reconcile.datapipeline import LabelRow


@dataclass(frozen=True, slots=True)
class Stored:
    """The labels of one dataset version, as they are stored; rows by side, ordered by item."""

    version: str
    """The dataset version's digest."""
    snapshot: str
    """The digest of the labels in it; several versions may have the same."""
    source: str
    """Where the labels came from, as `labels.from` says it."""
    at: datetime
    """When they were stored first."""
    rows: Mapping[Side, Sequence[LabelRow]]


@dataclass(frozen=True, slots=True)
class Spell:
    """How an item was labelled for a while: from one dataset version up to another."""

    side: Side
    label: str
    annotator: str
    at: datetime
    """When somebody said so; where nobody knows, when it was stored first."""
    commit: str
    """The data commit it was first read from."""
    version: str
    """The first dataset version that had it."""
    until: str = ""
    """The first dataset version that had it no more; empty: the newest has it."""
    label_id: str = ""
    """The same for the same item in every version."""


class LabelStore(Protocol):
    """What dataset versions say of items; owner is the key of the DataPipeline. Old labels are never removed."""

    def newest(self, owner: Key) -> str:
        """Give the digest of the dataset version that was stored last; empty: none was."""

    def store(
        self, owner: Key, dataset: Dataset, source: str, rows: Mapping[Side, Sequence[LabelRow]], at: datetime
    ) -> None:
        """Make a dataset version the newest, with these labels, all or none.

        What it says otherwise of an item, or does not say any more, ends; what it says as before goes on. A second
        call with the version that is the newest changes nothing.
        """

    def stored(self, owner: Key, version: str) -> Stored | None:
        """Give the labels of a dataset version by its digest, as it was when it was stored last; None: it never was."""

    def history(self, owner: Key, item: str) -> tuple[Spell, ...]:
        """Give how an item was labelled, the first label first; a path that is on both sides has both, train first."""
