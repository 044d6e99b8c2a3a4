"""`cdl init`: a repository for a new model, whose first commit is green."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import TypeAdapter, ValidationError

import cdl
from cdl.api.meta import ModelName

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATES = ("text", "image", "table")
EVERY = "every"
"""The folder of what all templates share."""
PLACEHOLDER = "@NAME@"
DOT = "dot-"
"""How a name begins that begins with a dot in the project: tools would heed `.gitignore` and its like in our own."""
INCLUDES = Path(".gitlab/cdl")
MESSAGE = "Begin {name} with the {template} template of cdl"


@click.command(
    "init",
    help="Write a project called NAME, a repository of its own: resources, model, serving code, tests and a pipeline "
    "for GitLab. Nothing that is there already is overwritten.",
)
@click.argument("name")
@click.option("--template", type=click.Choice(TEMPLATES), required=True, help="What the model is about.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="Write here instead of in NAME: a new folder, or an empty one."
)
@click.option("--no-git", is_flag=True, help="Write the files alone: no repository, no first commit.")
def command(name: str, template: str, into: Path | None, no_git: bool) -> None:  # noqa: FBT001 - click's flag
    """Begin a project."""
    folder = Path(name) if into is None else into
    content = dict(_content(_checked(name), template))
    try:
        _refuse_what_is_taken(folder)
        _write(folder, content)
    except OSError as error:
        message = f"{folder}: cannot be written: {error.strerror or error}"
        raise Refusal(message) from error
    click.echo(f"wrote {len(content)} files to {folder}")
    told = "" if no_git else _committed(folder, MESSAGE.format(name=name, template=template))
    if told:
        click.echo(told)
    click.echo(f"next: cd {shlex.quote(str(folder))} && cdl run . --data synthetic")


def _checked(name: str) -> str:
    try:
        return TypeAdapter(ModelName).validate_python(name)
    except ValidationError as error:
        message = (
            f"NAME: found {name!r}, allowed: at most 32 small letters, digits and hyphens, "
            "with a letter or digit at both ends"
        )
        raise Refusal(message) from error


def _content(name: str, template: str) -> Iterator[tuple[Path, str]]:
    """Give each file of a project by its path; a template's own file stands for the shared one of the same name."""
    shelf, jobs = shipped("templates"), shipped("pipelines") / "gitlab"
    for part in (shelf / EVERY, shelf / template, jobs):
        if not part.is_dir():
            message = f"{part}: not there, so this installation of cdl was made without its templates"
            raise Refusal(message)
    for part in (shelf / EVERY, shelf / template):
        for path in _files(part):
            place = Path(*(_plain(word) for word in path.relative_to(part).parts))
            yield place, path.read_text(encoding="utf-8").replace(PLACEHOLDER, name)
    for path in sorted(jobs.glob("*.yml")):
        yield INCLUDES / path.name, path.read_text(encoding="utf-8")


def shipped(name: str) -> Path:
    """Find a folder that travels with cdl: beside the package when installed, else in the checkout."""
    package = Path(cdl.__file__).parent
    packaged = package / f"_{name}"
    return packaged if packaged.is_dir() else package.parents[1] / name


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def _plain(word: str) -> str:
    return "." + word.removeprefix(DOT) if word.startswith(DOT) else word


def _refuse_what_is_taken(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        message = f"{folder}: something is there already, allowed: a new folder, or an empty one"
        raise Refusal(message)


def _write(folder: Path, content: dict[Path, str]) -> None:
    for place, text in content.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as out:
            out.write(text)


def _committed(folder: Path, message: str) -> str:
    """Make the first commit; say what came of it."""
    if shutil.which("git") is None:
        return "found no git, so this is no repository yet"
    for words in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("add", "--all"),
        ("commit", "--quiet", "-m", message),
    ):
        answer = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if answer.returncode != 0:
            why = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"git {words[0]} did not succeed ({why}); the files are there, the first commit is yours to make"
    return "committed to a new repository, branch main"
