"""The labels in a commit, by what a DataPipeline says of where they are; pure but for reading tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.reconcile.datapipeline import NOTE, UnusableLabelsError, in_folders, in_note, in_tables, matching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cdl.api.v1alpha1.datapipeline import Labels
    from cdl.reconcile.datapipeline import LabelRow

    Read = Callable[[str], bytes]
    """Gives the content of a file by its path; nothing for a note that is not there."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the labels of one side amount to."""

    digest: str
    rows: int
    fault: str = ""


def labelled(files: Mapping[str, str], labels: Labels, reported_rows: int, read: Read) -> Labelled:
    """Count the labels among files, path to digest, and give the digest that stands for them."""
    if labels.source == "file":
        # what is in them only training knows: they stand for themselves, and a step may have counted their rows
        found = [[path, files[path]] for path in matching(files, labels.path)]
        return Labelled(digest(found), reported_rows or len(found))
    try:
        rows = rows_in(files, labels, read)
    except UnusableLabelsError as error:
        return Labelled("", 0, str(error))
    return Labelled(digest([[row.item, row.label] for row in rows]), len(rows))


def rows_in(files: Mapping[str, str], labels: Labels, read: Read) -> tuple[LabelRow, ...]:
    """Give the label rows; none where only training can read the files of labels.

    Raises:
        UnusableLabelsError: tables do not say one label for each item, or somebody else wrote the note.
    """
    if labels.column is not None:
        return in_tables(((path, read(path)) for path in matching(files, labels.column.files)), labels.column)
    told = read(NOTE) if labels.source == "labelStudio" else b""
    if told:
        return in_note(told)
    return () if labels.source == "file" else in_folders(sorted(files))
