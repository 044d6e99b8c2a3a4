"""Write a dataset version out: a folder, an archive or an index; whole, or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from cdl.api.v1alpha1.datapipeline import Side
from cdl.cli.refusal import Refusal

from .asking import spoken, where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdl.reconcile.versions import DatasetVersion

    from .asking import Asked

RECORD = "dataset.json"
"""What stands beside the files: which version they are."""


class Form(StrEnum):
    """How a version is written."""

    FOLDER = ""
    ARCHIVE = ".tar"
    LINES = ".jsonl"
    PARQUET = ".parquet"


def form_of(target: Path) -> Form:
    """Tell by the target's name how to write, before anything is read.

    Raises:
        Refusal: the target is there already, its folder is not, or nothing here writes that form.
    """
    try:
        form = Form(target.suffix)
    except ValueError:
        form = Form.FOLDER
    if not target.absolute().parent.is_dir():
        message = f"{target}: there is no folder {target.absolute().parent} to write into"
        raise Refusal(message)
    if target.exists() or target.is_symlink():
        empty = form is Form.FOLDER and target.is_dir() and not any(target.iterdir())
        if not empty:
            message = f"{target}: is there already; name something that is not, or an empty folder"
            raise Refusal(message)
    if target.suffix in {".gz", ".tgz", ".zip", ".csv", ".json"}:
        message = f"{target}: found {target.suffix}, allowed: a folder, .tar, .jsonl or .parquet"
        raise Refusal(message)
    if form is Form.PARQUET and importlib.util.find_spec("pyarrow") is None:
        message = f"{target}: writing Parquet needs pyarrow, which is not installed; {target.stem}.jsonl needs nothing"
        raise Refusal(message)
    return form


def write(known: Asked, version: DatasetVersion, target: Path, form: Form) -> int:
    """Write the version; gives the number of its files.

    Raises:
        Refusal: its files are not there any more, or it cannot be written.
    """
    files = {side: known.files(version, side) for side in Side}
    try:
        with _appearing(target) as fresh:
            if form is Form.LINES:
                _lines(version, files, fresh)
            elif form is Form.PARQUET:
                _parquet(version, files, fresh)
            elif form is Form.FOLDER:
                _folder(known, version, files, fresh)
            else:
                with tempfile.TemporaryDirectory(prefix=".cdl-export-", dir=fresh.parent) as scratch:
                    _folder(known, version, files, Path(scratch))
                    _pack(Path(scratch), fresh)
    except OSError as error:
        message = f"{target}: cannot be written: {error.strerror or error}"
        raise Refusal(message) from error
    return sum(map(len, files.values()))


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Give a place beside the target that takes its name once all is written."""
    fresh = target.absolute().with_name(f".{target.name}.partial")
    _remove(fresh)
    try:
        yield fresh
        fresh.replace(target)
    finally:
        _remove(fresh)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _folder(known: Asked, version: DatasetVersion, files: Mapping[Side, Mapping[str, str]], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for side in Side:
        place, below = where(version, side), folder / side
        click.echo(f"reading {len(files[side])} {side} files from {place.repo}", err=True)
        below.mkdir()
        if files[side]:
            known.history().export(place.repo, place.commit, below, known.namespace)
        there = {f"/{p.relative_to(below).as_posix()}" for p in below.rglob("*") if p.is_file()}
        missing = sorted(files[side].keys() ^ there)
        if missing:
            message = f"{spoken(version)}: the data engine gave other {side} files than it lists, as {missing[0]}"
            raise Refusal(message)
    (folder / RECORD).write_bytes(_record(version, files))


def _record(version: DatasetVersion, files: Mapping[Side, Mapping[str, str]]) -> bytes:
    told = version.model_dump(mode="json", by_alias=True, exclude={"current", "releases", "experiments"})
    told["files"] = {side.value: dict(sorted(found.items())) for side, found in files.items()}
    return (json.dumps(told, indent=1, sort_keys=True) + "\n").encode()


def _pack(folder: Path, target: Path) -> None:
    """Equal versions give equal bytes: in order, without times and owners."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)


def _rows(version: DatasetVersion, files: Mapping[Side, Mapping[str, str]]) -> Iterator[dict[str, str]]:
    for side, found in files.items():
        for path, digest in sorted(found.items()):
            label = PurePosixPath(path).parent.name
            yield {"side": side.value, "path": path, "label": label, "digest": digest, "version": version.version}


def _lines(version: DatasetVersion, files: Mapping[Side, Mapping[str, str]], target: Path) -> None:
    with io.TextIOWrapper(target.open("wb"), encoding="utf-8") as out:
        for row in _rows(version, files):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _parquet(version: DatasetVersion, files: Mapping[Side, Mapping[str, str]], target: Path) -> None:
    """Write the same rows; pyarrow is no dependency of cdl, and was looked for before."""
    table = importlib.import_module("pyarrow").Table.from_pylist(list(_rows(version, files)))
    importlib.import_module("pyarrow.parquet").write_table(table, target)
