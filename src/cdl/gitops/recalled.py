"""What was told of merge requests, as files: lost, everything is told again, and only a picture is kept twice."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from cdl.api.meta import Frozen

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
MOST = 500
"""Merge requests that are remembered; of those that are over the oldest are forgotten."""
PICTURES = TypeAdapter(dict[str, str])


class Recalled(Frozen):
    """One merge request."""

    number: int
    sha: str
    """Its head when it was told last."""
    main: str = ""
    """What production followed then."""
    rest: str = ""
    """All of its note but where it stands."""
    address: str = ""
    """Of its note."""
    over: bool = False
    """The last word is spoken."""


class Memory:
    """A folder with a file for each merge request, and one for the pictures."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; what cannot be read was never told."""
        self._folder = folder
        self.pictures: dict[str, str] = _read(folder / "pictures.json", PICTURES) or {}
        found = (_read(path, TypeAdapter(Recalled)) for path in sorted(folder.glob("[0-9]*.json")))
        self.told: dict[int, Recalled] = {one.number: one for one in found if one is not None}

    def tell(self, one: Recalled) -> None:
        """Remember what was told."""
        if self.told.get(one.number) == one:
            return
        self.told[one.number] = one
        _write(self._folder / f"{one.number}.json", one.model_dump_json(by_alias=True).encode())
        over = sorted(number for number, old in self.told.items() if old.over)
        for number in over[: max(len(self.told) - MOST, 0)]:
            del self.told[number]
            (self._folder / f"{number}.json").unlink(missing_ok=True)

    def show(self, key: str, markdown: str) -> None:
        """Remember where a picture is."""
        self.pictures = dict([*self.pictures.items(), (key, markdown)][-MOST:])
        _write(self._folder / "pictures.json", PICTURES.dump_json(self.pictures))


def _read(path: Path, kind: TypeAdapter[T]) -> T | None:
    try:
        return kind.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        file.write(content)
    os.replace(file.name, path)  # noqa: PTH105 - the name is text, and one call says it
