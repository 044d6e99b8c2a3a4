"""What of a folder is held already: when a stamp can be trusted, and what is remembered."""

import pytest

from cdl.engines.pachyderm.difference import (
    COARSE,
    FILES,
    SETTLED,
    STAMP,
    Kept,
    Listing,
    Memory,
    after,
    compare,
    fingerprint,
    listing_of,
)

NOW = 1_700_000_000_123_456_789
OLD = NOW - 10 * COARSE + 321


def listing(root, **stamps) -> Listing:
    return Listing(str(root), {f"/{name}": STAMP.pack(*stamp) for name, stamp in stamps.items()}, NOW)


@pytest.mark.parametrize(
    ("stamp", "settled"),
    [
        ((5, OLD, OLD, 1), True),
        ((5, NOW - SETTLED - 11, NOW - SETTLED - 11, 1), True),
        ((5, NOW - SETTLED + 1, NOW - SETTLED + 1, 1), False),
        ((5, OLD, NOW - 1, 1), False),  # its time was set back
        ((5, NOW - 1, OLD, 1), False),
        ((5, NOW + COARSE, NOW + COARSE, 1), False),  # the clock was
        ((5, OLD, NOW // 10**9 * 10**9, 1), False),  # a file system of whole seconds
        ((5, OLD, NOW // 10**9 * 10**9 - COARSE, 1), True),
    ],
)
def test_a_stamp_is_trusted_only_if_a_later_change_would_show(stamp, settled):
    assert listing("/", a=stamp).settled("/a") is settled


def test_what_is_not_settled_is_in_doubt_next_time_and_what_is_settled_is_not(tmp_path):
    now = listing(tmp_path, old=(1, OLD, OLD, 1), new=(1, NOW, NOW, 2))
    kept = Kept("c", "k", after(now, now.files), {})
    found = compare(now, kept)
    assert (found.gone, found.changed, found.sent) == ([], ["/new"], ["/new"])


def test_a_file_in_doubt_is_no_change_when_its_content_is_known_and_equal(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    now, known = listing_of(tmp_path), fingerprint()
    known.update(b"1")
    assert compare(now, Kept("c", "k", {"/a": None}, {"/a": known.digest()})).changed == []
    assert compare(now, Kept("c", "k", {"/a": None}, {"/a": fingerprint().digest()})).changed == ["/a"]
    assert compare(now, Kept("c", "k", {"/a": None}, {})).changed == ["/a"]
    assert compare(now, Kept("c", "k", {"/a": now.files["/a"]}, {})).doubtful == []


def test_the_oldest_makes_room_and_what_is_too_large_is_not_kept():
    memory = Memory()
    half = dict.fromkeys(map(str, range(FILES // 2)))
    for name in ("one", "two", "three"):
        memory.keep("p", name, Kept(name, "k", half, {}))
    assert [bool(memory.recall("p", name)) for name in ("one", "two", "three")] == [False, True, True]
    memory.keep("p", "two", Kept("again", "k", {}, {}))
    assert memory.recall("p", "two") == Kept("again", "k", {}, {})
    memory.keep("p", "huge", Kept("c", "k", dict.fromkeys(map(str, range(FILES + 1))), {}))
    assert memory.recall("p", "huge") is None
