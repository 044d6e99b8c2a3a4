"""Fetch from one place: a file, a web address, an object store, a database or a commit of a git repository."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from . import buckets, queries
from .faults import PlaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

TIMEOUT = httpx.Timeout(60, connect=10)
GIT_SECONDS = 1800
GIT = re.compile(r"^git\+(?P<url>(?:https|file)://[^@#\s]+)@(?P<commit>[0-9a-f]{40})(?:#(?P<folder>[^#\s]+))?$")
PIECE = 1 << 20
# No hooks, no prompts, no other transport than the one that was asked for.
CAREFUL = ("-c", "core.hooksPath=/dev/null", "-c", "credential.helper=", "-c", "protocol.ext.allow=never")


def name_of(uri: str) -> str:
    """What the file is called: the last component of the address."""
    git = GIT.match(uri)
    if git:
        return f"{_top(git)}.tar"
    parts = _split(uri)
    if parts.scheme == "s3" and (parts.path.endswith("/") or not parts.path):
        return buckets.name_in(uri)
    name = PurePosixPath(unquote(parts.path)).name or parts.netloc
    if not name.strip(".") or not name.isprintable():
        return "source"
    return f"{name}.csv" if parts.scheme == "postgresql" else name


def is_git(uri: str) -> bool:
    """A commit is its own checksum: what comes from there is compared by git, not by sha256."""
    return uri.startswith("git+")


def local_path(uri: str) -> str | None:
    """Give the path of a file URI; `file://folder/name` is relative, `file:///folder/name` absolute."""
    parts = _split(uri)
    return unquote(parts.netloc + parts.path) if parts.scheme == "file" else None


def _split(uri: str) -> SplitResult:
    """Take an address apart; one that cannot be has no parts, and whoever fetches it says so."""
    try:
        return urlsplit(uri)
    except ValueError:
        return urlsplit("")


def candidates(uri: str, roots: tuple[Path, ...]) -> Iterator[Path]:
    """List where the file of a URI may lie on this machine, likely places first."""
    path = local_path(uri)
    if path is not None and "\0" in path:
        return  # no file is called so, and the system would not even look
    if path is not None:
        for root in roots:
            inside = (root / path.lstrip("/")).resolve()
            if inside.is_relative_to(root.resolve()):
                yield inside
    name = name_of(uri)
    for root in roots:
        yield root / name
        yield from sorted(p / name for p in _folders(root))
    if path is not None and path.startswith("/"):
        yield Path(path)


def download(uri: str, out: IO[bytes], store: buckets.Buckets, query: str) -> None:
    """Write what the place gives to the open file; a database is asked the query.

    Raises:
        PlaceError: it gave nothing, or not all.
    """
    if is_git(uri):
        _from_git(uri, out)
    elif uri.startswith(("http://", "https://")):
        _from_web(uri, out)
    elif uri.startswith(buckets.SCHEME):
        store.fetch(uri, out)
    elif uri.startswith(queries.SCHEME):
        queries.rows(uri, query, out)
    else:
        raise PlaceError(f"{uri} is no address to fetch from", lasting=True)


def _folders(root: Path) -> list[Path]:
    try:
        return [p for p in root.iterdir() if p.is_dir()]
    except OSError:
        return []  # a root that is not there holds nothing; the message of a missing source names it


def _from_web(uri: str, out: IO[bytes]) -> None:
    try:
        with httpx.stream("GET", uri, follow_redirects=True, timeout=TIMEOUT) as answer:
            if answer.status_code != 200:
                busy = answer.status_code >= 500 or answer.status_code in {408, 425, 429}
                raise PlaceError(f"{uri} answered {answer.status_code} {answer.reason_phrase}", lasting=not busy)
            for piece in answer.iter_raw(PIECE):
                out.write(piece)
            expected = answer.headers.get("content-length")
            if expected is not None and answer.num_bytes_downloaded != int(expected):
                raise PlaceError(f"{uri} was cut off after {answer.num_bytes_downloaded} bytes", lasting=False)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise PlaceError(f"{uri} is no address to fetch from", lasting=True) from error
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        raise PlaceError(f"{uri} cannot be fetched ({why})", lasting=False) from error


def _top(git: re.Match[str]) -> str:
    return PurePosixPath((git["folder"] or git["url"]).rstrip("/").removesuffix(".git")).name


def _from_git(uri: str, out: IO[bytes]) -> None:
    """Fetch exactly one commit and pack its folder, without the times that git would put in."""
    git = GIT.match(uri)
    if git is None:
        raise PlaceError(f"{uri}: allowed is git+https://host/repo@<40 hex digits of the commit>#folder", lasting=True)
    with tempfile.TemporaryDirectory(prefix="cdl-git-") as scratch:
        _git(scratch, "init", "--quiet", "--bare", ".", address=uri)
        _git(scratch, "fetch", "--quiet", "--depth=1", "--no-tags", git["url"], git["commit"], address=uri)
        tree = f"{git['commit']}:{git['folder'].strip('/')}" if git["folder"] else git["commit"]
        packed = Path(scratch) / "tree.tar"
        _git(scratch, "archive", "--format=tar", f"--output={packed}", tree, address=uri)
        _repack(packed, _top(git), out)


def _git(folder: str, *arguments: str, address: str) -> None:
    try:
        done = subprocess.run(
            ["git", *CAREFUL, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
            start_new_session=True,  # without a terminal there is nobody it could ask for a password
        )
    except FileNotFoundError as error:
        raise PlaceError(f"{address} needs the program git, which is not installed", lasting=True) from error
    except subprocess.TimeoutExpired as error:
        raise PlaceError(f"{address} did not answer within {GIT_SECONDS} s", lasting=False) from error
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line] or [f"git ended with {done.returncode}"]
        gone = any(word in done.stderr for word in ("not our ref", "Not a valid object", "not found", "not exist"))
        raise PlaceError(f"{address} cannot be fetched ({lines[-1]})", lasting=gone)


def _repack(packed: Path, top: str, out: IO[bytes]) -> None:
    """Equal trees give equal bytes: sorted, one mode, no times, no owners; links are left to `unpack` to refuse."""
    with tarfile.open(packed) as archive, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as plain:
        for member in sorted((m for m in archive if not m.isdir()), key=lambda m: m.name):
            fresh = tarfile.TarInfo(f"{top}/{member.name}")
            fresh.size, fresh.mode, fresh.type, fresh.linkname = member.size, 0o644, member.type, member.linkname
            content = archive.extractfile(member) if member.isreg() else None
            plain.addfile(fresh, content if content is not None else io.BytesIO())


def copy(path: Path, out: IO[bytes]) -> None:
    """Copy a file of this machine."""
    with path.open("rb") as file:
        shutil.copyfileobj(file, out, PIECE)
