"""The list of files beside a Release: written the same, read back with care, bound to the dataset's version."""

from __future__ import annotations

import gzip

import pytest

from cdl.api.canonical import canonical, digest
from cdl.reconcile.datapipeline import files_digest
from cdl.reconcile.release import Evidence, SideFound, Silence, State, judge, listed
from cdl.testing.builders import release as built

SIDES = {"train": {"/a.txt": "1" * 64, "/ä.txt": "2" * 64}, "test": {"/c.txt": "3" * 64}}


def test_equal_files_give_equal_bytes_which_are_read_back():
    body = listed.packed(SIDES)
    turned = {side: dict(reversed(files.items())) for side, files in reversed(SIDES.items())}
    assert listed.packed(turned) == body
    assert listed.unpacked(body) == SIDES


@pytest.mark.parametrize(
    "body",
    [b"", b"nothing packed", gzip.compress(b"no JSON"), listed.packed(SIDES)[:-20]],
    ids=["nothing", "not packed", "no JSON", "half of it"],
)
def test_what_is_no_list_is_said_to_be_none(body):
    with pytest.raises(ValueError, match="the list of files cannot be read"):
        listed.unpacked(body)


def test_a_bomb_is_not_unpacked():
    sides = {"train": {f"/{n}": "1" * 64 for n in range(1000)}, "test": {}}
    body = listed.packed(sides)
    assert listed.unpacked(body, 1 << 20) == sides
    with pytest.raises(ValueError, match="cannot be read"):
        listed.unpacked(body, 1 << 12)


def test_a_strange_list_holds_nothing():
    assert listed.unpacked(gzip.compress(canonical({"train": ["/a"], "other": {}}))) == {"train": {}, "test": {}}


def test_too_many_files_are_counted_instead():
    sides = {"train": dict.fromkeys(map(str, range(listed.MOST))), "test": {}}
    assert listed.too_many(sides) == ""
    sides["test"] = {"/one more": "1"}
    assert listed.too_many(sides) == "200001 files; up to 200000 are listed"


def release(**notes):
    sides = [files_digest(SIDES[side]) for side in listed.SIDES]
    data = {"version": digest([*sides, "sha256:labels", "sha256:steps"])}
    members = {"labels": {"snapshot": "sha256:labels", "rows": 3}, "transforms": {"digest": "sha256:steps"}}
    made = built("news", 1, data=data, **members)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"annotations": notes})})


def test_the_version_stands_for_exactly_these_files():
    train, test = (files_digest(SIDES[side]) for side in listed.SIDES)
    assert listed.stands_for(release(), train, test)
    assert not listed.stands_for(release(), test, train)
    assert not listed.stands_for(release(), train, files_digest({}))


def test_every_file_that_differs_is_named_up_to_a_bound():
    now = {"/a.txt": "9" * 64, "/new.txt": "4" * 64}
    found = listed.compared(SIDES["train"], now)
    assert [(f.path, f.expected[:1], f.found[:1]) for f in found.first] == [
        ("/a.txt", "1", "9"),
        ("/new.txt", "", "4"),
        ("/ä.txt", "2", ""),
    ]
    many = listed.compared({}, {f"/{n}": "1" for n in range(50)})
    assert (len(many.first), many.more) == (listed.NAMED, 50 - listed.NAMED)


def told(differing):
    side = SideFound("other", "l", 0, ())
    sound = release()
    snapshot = digest(["l", "l"])
    members = {**sound.spec.members, "labels": {"snapshot": snapshot, "rows": 0}}
    evidence = Evidence(commit=True, train=side, test=side, listed=differing)
    spec = sound.spec.model_copy(update={"members": members})
    findings = judge(sound.model_copy(update={"spec": spec}), evidence)
    return [f for f in findings if f.member == "data" and not f.path.endswith("commit")]


def test_a_judgement_names_the_files_before_it_says_that_data_has_changed():
    findings = told({"train": listed.compared(SIDES["train"], {"/a.txt": "9" * 64, "/new.txt": "4" * 64})})
    assert [(f.path, f.state) for f in findings] == [
        ("train /a.txt", State.CHANGED),
        ("train /new.txt", State.CHANGED),
        ("train /ä.txt", State.MISSING),
        ("files", State.CHANGED),
    ]
    assert findings[1].expected == "no such file"
    many = told({"test": listed.compared({}, {f"/{n:02}": "1" for n in range(50)})})
    assert many[-2].sentence == "data test more files has changed: found 30 that differ, expected as listed"


def test_where_there_is_no_list_that_is_said():
    assert listed.unlisted(release()) == "the release has no list of them: it was written before lists were kept"
    why = release(**{listed.LEFT_OUT_ANNOTATION: "9 files; up to 8 are listed"})
    assert listed.unlisted(why) == "the release has no list of them: 9 files; up to 8 are listed"
    findings = told(Silence(listed.unlisted(why), asked=False))
    assert [(f.path, f.state) for f in findings] == [("names of files", State.UNASKED), ("files", State.CHANGED)]
