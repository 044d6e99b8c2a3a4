"""Which local command stands for an image."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from cdl.embedded.seldon.plan import Unservable


class Images:
    """The mapping that was given when the engine started: by full name first, then without tag or digest."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._commands = dict(commands)

    @classmethod
    def parse(cls, given: Sequence[str]) -> Images:
        """Read NAME=COMMAND pairs; raises ValueError with one sentence."""
        commands = {}
        for pair in given:
            name, equals, command = pair.partition("=")
            words = shlex.split(command)
            if not name or not equals or not words:
                raise ValueError(f"--image {pair!r} is not NAME=COMMAND")
            commands[name] = words
        return cls(commands)

    def command(self, image: str) -> tuple[str, ...]:
        """Give the command of an image."""
        for name in (image, _repository(image)):
            if name in self._commands:
                return tuple(self._commands[name])
        known = ", ".join(sorted(self._commands)) or "none"
        raise Unservable(f"image {image!r} has no local command; known images: {known}")


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name
