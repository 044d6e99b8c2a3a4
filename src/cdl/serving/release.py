"""The release document: which bytes may be served, named by digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import rfc8785

from cdl.serving.faults import Refused

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ENTRYPOINT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
LARGEST_EXACT = 2**53
DOCUMENT_LIMIT = 16 << 20  # a document lists files; it does not hold them


@dataclass(frozen=True)
class Archive:
    """A tar.gz of code: where it is and what its bytes must hash to."""

    member: str
    path: Path
    digest: str


@dataclass(frozen=True)
class Checkpoint:
    """A folder of files, each with the digest its bytes must have."""

    uuid: str
    root: Path
    files: Mapping[str, str]


@dataclass(frozen=True)
class Release:
    """One immutable version of a model: its name and everything needed to serve it."""

    model: str
    version: str
    digest: str
    archives: tuple[Archive, ...]
    entrypoint: str
    checkpoint: Checkpoint

    @property
    def name(self) -> str:
        """The release's own name, as the platform writes it."""
        return f"{self.model}-{self.version}"


def sha256(content: bytes) -> str:
    """Digest of some bytes, in the form every document here uses."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical(value: object) -> bytes:
    """The one spelling of a JSON value that digests are taken of: RFC 8785."""
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # it was JSON a moment ago
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise Refused(f"release document has no canonical form: {error}") from error


def _whole(digits: str) -> int | float:
    """Read a whole number; one beyond what a double holds exactly is the double that every reader makes of it."""
    number = int(digits)
    return number if abs(number) < LARGEST_EXACT else float(number)


def read(uri: str, digest: str) -> Release:
    """Read the document at uri and refuse it unless its members have exactly this digest."""
    path = local_path(uri, "release_uri")
    try:
        with path.open("rb") as file:
            content = file.read(DOCUMENT_LIMIT + 1)
    except OSError as error:
        raise Refused(f"release document {path} cannot be read: {error.strerror}") from error
    if len(content) > DOCUMENT_LIMIT:
        raise Refused(f"release document {path} is larger than {DOCUMENT_LIMIT >> 20} MiB")
    try:
        document = json.loads(content, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise Refused(f"release document {path} is not JSON: {error}") from error
    return _checked(_mapping(document, "document"), digest)


def local_path(uri: str, member: str) -> Path:
    """Turn a file:// URI into a path; other schemes are refused by name."""
    parts = urlsplit(uri)
    if parts.scheme == "" and uri.startswith("/"):
        return Path(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise Refused(f"release member {member} is at {uri!r}; this server reads file:///absolute/path only")
    return Path(unquote(parts.path))


def _checked(document: Mapping[str, object], digest: str) -> Release:
    members = _mapping(document.get("members"), "members")
    found = sha256(canonical(members))
    for where, expected in (("the deployment", digest), ("the document", _text(document, "digest", "document"))):
        if found != expected:
            raise Refused(
                f"release member members does not have its digest: expected {expected} (from {where}), found {found}"
            )
    code = _mapping(members.get("code"), "code")
    serve = _mapping(code.get("serve"), "code.serve")
    entrypoint = _text(serve, "entrypoint", "code.serve")
    if not ENTRYPOINT.fullmatch(entrypoint):
        raise Refused(f"release member code.serve.entrypoint is {entrypoint!r}; expected module:Class")
    return Release(
        model=_text(document, "model", "document"),
        version=_version(document.get("version")),
        digest=found,
        archives=tuple(_archive(code, side) for side in ("model", "serve")),
        entrypoint=entrypoint,
        checkpoint=_checkpoint(_mapping(members.get("checkpoint"), "checkpoint")),
    )


def _version(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise Refused("release document has no version; expected a number")
    return str(value)


def _archive(code: Mapping[str, object], side: str) -> Archive:
    member = f"code.{side}"
    entry = _mapping(code.get(side), member)
    uri = _text(entry, "uri", member)
    return Archive(
        member, local_path(uri, f"{member}.uri"), _digest(_text(entry, "digest", member), f"{member}.digest")
    )


def _checkpoint(entry: Mapping[str, object]) -> Checkpoint:
    files = {
        _relative(name): _digest(digest, f"checkpoint.files[{name!r}]")
        for name, digest in _mapping(entry.get("files"), "checkpoint.files").items()
    }
    expected = _digest(_text(entry, "digest", "checkpoint"), "checkpoint.digest")
    found = sha256(canonical(files))
    if found != expected:
        raise Refused(f"release member checkpoint does not have its digest: expected {expected}, found {found}")
    root = local_path(_text(entry, "uri", "checkpoint"), "checkpoint.uri")
    return Checkpoint(_text(entry, "uuid", "checkpoint"), root, files)


def _relative(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name in ("", ".") or set("\0\\") & set(name):
        raise Refused(f"release member checkpoint.files names {name!r}; expected a plain relative path")
    return name


def _mapping(value: object, member: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Refused(f"release member {member} is missing or not an object")
    return value


def _text(entry: Mapping[str, object], key: str, member: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"release member {member} has no {key}; expected a text")
    return value


def _digest(value: object, member: str) -> str:
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise Refused(f"release member {member} is {value!r}; expected sha256: and 64 hexadecimal digits")
    return value
