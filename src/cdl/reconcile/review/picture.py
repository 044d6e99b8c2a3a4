"""A confusion matrix as a picture: PNG, written by hand, the same bytes for the same counts."""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING

from cdl.api.canonical import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    Counts = Sequence[Sequence[int]]
    Colour = tuple[int, int, int]
    Canvas = Sequence[bytearray]
    """Rows of pixels, three bytes each."""

MOST = 100
"""Classes; of more no picture is made."""
ROOMY = 20
"""Classes whose cells have room for their counts."""
CELL, SMALL = 48, 8
EDGE = 1
RIGHT: Colour = (26, 95, 180)
"""What was recognized; with the other it is told apart by the colour-blind too."""
WRONG: Colour = (200, 80, 0)
PAPER: Colour = (255, 255, 255)
LINE: Colour = (205, 211, 217)
INK: Colour = (28, 39, 51)
GLYPHS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 3, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 2, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
}
"""Digits of three times five dots, a row a number."""
DOTS = 3


def picture(table: Counts) -> bytes:
    """Draw a table: a row holds what an item is, a column what the model says.

    Shades are roots of the shares of the row, so that few mistakes show.
    Rows and columns are numbered from 1 where there is room. Nothing is drawn of no table or one too large.
    """
    if not table or len(table) > MOST or any(len(row) != len(table) for row in table):
        return b""
    roomy = len(table) <= ROOMY
    size, first = (CELL, CELL // 2) if roomy else (SMALL, 0)
    side = first + len(table) * size + EDGE
    canvas = [bytearray(bytes(PAPER) * side) for _ in range(side)]
    for y, row in enumerate(table):
        whole = sum(row)
        for x, count in enumerate(row):
            shade = _shade(math.sqrt(count / whole) if whole else 0.0, RIGHT if x == y else WRONG)
            at = (first + x * size, first + y * size)
            _fill(canvas, at, size, shade)
            if roomy:
                _write(canvas, at, (size, size), str(count), INK if sum(shade) > 3 * 128 else PAPER)
    for number in range(len(table)) if roomy else ():
        start = first + number * size
        _write(canvas, (start, 0), (size, first), str(number + 1), INK)
        _write(canvas, (0, start), (first, size), str(number + 1), INK)
    return _png(canvas)


def picture_key(table: Counts) -> str:
    """Name a picture by what it shows."""
    return digest([list(row) for row in table])


def _shade(share: float, colour: Colour) -> Colour:
    red, green, blue = (round(255 + (channel - 255) * share) for channel in colour)
    return red, green, blue


def _fill(canvas: Canvas, at: tuple[int, int], size: int, colour: Colour) -> None:
    left, top = at
    edge, inner = bytes(LINE) * (size + EDGE), bytes(LINE) + bytes(colour) * (size - EDGE) + bytes(LINE)
    for y in range(top, top + size + EDGE):
        canvas[y][3 * left : 3 * (left + size + EDGE)] = inner if top < y < top + size else edge


def _write(canvas: Canvas, at: tuple[int, int], room: tuple[int, int], text: str, ink: Colour) -> None:
    """Write digits into the middle of a field, as large as it allows."""
    columns = 4 * len(text) - 1
    dot = max(1, min(DOTS, (room[0] - 4) // columns, (room[1] - 4) // 5))
    left, top = at[0] + (room[0] - columns * dot) // 2, at[1] + (room[1] - 5 * dot) // 2
    for place, sign in enumerate(text):
        for y in range(5 * dot):
            for x in (x for x in range(3) if GLYPHS[sign][y // dot] >> (2 - x) & 1):
                start = left + (4 * place + x) * dot
                canvas[top + y][3 * start : 3 * (start + dot)] = bytes(ink) * dot


def _png(canvas: Canvas) -> bytes:
    rows = b"".join(b"\0" + row for row in canvas)
    header = struct.pack(">IIBBBBB", len(canvas), len(canvas), 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
