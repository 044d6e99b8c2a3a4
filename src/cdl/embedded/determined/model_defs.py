"""Model definitions: the files of a request as one tar.gz, kept once per content."""

import base64
import binascii
import gzip
import hashlib
import io
import tarfile

from cdl.embedded.determined.errors import invalid
from cdl.embedded.determined.fields import Tree, items, text, whole
from cdl.embedded.determined.store import Store

DIRECTORY = 53
PERMISSIONS = 0o7777


def keep(store: Store, body: Tree) -> str:
    """Store the request's files and return their digest; the same files are kept once."""
    packed = _pack([file for file in items(body, "modelDefinition") if isinstance(file, dict)])
    digest = hashlib.sha256(packed).hexdigest()
    store.run("INSERT OR IGNORE INTO model_defs (digest, tgz) VALUES (?, ?)", digest, packed)
    return digest


def encoded(store: Store, digest: str) -> str:
    """Return the stored tar.gz as the wire carries it."""
    row = store.row("SELECT tgz FROM model_defs WHERE digest = ?", digest)
    return base64.b64encode(bytes(row["tgz"])).decode() if row else ""


def _pack(files: list[Tree]) -> bytes:
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in files:
            content = _content(file)
            member = tarfile.TarInfo(_inside(text(file, "path")))
            member.mtime = whole(file, "mtime")
            member.mode = whole(file, "mode", default=0o644) & PERMISSIONS
            if whole(file, "type") == DIRECTORY:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def _content(file: Tree) -> bytes:
    try:
        return base64.b64decode(text(file, "content"), validate=True)
    except binascii.Error as error:
        raise invalid(f"file {text(file, 'path')!r} is not base64: {error}") from error


def _inside(path: str) -> str:
    """Refuse a path that would leave the working folder."""
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise invalid(f"file path {path!r} must be relative and stay inside the model definition")
    return path
