"""The division of files into train and test."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from cdl.stores.sources.split import Item, for_test

PARENTS = st.sampled_from(["business", "sport", "deep/tech", ""])
SHARES = st.floats(0.05, 0.95)
SEEDS = st.integers(0, 2**31)


@st.composite
def items(draw):
    rows = draw(st.lists(st.tuples(PARENTS, st.integers(0, 30)), max_size=80))
    return [Item(f"{parent}/{n}.txt".lstrip("/"), f"{content:064x}") for n, (parent, content) in enumerate(rows)]


@given(items(), SHARES, SEEDS, st.booleans())
def test_equal_contents_never_lie_on_both_sides(files, share, seed, by_parent):
    test = for_test(files, share, seed, by_parent=by_parent)
    sides = {(f.content, f.path in test) for f in files}
    assert len(sides) == len({f.content for f in files})


@given(items(), SHARES, SEEDS, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_files_plays_no_part(files, share, seed, by_parent, chance):
    shuffled = files.copy()
    chance.shuffle(shuffled)
    assert for_test(files, share, seed, by_parent=by_parent) == for_test(shuffled, share, seed, by_parent=by_parent)


@given(st.lists(PARENTS, max_size=80), SHARES, SEEDS)
def test_the_share_is_met_within_one_file_in_every_folder(parents, share, seed):
    files = [Item(f"{parent}/{n}.txt".lstrip("/"), f"{n:064x}") for n, parent in enumerate(parents)]
    test = Counter(str(PurePosixPath(p).parent) for p in for_test(files, share, seed, by_parent=True))
    for parent, count in Counter(str(PurePosixPath(f.path).parent) for f in files).items():
        assert abs(test[parent] - share * count) <= 1


def test_names_play_no_part():
    contents = [f"{n:064x}" for n in range(100)]
    one = for_test([Item(f"a/{c}.txt", c) for c in contents], 0.2, 42, by_parent=True)
    other = for_test([Item(f"a/renamed-{c}.md", c) for c in contents], 0.2, 42, by_parent=True)
    assert {p.removeprefix("a/")[:64] for p in one} == {p.removeprefix("a/renamed-")[:64] for p in other}


def test_another_seed_draws_other_files():
    files = [Item(f"a/{n}", f"{n:064x}") for n in range(200)]
    assert for_test(files, 0.2, 1, by_parent=True) != for_test(files, 0.2, 2, by_parent=True)


def test_a_draw_stays_what_it_was():
    """Pinned: another draw would make every dataset version ever recorded irreproducible."""
    files = [Item(f"a/{n}", f"{n:064x}") for n in range(20)]
    random.Random(0).shuffle(files)
    assert sorted(for_test(files, 0.2, 42, by_parent=True)) == PINNED


PINNED = ["a/11", "a/3", "a/6", "a/7"]
