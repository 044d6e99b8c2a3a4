"""A person's mistake gets one sentence and a non-zero exit, never a traceback."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from cdl.ports.errors import PortError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Refusal(click.ClickException):
    """One sentence about what was found and what is allowed."""


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what adapters say into what people read."""
    try:
        yield
    except PortError as error:
        raise Refusal(str(error)) from error
