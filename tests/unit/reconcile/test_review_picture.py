"""A confusion matrix as PNG: read back by the format's rules, shades and sizes as promised."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdl.reconcile.review.picture import CELL, MOST, PAPER, RIGHT, ROOMY, WRONG, picture, picture_key


def read(content):
    """Give width, height and rows of pixels; every length and checksum is looked at."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 2, [0, 0, 0])
    raw, line = zlib.decompress(chunks[b"IDAT"]), 1 + 3 * width
    assert len(raw) == line * height
    rows = [raw[y * line : (y + 1) * line] for y in range(height)]
    assert {row[0] for row in rows} == {0}
    return [[tuple(row[1 + 3 * x : 4 + 3 * x]) for x in range(width)] for row in rows]


def corner(pixels, row, column):
    """A pixel of a cell where no digit is."""
    return pixels[CELL // 2 + row * CELL + 3][CELL // 2 + column * CELL + 3]


def test_right_is_blue_and_wrong_is_orange_by_share_of_the_row():
    pixels = read(picture([[10, 0], [4, 0]]))
    assert corner(pixels, 0, 0) == RIGHT
    assert corner(pixels, 0, 1) == PAPER
    assert corner(pixels, 1, 0) == WRONG
    assert corner(pixels, 1, 1) == PAPER


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 24), counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_any_counts_make_a_square_picture_and_always_the_same(size, counts):
    table = [[counts[(3 * x + y) % len(counts)] for x in range(size)] for y in range(size)]
    content = picture(table)
    pixels = read(content)
    assert len(pixels) == len(pixels[0])
    assert content == picture(table)
    assert (len(pixels) > len(table) * CELL) == (len(table) <= ROOMY)


@pytest.mark.parametrize("table", [[], [[1, 2]], [[1], [2]], [[0] * (MOST + 1)] * (MOST + 1)])
def test_of_no_table_or_one_too_large_there_is_no_picture(table):
    assert picture(table) == b""


def test_digits_are_seen_and_differ():
    one, eight = picture([[1]]), picture([[8]])
    assert one != eight
    assert any(p not in {PAPER, RIGHT} for row in read(one) for p in row)


def test_other_counts_have_another_key():
    assert picture_key([[1, 2], [3, 4]]) == picture_key(((1, 2), (3, 4)))
    assert picture_key([[1, 2], [3, 4]]) != picture_key([[1, 2], [3, 5]])
