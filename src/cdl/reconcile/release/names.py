"""Names that exports give to what a Release consists of: made from digests, so that equal things are called alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import digest

if TYPE_CHECKING:
    from pydantic import JsonValue

VARIANT = "89ab"


def uuid_of(*parts: JsonValue) -> str:
    """Give a UUID that stands for these parts: version 8 of RFC 9562, whose bits are the maker's own business."""
    hexed = digest(list(parts)).removeprefix("sha256:")
    variant = VARIANT[int(hexed[16], 16) % 4]
    return f"{hexed[:8]}-{hexed[8:12]}-8{hexed[13:16]}-{variant}{hexed[17:20]}-{hexed[20:32]}"


def bare(sha256: JsonValue) -> str:
    """The hexadecimal digits of sha256:<hex>; nothing for anything else."""
    text = sha256 if isinstance(sha256, str) else ""
    return text.removeprefix("sha256:") if text.startswith("sha256:") else ""
