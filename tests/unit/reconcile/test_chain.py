"""Whoever changes a row, takes one away or puts one in breaks the chain at that row; none other is blamed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.reconcile.chain import BEGINNING, Row, follow, link


def chain(*entries, previous=BEGINNING, first=1):
    rows = []
    for number, entry in enumerate(entries, first):
        rows.append(Row(number, entry, previous, link(previous, entry)))
        previous = rows[-1].hash
    return rows


def test_a_hash_can_be_worked_out_with_other_tools():
    assert link("ab" * 32, "{}") == hashlib.sha256(bytes.fromhex("ab" * 32) + b"{}").hexdigest()


@pytest.mark.parametrize("rows", [[], chain("a"), chain("a", "b", "c")])
def test_an_honest_chain_holds(rows):
    assert follow(rows) is None


def test_a_part_holds_when_it_is_one_piece():
    assert follow(chain("a", "b", "c", "d")[1:3]) is None
    assert follow(chain("a", "b", "c")[1:], before=chain("a")[0]) is None


CASES = {
    "changed": (lambda rows: [*rows[:2], replace(rows[2], entry="x"), *rows[3:]], 3, "was changed"),
    "changed with its hash": (
        lambda rows: [*rows[:2], replace(rows[2], entry="x", hash=link(rows[2].previous, "x")), *rows[3:]],
        4,
        "does not follow row 3",
    ),
    "removed": (lambda rows: [*rows[:2], *rows[3:]], 3, "is missing"),
    "removed and counted anew": (
        lambda rows: [*rows[:2], *(replace(row, number=row.number - 1) for row in rows[3:])],
        3,
        "does not follow row 2",
    ),
    "put in": (lambda rows: [*rows[:2], replace(rows[1], number=3), *rows[2:]], 3, "does not follow row 2"),
    "exchanged": (lambda rows: [rows[1], rows[0], *rows[2:]], 1, "comes after row 2"),
    "begun anew": (lambda rows: chain("b", "c", previous=rows[0].hash), 1, "is not the first"),
    "no hash at all": (lambda rows: [replace(rows[0], previous="?", hash="?", number=2)], 2, "was changed"),
}


@pytest.mark.parametrize("case", CASES)
def test_damage_is_named_by_its_row(case):
    damage, number, what = CASES[case]
    fault = follow(damage(chain(*"abcde")))
    assert (fault.number, str(fault)[: len(f"row {number}: {what}")]) == (number, f"row {number}: {what}")


@given(st.lists(st.text(), min_size=1, max_size=8), st.data())
def test_no_single_change_goes_unseen(entries, data):
    rows = chain(*entries)
    place = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(["entry", "previous", "hash", "number"]))
    other = data.draw(
        {
            "entry": st.text(),
            "number": st.integers(-1, 20),
            "previous": st.text("0123456789abcdef", min_size=64, max_size=64),
            "hash": st.text("0123456789abcdef", min_size=64, max_size=64),
        }[field].filter(lambda value: value != getattr(rows[place], field))
    )
    changed = [*rows[:place], replace(rows[place], **{field: other}), *rows[place + 1 :]]
    # the first number of a part is anybody's guess: only what follows it can contradict it
    alone = field == "number" and place == 0 and len(rows) == 1
    assert (follow(changed) is None) == alone
