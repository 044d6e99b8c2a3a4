"""A project folder: `resources/*.yaml` beside the code they name."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from cdl.api.meta import AUTHORS_ANNOTATION, REVISION_ANNOTATION
from cdl.api.refusal import explain
from cdl.api.v1alpha1 import KINDS, parse
from cdl.stores.artifacts import DirectoryArtifacts, pack

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.v1alpha1 import Resource

LARGEST_FILE = 1_000_000
"""Bytes of one YAML file; a resource is far smaller."""
WRITTEN_BY_PEOPLE = {name: kind for name, kind in KINDS.items() if name != "Release"}


@dataclass(frozen=True, slots=True)
class Document:
    """One resource as somebody wrote it."""

    path: Path
    plain: dict[str, Any]
    resource: Resource


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases: nobody needs them in a resource, and a few of them can fill the memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # types-pyyaml leaves it out
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 0
            message = f"aliases (*{event.anchor}) are not allowed, found one in line {line}"
            raise yaml.YAMLError(message)
        return super().compose_node(parent, index)


def read(folder: Path, *, empty: bool = False) -> tuple[Document, ...]:
    """Read and check every resource of a project; faults of all files are told together.

    Raises:
        Refusal: there is nothing to read and that is not expected, or something in it is wrong.
    """
    faults: list[str] = []
    documents: list[Document] = []
    for path in _files(folder):
        try:
            documents += [_document(path, plain) for plain in _plain(path)]
        except Refusal as refusal:
            faults.append(refusal.message)
    seen: dict[str, Path] = {}
    for document in documents:
        key = str(document.resource.key)
        if key in seen:
            faults.append(f"{document.path}: {key} is also in {seen[key]}")
        seen[key] = document.path
    if faults:
        raise Refusal("\n".join(faults))
    if not documents and not empty:
        message = f"{folder}: found no resources, expected YAML files in {folder / 'resources'}"
        raise Refusal(message)
    return tuple(documents)


def packed(document: Document, artifacts: DirectoryArtifacts) -> dict[str, Any]:
    """Give the document with the folders its code names packed by content digest, and its git commit noted.

    Raises:
        Refusal: a folder is not there.
    """
    plain = built(document, artifacts)
    folder = _project(document.path)
    commit = revision(folder)
    if commit:
        metadata = dict(plain["metadata"])
        given = metadata.get("annotations") or {}
        said = {name.strip() for name in str(given.get(AUTHORS_ANNOTATION, "")).split(",")} - {""}
        wrote = {AUTHORS_ANNOTATION: ",".join(sorted({*authors(folder), *said}))}  # a file may add one, and hide none
        plain["metadata"] = {**metadata, "annotations": {REVISION_ANNOTATION: commit, **given, **wrote}}
    return plain


def built(document: Document, artifacts: DirectoryArtifacts, within: Path | None = None) -> dict[str, Any]:
    """Give the document with the folders its code names packed by content digest; `within` keeps them in a folder.

    Raises:
        Refusal: a folder is not there, or is elsewhere.
    """
    plain = dict(document.plain)
    if document.resource.kind == "Experiment":
        spec = dict(plain["spec"])
        code = dict(spec["code"])
        for part in ("archive", "serve"):
            if code.get(part):
                field = f"spec.code.{part}.uri"
                code[part] = _packed_part(document.path, field, dict(code[part]), artifacts, within)
        plain["spec"] = {**spec, "code": code}
    return plain


def revision(folder: Path) -> str:
    """The git commit of a project, marked when the project differs from it; empty outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--", str(folder.resolve()))
    return f"{commit}-dirty" if changed else commit


def authors(folder: Path) -> tuple[str, ...]:
    """E-mail addresses of who wrote and who committed the last change of a project; none outside a repository."""
    said = _git(folder, "log", "-1", "--format=%ae%n%ce", "--", str(folder.resolve()))
    return tuple(sorted(set(said.split())))


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder.resolve()), *words]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _project(path: Path) -> Path:
    """The folder whose state decides whether a commit describes it: code and resources together."""
    folder = path.parent
    return folder.parent if folder.name == "resources" else folder


def _packed_part(
    path: Path, field: str, part: dict[str, Any], artifacts: DirectoryArtifacts, within: Path | None
) -> dict[str, Any]:
    uri = str(part["uri"])
    if not uri.startswith("file:"):
        return part
    place = (path.parent / uri.removeprefix("file:").removeprefix("//")).resolve()
    if within is not None and not place.is_relative_to(within.resolve()):
        message = f"{path}: {field}: found {uri!r}, which leads out of the project"
        raise Refusal(message)
    if place.is_dir():
        content, suffix = pack(place), ".tar.gz"
    elif place.is_file():
        content, suffix = place.read_bytes(), "".join(place.suffixes)
    else:
        message = f"{path}: {field}: found {uri!r}, which is no folder and no file: {place}"
        raise Refusal(message)
    digest = hashlib.sha256(content).hexdigest()
    if part.get("sha256") not in {None, digest}:
        message = f"{path}: {field}: {place} has sha256 {digest}, expected {part['sha256']}"
        raise Refusal(message)
    return {**part, "uri": artifacts.keep(content, suffix), "sha256": digest}


def _files(folder: Path) -> tuple[Path, ...]:
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        message = f"{folder}: no such folder"
        raise Refusal(message)
    inside = folder / "resources" if (folder / "resources").is_dir() else folder
    return tuple(sorted(p for p in inside.iterdir() if p.suffix in {".yaml", ".yml"}))


def _plain(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            message = f"{path}: {path.stat().st_size} bytes, allowed: at most {LARGEST_FILE}"
            raise Refusal(message)
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=_PlainLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        message = f"{path}: not readable as YAML{where}: {error.problem}"
        raise Refusal(message) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:
        message = f"{path}: not readable as YAML: {str(error).splitlines()[0]}"
        raise Refusal(message) from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            found = type(document).__name__
            message = f"{path}: found a {found}, expected a resource with apiVersion, kind, metadata and spec"
            raise Refusal(message)
        yield document


def _document(path: Path, plain: dict[str, Any]) -> Document:
    try:
        return Document(path, plain, parse(plain, WRITTEN_BY_PEOPLE))
    except ValidationError as error:
        raise Refusal("\n".join(f"{path}: {sentence}" for sentence in explain(error))) from error
    except ValueError as error:
        message = f"{path}: {error}"
        raise Refusal(message) from error
