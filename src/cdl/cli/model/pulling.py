"""Write a Release to a folder: every member is verified there, before the folder gets its name."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from cdl.cli.refusal import Refusal
from cdl.reconcile.release import pulled as texts
from cdl.reconcile.release.statement import member
from cdl.stores.artifacts import inside, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.ports.artifacts import ArtifactStore
    from cdl.reconcile.release.papers import Papers

    from .places import Places

SUMS, RELEASE = "SHA256SUMS", "release.json"
IMPORTS = re.compile(rb"^\s*(?:from|import)\s+cdl\b", re.MULTILINE)
DOCUMENTS = {
    "config.json": ("experiment", "config"),
    "report.json": ("evaluation", "report"),
    "lock.json": ("environment", "lock"),
}


def pull(places: Places, papers: Papers, target: Path) -> str:
    """Write it, whole or not at all; what an interrupted pull has left is gone on with. Gives what to tell.

    Raises:
        Refusal: the target holds something else, or it cannot be written.
        Rejected: a member is missing, or is not what its digest says.
    """
    name = f"{papers.release.spec.model}@{papers.release.spec.version}"
    if _holds(papers, target):
        return f"{target} holds {name} already, every file as it was pulled"
    try:
        with _partial(target) as fresh:
            files = _written(places, papers, fresh)
            _seal(fresh, files, target)
    except OSError as error:
        message = f"{target}: cannot be written: {error.strerror or error}"
        raise Refusal(message) from error
    return f"wrote {name} to {target}: {len(files)} files; {target}/README.md says how to load it"


def _holds(papers: Papers, target: Path) -> bool:
    """Say whether the very release lies there whole; False: it may be written.

    Raises:
        Refusal: something else lies there.
    """
    if not target.absolute().parent.is_dir():
        message = f"{target}: there is no folder {target.absolute().parent} to write into"
        raise Refusal(message)
    if not target.exists() and not target.is_symlink():
        return False
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return False
    allowed = f"allowed: a new folder, an empty one, or {papers.release.spec.model}@{papers.release.spec.version} whole"
    try:
        kept = json.loads((target / RELEASE).read_text(encoding="utf-8"))["spec"]["digest"]
        lines = (target / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, TypeError, LookupError):
        kept, lines = "", []
    if kept != papers.release.spec.digest:
        message = f"{target}: is not empty, {allowed}"
        raise Refusal(message)
    for line in lines:
        wanted, _, path = line.partition("  ")
        if not (target / path).is_file() or _sha256(target / path) != wanted:
            message = f"{target}: {path} is missing or has changed since it was pulled, {allowed}"
            raise Refusal(message)
    return True


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give the folder beside the target that is filled; nobody else fills it meanwhile. It outlives an interruption."""
    fresh = target.absolute().with_name(f".{target.name}.partial")
    if fresh.is_symlink() or fresh.is_file():
        fresh.unlink()
    fresh.mkdir(exist_ok=True)
    handle = os.open(fresh, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{target}: somebody else is pulling into it at this moment"
            raise Refusal(message) from error
        for link in [p for p in fresh.rglob("*") if p.is_symlink()]:
            link.unlink()  # what is written stays in here
        yield fresh
    finally:
        os.close(handle)


def _written(places: Places, papers: Papers, fresh: Path) -> dict[str, str]:
    """Write every file; gives path and sha256 of each."""
    release, artifacts = papers.release, places.artifacts
    files = _weights(places, papers, fresh)
    ours = False
    for part in ("model", "serve"):
        said = member(release, "code", part)
        if not said:
            continue
        uri, digest = str(said.get("uri")), _bare(said.get("digest"))
        content = artifacts.fetch(uri, digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            message = f"{release.metadata.name}: code.{part} changed while it was read"
            raise Refusal(message)
        folder = fresh / "code" / part
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = unpack(content, folder, f"{release.metadata.name}: code.{part}")
        files |= {f"code/{part}/{path}": sha256 for path, sha256 in made.items()}
        ours = ours or (part == "serve" and any(IMPORTS.search((folder / p).read_bytes()) for p in made))
        click.echo(f"code {part}: {len(made)} files", err=True)
    for path, content in _documents(artifacts, papers, ours=ours).items():
        _write(fresh / path, content)
        files[path] = hashlib.sha256(content).hexdigest()
    return files


def _weights(places: Places, papers: Papers, fresh: Path) -> dict[str, str]:
    """Copy the files of the checkpoint; one that is there already and right stays."""
    said = member(papers.release, "checkpoint")
    place, recorded = str(said.get("uri")).rstrip("/"), said.get("files")
    files: dict[str, str] = {}
    for name, digest in sorted(recorded.items()) if isinstance(recorded, dict) else ():
        if not inside(name):
            message = f"{papers.release.metadata.name}: checkpoint.files names {name!r}, expected a path inside of it"
            raise Refusal(message)
        wanted, copy = _bare(digest), fresh / "checkpoint" / name
        if not (copy.is_file() and not copy.is_symlink() and _sha256(copy) == wanted):
            places.copy(f"{place}/{quote(name)}", wanted, copy)
        click.echo(f"checkpoint {name}: {copy.stat().st_size} bytes", err=True)
        files[f"checkpoint/{name}"] = wanted
    return files


def _documents(artifacts: ArtifactStore, papers: Papers, *, ours: bool) -> dict[str, bytes]:
    """Give everything that is written beside code and weights."""
    release = papers.release
    made = {
        RELEASE: _json(release.plain()),
        "README.md": texts.readme(papers, imports_ours=ours).encode(),
        "CARD.md": texts.card(papers).encode(),
        "requirements.txt": texts.requirements(papers).encode(),
        "load.py": resources.files("cdl.serving").joinpath("alone.py").read_bytes(),
    }
    for file, path in DOCUMENTS.items():
        said = member(release, *path)
        if said.get("uri"):
            made[f"documents/{file}"] = artifacts.fetch(str(said["uri"]), _bare(said.get("digest"))).read_bytes()
    told = [kind for kind, _ in papers.addresses()]
    for kind, envelope in zip(told, papers.statements, strict=True):
        made[f"documents/{kind}.dsse.json"] = _json(envelope)
    return made


def _seal(fresh: Path, files: dict[str, str], target: Path) -> None:
    """Take away what does not belong here, read everything once more, and give the folder its name."""
    _write(fresh / SUMS, texts.sums(files).encode())
    there = {p.relative_to(fresh).as_posix(): p for p in fresh.rglob("*") if p.is_symlink() or not p.is_dir()}
    for path in there.keys() - files.keys() - {SUMS}:
        there[path].unlink()
    for path, wanted in files.items():
        if _sha256(fresh / path) != wanted:
            message = f"{target}: {path} did not arrive as it is; another try reads it again"
            raise Refusal(message)
    fresh.chmod(0o755)
    fresh.replace(target)


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    place.write_bytes(content)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _bare(digest: object) -> str:
    return str(digest).removeprefix("sha256:")


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
