"""The files of one commit at Pachyderm: which there are, and a stream of those that are missing.

The listing is read by hand: the SDK takes a quarter of a millisecond for each file of it.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.training.versions import Dataset

if TYPE_CHECKING:
    from pachyderm_sdk import Client
    from pachyderm_sdk.api import pfs

FILES = "/[!_]*"
"""Everything but reports and other notes: their names start with an underscore."""
NOTES = "/_"
PIECE = 1 << 20
FILE = 1
"""FileType.FILE."""
LENGTH_DELIMITED = 2


@dataclass(frozen=True)
class Commit:
    """One commit, and the client that asks about it."""

    client: "Client"
    handle: "pfs.Commit"

    @classmethod
    def of(cls, dataset: Dataset) -> "Commit":
        """Reach a dataset version; nothing is asked yet."""
        from pachyderm_sdk import Client
        from pachyderm_sdk.api import pfs

        client = Client(host=dataset.host, port=dataset.port, auth_token=dataset.token or None, tls=dataset.tls)
        repo = pfs.Repo(name=dataset.repo, type="user", project=pfs.Project(name=dataset.project))
        branch = pfs.Branch(repo=repo, name=dataset.branch)
        return cls(client, pfs.Commit(repo=repo, branch=branch, id=dataset.commit))

    def files(self) -> dict[str, int]:
        """List what training reads: path without its slash, and size; in the order of the archive."""
        from pachyderm_sdk.api import pfs

        request = bytes(pfs.WalkFileRequest(file=pfs.File(commit=self.handle, path="/")))
        call = self.client._channel.unary_stream("/pfs_v2.API/WalkFile")  # noqa: SLF001 - the SDK has no other door to its channel
        found = (_file(message) for message in call(request))
        return {path.lstrip("/"): size for path, size in found if path and not path.startswith(NOTES)}

    def archive(self, first: str) -> tarfile.TarFile:
        """Stream the files from this one on; a store that knows no ranges sends those before it as well."""
        from pachyderm_sdk.api import pfs
        from pachyderm_sdk.api.pfs.file import PFSFile, PFSTarFile

        wanted = pfs.File(commit=self.handle, path=FILES)
        stream = self.client.pfs.get_file_tar(file=wanted, path_range=pfs.PathRange(lower=f"/{first}", upper=""))
        # tarfile copies what is left of its own buffer at each read: that one stays small, ours is large
        source = io.BufferedReader(PFSFile(stream), buffer_size=PIECE)
        opened: tarfile.TarFile = PFSTarFile.open(fileobj=source, mode="r|")
        return opened


def _file(message: bytes) -> tuple[str, int]:
    """Read a FileInfo: the path and size of a file, and no path for a folder."""
    found = dict(_fields(message))
    file, size = found.get(1, b""), found.get(4, 0)
    if found.get(2) != FILE or not isinstance(file, bytes) or not isinstance(size, int):
        return "", 0
    path = dict(_fields(file)).get(2, b"")
    return path.decode() if isinstance(path, bytes) else "", size


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: number, and its varint or its bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == LENGTH_DELIMITED:
            yield key >> 3, message[at : at + value]
            at += value
        else:  # FileInfo and File have no fields of fixed width
            yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
