"""The official programs, fetched and checked: envtest's archive, and the controller manager that is not in it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import platform
import re
import shutil
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from .binaries import NEEDED, ControlPlaneError, cache, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INDEX = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
RELEASES = "https://dl.k8s.io/release"
IN_ARCHIVE = ("etcd", "kube-apiserver", "kubectl")
MANAGER = NEEDED[2]
CONNECT_SECONDS = 10
TRIES = 2
BLOCK = 1 << 20
FINAL = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch, and from where."""

    mirror: str = ""
    """Stands before every address, the scheme left out: MIRROR/dl.k8s.io/release/..."""
    version: str = ""
    """As in v1.30.0; empty: the newest."""


def architecture() -> str:
    """Name this processor as Go does."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def fetch(wish: Wish, say: Callable[[str], None]) -> Path:
    """Give the folder in the cache that holds the programs of a release.

    Raises:
        ControlPlaneError: they cannot be fetched, or are not what was promised.
    """
    version, address, digest = _chosen(wish)
    with _alone() as folder:
        there = cache() / version
        if all(program(there / name) for name in NEEDED):
            return there
        say(f"fetching Kubernetes {version}: etcd, kube-apiserver, kubectl")
        archive = _fetched(wish, address, folder / "envtest.tar.gz", "sha512", digest)
        made = folder / version
        made.mkdir()
        _unpack(archive, made)
        _manager(wish, version, made, say)
        shutil.rmtree(there, ignore_errors=True)
        made.rename(there)
        return there


def fetch_manager(wish: Wish, version: str, say: Callable[[str], None]) -> Path:
    """Give the controller manager of a release, for an API server that came without.

    Raises:
        ControlPlaneError: it cannot be fetched, or is not what was promised.
    """
    there = cache() / version / MANAGER
    with _alone() as folder:
        if not program(there):
            _manager(wish, version, folder, say)
            there.parent.mkdir(parents=True, exist_ok=True)
            (folder / MANAGER).rename(there)
    return there


def _chosen(wish: Wish) -> tuple[str, str, str]:
    """Give version, address and checksum of the archive."""
    name = f"linux-{architecture()}"
    try:
        index: Any = yaml.safe_load(_read(wish, INDEX))
        releases = {str(v): dict(files) for v, files in index["releases"].items() if FINAL.fullmatch(str(v))}
        fitting = {v: one for v, files in releases.items() for n, one in files.items() if f"-{name}." in n}
        version = wish.version or max(fitting, key=_numbers, default="")
        chosen = fitting.get(version)
        if chosen is None:
            held = ", ".join(sorted(fitting, key=_numbers)) or "none"
            raise ControlPlaneError(f"envtest has no release {version} for {name}; it has {held}")
        return version, str(chosen["selfLink"]), str(chosen["hash"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ControlPlaneError(f"envtest's list of releases cannot be read: {error!r}") from error


def _manager(wish: Wish, version: str, folder: Path, say: Callable[[str], None]) -> None:
    say(f"fetching Kubernetes {version}: {MANAGER}")
    address = f"{RELEASES}/{version}/bin/linux/{architecture()}/{MANAGER}"
    digest = _read(wish, f"{address}.sha256").decode(errors="replace").split()[:1]
    path = _fetched(wish, address, folder / MANAGER, "sha256", "".join(digest))
    path.chmod(0o555)


def _unpack(archive: Path, folder: Path) -> None:
    """Take the programs out of an archive, whatever folder they are in there."""
    try:
        with tarfile.open(archive) as held:
            for member in held:
                name = member.name.rpartition("/")[2]
                content = held.extractfile(member) if member.isreg() and name in IN_ARCHIVE else None
                if content is not None:
                    with content, (folder / name).open("wb") as file:
                        shutil.copyfileobj(content, file, BLOCK)
                    (folder / name).chmod(0o555)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ControlPlaneError(f"{archive.name} cannot be unpacked: {error}") from error
    missing = [name for name in NEEDED[:2] if not program(folder / name)]
    if missing:
        raise ControlPlaneError(f"{archive.name} has no {', '.join(missing)}")


def _fetched(wish: Wish, address: str, path: Path, form: str, digest: str) -> Path:
    """Fetch a file, whole and as promised."""
    found = ""
    for _ in range(TRIES):
        seen = hashlib.new(form)
        try:
            with _opened(wish, address) as answer, path.open("wb") as file:
                while block := answer.read(BLOCK):
                    seen.update(block)
                    file.write(block)
        except (OSError, http.client.HTTPException) as error:
            found = f"{address} broke off: {error}"
            continue
        if seen.hexdigest() == digest.strip().lower():
            return path
        found = f"{address} has another checksum than promised ({form} {seen.hexdigest()[:12]}…, not {digest[:12]}…)"
    raise ControlPlaneError(found)


def _read(wish: Wish, address: str) -> bytes:
    try:
        with _opened(wish, address) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ControlPlaneError(f"{address} broke off: {error}") from error


@contextlib.contextmanager
def _opened(wish: Wish, address: str) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(address)
    there = f"{wish.mirror.rstrip('/')}/{parts.netloc}{parts.path}" if wish.mirror else address
    try:
        answer = urllib.request.urlopen(there, timeout=CONNECT_SECONDS)  # noqa: S310 - what it brings is checked
    except urllib.error.HTTPError as error:
        error.close()
        raise ControlPlaneError(f"{there} answers {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ControlPlaneError(f"{there} cannot be reached: {reason}") from error
    with answer:
        yield answer


@contextlib.contextmanager
def _alone() -> Iterator[Path]:
    """Hold the one folder that fetched files go to, empty at first and gone afterwards."""
    folder = cache() / "download"
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / ".download.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
