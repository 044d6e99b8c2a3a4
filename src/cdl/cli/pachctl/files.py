"""Files of commits."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl.cli.refusal import Refusal, one_sentence

from .speaking import RAW, at, habits, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdl.engines.pachyderm.habits import Answer

HEAD = ("NAME", "TYPE", "SIZE")


def _row(answer: Answer) -> tuple[str, ...]:
    return (at(answer, "file", "path"), at(answer, "file_type").lower(), at(answer, "size_bytes").replace("-", "0"))


@click.command("file", help="List what lies directly in REPO@BRANCH:PATH.")
@click.argument("where")
@RAW
def listed(where: str, *, raw: bool) -> None:
    """List a folder."""
    with one_sentence():
        tell(habits().files(where), HEAD, _row, raw=raw)


@click.command("file", help="List what the pattern in REPO@BRANCH:PATTERN matches.")
@click.argument("where")
@RAW
def glob(where: str, *, raw: bool) -> None:
    """List matches."""
    with one_sentence():
        tell(habits().glob(where), HEAD, _row, raw=raw)


@click.command("file", help="List what differs between NEW and OLD; without OLD, from NEW's parent.")
@click.argument("new")
@click.argument("old", required=False)
@RAW
def diff(new: str, old: str | None, *, raw: bool) -> None:
    """List differences."""
    with one_sentence():
        tell(habits().diff(new, old), ("OP", *HEAD), _changed, raw=raw)


def _changed(answer: Answer) -> tuple[str, ...]:
    new, old = answer.get("new_file") or {}, answer.get("old_file") or {}
    return ("M" if new and old else "+" if new else "-", *_row(new or old))


@click.command("file", help="Write SOURCE to REPO@BRANCH[:PATH], in a commit of its own unless one is open there.")
@click.argument("where")
@click.option("-f", "--file", "source", required=True, help="The file or folder; - is standard input.")
@click.option("-r", "--recursive", is_flag=True, help="A folder, with everything below it.")
@click.option("-a", "--append", is_flag=True, help="Add to files that are there, instead of replacing them.")
def put(where: str, source: str, *, recursive: bool, append: bool) -> None:
    """Write files."""
    with one_sentence():
        if source != "-":
            count = habits().put(where, Path(source), recursive=recursive, append=append)
        else:
            count = _put_standard_input(where, append=append)
    click.echo(f"{count} file{'s' if count != 1 else ''} written", err=True)


def _put_standard_input(where: str, *, append: bool) -> int:
    if ":" not in where or where.endswith("/"):
        message = f"found {where!r}, allowed with -f -: REPO@BRANCH:PATH, because standard input has no name"
        raise Refusal(message)
    with tempfile.NamedTemporaryFile() as spool:
        while piece := sys.stdin.buffer.read(1 << 20):
            spool.write(piece)
        spool.flush()
        return habits().put(where, Path(spool.name), recursive=False, append=append)


@click.command("file", help="Read REPO@BRANCH:PATH to standard output, or to a file or folder with -o.")
@click.argument("where")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write it; needed with -r.")
@click.option("-r", "--recursive", is_flag=True, help="A folder, or whatever a pattern matches.")
def get(where: str, output: Path | None, *, recursive: bool) -> None:
    """Read files."""
    with one_sentence():
        if recursive:
            _unpack(habits().get_tar(where), output)
        elif output is None:
            for piece in habits().get(where):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            _write(habits().get(where), output)


def _write(pieces: Iterable[bytes], output: Path) -> None:
    """Write a file whole or not at all."""
    coming = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with coming.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        coming.replace(output)
    except OSError as error:
        message = f"{output}: {error.strerror}"
        raise Refusal(message) from error
    finally:
        coming.unlink(missing_ok=True)


def _unpack(pieces: Iterable[bytes], output: Path | None) -> None:
    if output is None:
        message = "-r needs -o FOLDER: several files do not fit on standard output"
        raise Refusal(message)
    with tempfile.TemporaryFile() as spool:
        for piece in pieces:
            spool.write(piece)
        spool.seek(0)
        with tarfile.open(fileobj=spool) as tar:
            # Members come with mode 0 and a leading slash; only their names and bytes are taken.
            for member in (m for m in tar.getmembers() if m.isfile()):
                content = tar.extractfile(member)
                target = output / member.name.lstrip("/")
                if content is None or not target.resolve().is_relative_to(output.resolve()):
                    message = f"{member.name} would be written outside {output}"
                    raise Refusal(message)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    while piece := content.read(1 << 20):
                        file.write(piece)
