"""Pictures by their first bytes, tables as rows: read alike, whoever wrote them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cdl.checks.images import Picture, image
from cdl.checks.tables import NoTableError, columns_of, rows_of, written

CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip)


def drawn(mode, form, **options):
    page = io.BytesIO()
    Image.new(mode, (31, 17)).save(page, form, **options)
    return page.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
        *((mode, "BMP") for mode in ("1", "RGB")),
        *((mode, "PPM") for mode in ("1", "L", "RGB")),
        ("P", "GIF"),
        ("RGB", "WEBP"),
        ("RGBA", "WEBP"),
    ],
)
def test_the_outline_is_what_pillow_sees(mode, form):
    raw = drawn(mode, form)
    with Image.open(io.BytesIO(raw)) as opened:
        expected = (opened.mode, *opened.size)
    found = image(raw)
    assert (found.mode, found.width, found.height) == expected


def test_a_progressive_jpeg_and_a_lossless_webp_are_pictures_too():
    assert image(drawn("RGB", "JPEG", progressive=True)) == Picture("jpeg", "RGB", 31, 17)
    assert image(drawn("RGB", "WEBP", lossless=True)) == Picture("webp", "RGB", 31, 17)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM"])
def test_a_header_that_is_cut_off_is_no_picture(form):
    raw = drawn("RGB", form)
    outlines = {image(raw[:length]) for length in range(20)}
    assert outlines <= {None, image(raw)}
    assert None in outlines


@given(
    st.binary(max_size=64), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a", b"BM", b"RIFF", b"P5 "])
)
def test_no_bytes_make_it_stumble(raw, magic):
    found = image(magic + raw)
    assert found is None or (found.width > 0 and found.height > 0)


@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.jsonl"])
@given(rows=st.lists(st.fixed_dictionaries({"a": CELLS | st.none(), "b": CELLS}), min_size=1))
def test_what_is_written_is_read_back(name, rows):
    text = written(name, ["a", "b"], rows)
    assert rows_of(name, text) == rows
    assert sorted(columns_of(name, text)) == ["a", "b"]


def test_a_cell_may_hold_a_line_end_and_a_byte_order_mark_is_no_name():
    assert rows_of("a.csv", '\ufeffa,b\r\n1,"two\r\nlines"\r\n\r\n,x\r\n') == [
        {"a": "1", "b": "two\r\nlines"},
        {"a": None, "b": "x"},
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "a,b\n1\n", "line 2: 1 cells, the heading has 2"),
        ("a.csv", "a,a\n1,2\n", "line 1: two columns have one name"),
        ("a.jsonl", '{"a": 1}\n{', "line 2: no JSON"),
        ("a.jsonl", "[1]\n", "line 1: list, a JSON object is needed"),
    ],
)
def test_what_is_no_table_is_said_with_its_line(name, text, said):
    with pytest.raises(NoTableError, match=said):
        rows_of(name, text)
