"""What files in memory amount to: their digests and their labels."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.reconcile.datapipeline import (
    NOTE,
    LabelRow,
    UnusableLabelsError,
    files_digest,
    in_folders,
    in_note,
    in_tables,
    matching,
)

if TYPE_CHECKING:
    from cdl.api.v1alpha1.datapipeline import Labels

Files = dict[str, bytes]


def counted(files: Files, labels: Labels) -> tuple[str, str, int, str]:
    """Give the digest of files and of their labels, how many labels there are, and what is wrong with them."""
    whole = files_digest(manifest_of(files))
    try:
        rows = rows_of(files, labels)
    except UnusableLabelsError as error:
        return whole, "", 0, str(error)
    return whole, digest([[row.item, row.label] for row in rows]), len(rows), ""


def rows_of(files: Files, labels: Labels) -> tuple[LabelRow, ...]:
    """Give the label rows of files.

    Raises:
        UnusableLabelsError: they do not say one label for each item.
    """
    told = files.get(NOTE.lstrip("/"), b"") if labels.source == "labelStudio" else b""
    if told:
        return in_note(told)
    if labels.column is None:
        return in_folders(f"/{path}" for path in sorted(files))
    named = {f"/{path}": content for path, content in files.items()}
    return in_tables(((path, named[path]) for path in matching(named, labels.column.files)), labels.column)


def manifest_of(files: Files) -> dict[str, str]:
    """Give path and digest of the files that training reads."""
    return {f"/{path}": hashlib.sha256(raw).hexdigest() for path, raw in files.items() if not path.startswith("_")}
