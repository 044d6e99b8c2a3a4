"""The files of a Release's data, listed once and kept beside it: names and contents outlive the data engine.

The list is no member. It needs not be: the version of the dataset, which is one, stands for exactly these files.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

from cdl.api.canonical import canonical, digest

from .finding import table, text
from .found import Differs, SideDiffers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release

FILES_ANNOTATION = "cdl.dev/files"
"""Where the list lies, on the Release."""
LEFT_OUT_ANNOTATION = "cdl.dev/files-left-out"
"""Why there is no list, on the Release."""
SUFFIX = ".json.gz"
SIDES = ("train", "test")
MOST = 200_000
"""Files of both sides together that are listed."""
LARGEST = 128 << 20
"""Bytes of a list that is read, unpacked."""
NAMED = 20
"""Files of one side that a verification names; the rest are counted."""

Files = dict[str, str]
"""Path to digest."""


def packed(sides: Mapping[str, Mapping[str, str]]) -> bytes:
    """Write a list down: the same files give the same bytes."""
    body: JsonValue = {side: dict(files) for side, files in sides.items()}
    return gzip.compress(canonical(body), mtime=0)


def too_many(sides: Mapping[str, Mapping[str, str]]) -> str:
    """Say why files are not listed; empty: they are."""
    count = sum(len(files) for files in sides.values())
    return f"{count} files; up to {MOST} are listed" if count > MOST else ""


def unpacked(body: bytes, largest: int = LARGEST) -> dict[str, Files]:
    """Read a list back.

    Raises:
        ValueError: it is none.
    """
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = json.loads(unzip.decompress(body, largest))
    except (zlib.error, ValueError) as error:
        message = f"the list of files cannot be read: {error}"
        raise ValueError(message) from error
    return {side: {str(p): str(d) for p, d in table(table(found).get(side)).items()} for side in SIDES}


def stands_for(release: Release, train: str, test: str) -> bool:
    """Tell whether the dataset's version stands for files of these two digests."""
    members = release.spec.members
    rest = [text(members.get("labels"), "snapshot"), text(members.get("transforms"), "digest")]
    return digest([train, test, *rest]) == text(members.get("data"), "version")


def address(release: Release) -> str:
    """Tell where the list of a Release lies; empty: there is none."""
    return release.metadata.annotations.get(FILES_ANNOTATION, "")


def unlisted(release: Release) -> str:
    """Say why a Release has no list."""
    why = release.metadata.annotations.get(LEFT_OUT_ANNOTATION, "")
    return f"the release has no list of them: {why or 'it was written before lists were kept'}"


def named_after(uri: str) -> str:
    """Tell the sha256 that a kept file is called by."""
    return uri.rpartition("/")[2].partition(".")[0]


def compared(listed: Mapping[str, str], found: Mapping[str, str]) -> SideDiffers:
    """Name the files that are not as listed."""
    paths = sorted(path for path in {*listed, *found} if listed.get(path) != found.get(path))
    first = tuple(Differs(path, listed.get(path, ""), found.get(path, "")) for path in paths[:NAMED])
    return SideDiffers(first, len(paths) - len(first))
