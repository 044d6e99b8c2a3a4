"""The data engine: versioned repositories and steps over them (Pachyderm)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
    from cdl.reconcile.datapipeline import DataSeen, LabelRow, StepWish
    from cdl.reconcile.release import SideFound


class DataHistory(Protocol):
    """What was committed once: a commit is known by its repository's name and its id, as a Release names it."""

    def manifest(self, repo: str, commit: str, namespace: str = "default") -> Mapping[str, str] | None:
        """Give the files of a finished commit that training reads, path to digest; None: the commit is not there.

        Paths begin with a slash; notes, whose top names begin with an underscore, are left out. `files_digest` of what
        is given is the digest that `look` reports of the same files. Reads it afresh and changes nothing.
        """

    def evidence(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> SideFound | None:
        """Say what a finished commit amounts to, counted as `look` counts manifests; None: the commit is not there.

        With the programs that made it, first to last, each by what its step's wish called `program`; the steps of
        today do not matter, but those that were there when the commit was made. Reads it afresh and changes nothing.
        """

    def labels(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> tuple[LabelRow, ...] | None:
        """Give the label rows of a finished commit, as `labels` says where they are; None: the commit is not there.

        They are what the digest and the count of `look` are about, in the same order; none where only training can
        read the files of labels. Reads it afresh and changes nothing.

        Raises:
            Rejected: tables do not say one label for each item.
        """

    def export(self, repo: str, commit: str, folder: Path, namespace: str = "default") -> None:
        """Write the files that `manifest` names below an empty folder, each at its path.

        Raises:
            Rejected: the commit is not there.
        """


class DataEngine(DataHistory, Protocol):
    """Repositories, commits and steps of DataPipelines; owner is the resource's key."""

    def look(self, owner: Key, spec: DataPipelineSpec) -> DataSeen:
        """Report sides, steps of the spec, strays and, when the last step is done, manifests.

        Changes nothing. An unknown owner is an empty report: two sides without a head, every step without a wish.
        Only finished commits without error are heads of sides. A side without steps has its input as manifest.
        Strays are the owner's pipelines that no step of the spec asks for, each before those it reads.
        """

    def ingest(self, owner: Key, side: Side, key: str, folder: Path) -> None:
        """Make the head of a side's input repository hold exactly the folder's files, in one commit called by key.

        A second call with the key of the head changes nothing. A commit half written by a caller that died is
        given up: it never becomes visible and never blocks this call. Equal files keep their identity, so that
        later steps process only what changed.
        """

    def ensure_step(self, owner: Key, side: Side, wish: StepWish, reads: str, like: Key | None = None) -> None:
        """Make the step's pipeline over a side be as wished, reading the output of the step called reads.

        With reads empty it reads the side's input repository.

        A second call with an equal wish changes nothing and runs nothing. A changed wish processes everything again.
        What an equal step of the DataPipeline `like` made last of equal files is taken over, where neither the step nor
        what it reads was computed here before: nothing runs, the step is done at once, and it is the owner's own, that
        stays whatever becomes of the other one. It stands for what the step reads now; nothing later is made of it.
        """

    def remove_stray(self, owner: Key, name: str) -> None:
        """Remove the pipeline that `look` called a stray by this name, and its output repository.

        Removing what is not there is a success.

        Raises:
            Rejected: the pipeline is not the owner's, or another one reads its output.
        """

    def forget(self, owner: Key) -> None:
        """Remove every repository and pipeline of the owner. Removing what is not there is a success."""
