"""The steps' promises, on whatever hypothesis can think of."""

import gzip
import importlib.util
import struct
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import ROOT

ARRAY = struct.pack(">2I", 0x801, 3) + bytes([1, 2, 3])


def load(step: str) -> ModuleType:
    """Import a step under a name of its own; its shared module comes along and is forgotten again."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location(
        f"step_{step.replace('/', '_')}", ROOT / "pipelines" / step / "step.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    sys.modules.pop("pfs")
    return module


CLEAN, IDX = load("text/clean"), load("idx/validate")
StepError = {IDX: IDX.pfs.StepError}


@given(st.binary())
def test_whatever_comes_in_valid_text_without_carriage_returns_comes_out(raw):
    text, _ = CLEAN.clean(raw)
    assert text.encode().decode() == text
    assert "\r" not in text


@given(st.binary())
def test_cleaning_twice_changes_nothing_more(raw):
    once, _ = CLEAN.clean(raw)
    if not once.startswith("\ufeff"):  # a second byte order mark is the next cleaning's
        assert CLEAN.clean(once.encode()) == (once, 0)


@given(st.text().filter(lambda text: "\r" not in text and not text.startswith("\ufeff")))
def test_valid_text_is_not_touched(text):
    assert CLEAN.clean(text.encode()) == (text, 0)


@given(st.integers(0, len(gzip.compress(ARRAY)) - 1))
def test_no_cut_gzip_passes(length):
    with pytest.raises(StepError[IDX], match=r"labels\.gz: (truncated|broken) gzip"):
        IDX.unpack("labels.gz", gzip.compress(ARRAY)[:length])


@given(st.integers(0, 4), st.lists(st.integers(0, 12), max_size=4))
def test_labels_pass_exactly_when_they_are_as_many_as_announced_and_all_of_them_digits(announced, labels):
    body = struct.pack(">2I", 0x801, announced) + bytes(labels)
    if announced == len(labels) and all(label <= 9 for label in labels):
        assert IDX.inspect("x.gz", body) == ("labels", announced)
    else:
        with pytest.raises(StepError[IDX], match=r"^x\.gz: "):
            IDX.inspect("x.gz", body)
