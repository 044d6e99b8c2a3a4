"""Egress: what a commit holds, copied to a folder of this machine that the command line allows."""

import os
import uuid
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cdl.embedded.pachd.blobs import Blobs
from cdl.embedded.pachd.engine import Options
from cdl.embedded.pachd.refusals import RefusedError, absent, invalid
from cdl.embedded.pachd.trees import Index
from cdl.embedded.pachd.wire import Msg


def url_of(target: Msg) -> str:
    """Tell where an egress goes; empty when there is none. Databases are refused: nothing would be written."""
    if target.HasField("sql_database"):
        raise absent("egress to a database is not offered by the embedded pachd; use a file:///… URL")
    if target.HasField("object_storage"):
        return str(target.object_storage.url)
    return str(target.URL) if "URL" in target.DESCRIPTOR.fields_by_name else ""


def folder_of(options: Options, url: str) -> Path:
    """Find the folder that a URL names, or refuse."""
    split = urlsplit(url)
    if split.scheme != "file" or split.netloc not in {"", "localhost"}:
        raise absent(f"egress to {url!r} is not offered by the embedded pachd; use a file:///… URL")
    folder = Path(unquote(split.path)).resolve()
    if not _is_below(options, folder):
        raise invalid(f"egress to {url!r} is not allowed: it is not below a folder given with --allow-egress-root")
    return folder


def _is_below(options: Options, path: Path) -> bool:
    return any(path.is_relative_to(root) for root in options.egress_roots)


def copy(options: Options, blobs: Blobs, index: Index, url: str) -> int:
    """Write every file of an index below a URL, each whole or not at all; tells how many bytes. In a thread."""
    folder = folder_of(options, url)
    size = 0
    for entry in index.files("/"):
        target = folder / entry.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _is_below(options, target.parent.resolve()):
            raise RefusedError(f"egress of {entry.path} is not allowed: a link leads out of --allow-egress-root")
        coming = target.with_name(f".{uuid.uuid4().hex}")
        try:
            blobs.write_to(coming, entry.parts)
            os.replace(coming, target)  # noqa: PTH105  replaces a file, and says so
        finally:
            coming.unlink(missing_ok=True)
        size += entry.size
    return size
