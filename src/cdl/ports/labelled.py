"""Where labels that people gave are kept and versioned, beside the data they are about (Pachyderm)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.reconcile.datapipeline import Arrange, KeptSeen


class LabelledData(Protocol):
    """Labels of DataPipelines as commits; owner is the resource's key. `DataEngine.forget` removes them too."""

    def look(self, owner: Key) -> KeptSeen:
        """Report the newest commit of labels, and of the labelled files of each side, with what they were called.

        Changes nothing. Of an owner that is not known there is no commit. Only finished commits without error count.
        """

    def keep(self, owner: Key, key: str, table: bytes) -> None:
        """Make the newest commit of labels hold this table alone, in one commit called by key.

        A second call with the key of the newest changes nothing. A commit half written by a caller that died is given
        up: it never becomes visible and never blocks this call.
        """

    def arrange(self, owner: Key, wanted: Arrange) -> None:
        """Make the labelled files of a side be those that `wanted` names, each at its place, and its note beside them.

        One commit called by its key, with the same promises as `keep`. What made the files also made this commit, for
        `DataHistory.evidence`; its labels are those of the note.

        Raises:
            Rejected: a file to be arranged is not in the commit.
            Conflict: the commit is not there.
        """
