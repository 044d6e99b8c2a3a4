"""Checks beyond a step: in a trial, over a split, and on the artifact shelf of a whole loop."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Side, Source, Split
from cdl.checks.prints import families, overlap, print_of
from cdl.stores.sources import Sources
from cdl.stores.sources.split import Item, for_test
from cdl.testing.builders import pipeline_document
from cdl.testing.world import World
from cdl.training import TrainingError
from cdl.training.checks import hold

NEWS = Key("DataPipeline", "default", "news")
PRICED = [{"name": "priced", "field": "price", "type": "number", "range": {"min": 0}}]


def test_a_trial_is_told_of_the_row_that_breaks_a_check():
    assert hold([{"price": 1}, {"price": "2.5"}], PRICED) == ()
    with pytest.raises(TrainingError, match=r"^row 1: check priced found price -3, allowed is a number from 0$"):
        hold([{"price": 1}, {"price": -3}], PRICED)
    with pytest.raises(TrainingError, match="check priced: unknown word prize"):
        hold([], [{"name": "priced", "prize": 1}])


def test_a_warning_in_a_trial_is_given_back():
    found = hold([{"price": -3}], [PRICED[0] | {"onFail": "warn"}])
    assert [f.sentence for f in found] == ["check priced found price -3, allowed is a number from 0"]


def test_numbers_out_of_an_array_are_numbers():
    rows = [{"price": value} for value in np.array([1, 2.5], dtype="f4")]
    assert hold(rows, PRICED) == ()
    with pytest.raises(TrainingError, match=r"row 0: check priced found price -1\.0, allowed is a number from 0"):
        hold([{"price": np.float32(-1)}], PRICED)
    with pytest.raises(TrainingError, match="found price nothing, allowed is some content"):
        hold([{"price": np.float32("nan")}], [{"name": "priced", "notNull": "price"}])
    whole = [{"name": "w", "field": "x", "type": "integer"}, {"name": "l", "field": "row", "maxLength": 3}]
    assert hold([{"x": np.int64(3), "row": np.zeros(3)}], whole) == ()
    assert hold([{"x": np.True_}], [{"name": "t", "field": "x", "type": "boolean"}]) == ()


def texts():
    """Three hundred stories; a tenth lies there twice, and a tenth once more with a word changed."""
    chance = random.Random(7)
    words = [f"word{n}" for n in range(800)]
    made = {f"/{n % 3}/{n}.txt": " ".join(chance.choices(words, k=120)) for n in range(300)}
    copies = {f"{path}.copy": text for path, text in list(made.items())[:30]}
    edited = {f"{path}.edit": text.replace(" ", " new ", 1) for path, text in list(made.items())[30:60]}
    return made | copies | edited


@pytest.mark.parametrize("seed", [1, 42])
def test_a_split_leaks_no_copy_and_what_is_nearly_one_is_found(seed):
    found = texts()
    items = [Item(path, hashlib.sha256(text.encode()).hexdigest()) for path, text in found.items()]
    test = for_test(items, 0.2, seed, by_parent=True)
    prints = {path: print_of(text.encode(), text) for path, text in found.items()}
    sides = [{p: told for p, told in prints.items() if (p in test) is wanted} for wanted in (True, False)]
    seen = overlap(*sides, near=0.7)
    original = {path: path.removesuffix(".edit") for path in found if path.endswith(".edit")}
    straddling = {path for path in original if (path in test) is not (original[path] in test)}
    assert seen.same == 0
    assert seen.near == len(straddling) > 0


@pytest.mark.parametrize("seed", [1, 42])
def test_families_keep_together_what_is_nearly_equal(seed):
    found = texts()
    prints = {path: print_of(text.encode(), text) for path, text in found.items()}
    heads = families(prints, 0.7)
    test = for_test([Item(path, heads[path]) for path in found], 0.2, seed, by_parent=True)
    sides = [{p: told for p, told in prints.items() if (p in test) is wanted} for wanted in (True, False)]
    assert overlap(*sides, near=0.7).share == 0
    assert abs(len(test) - 0.2 * len(found)) <= 3
    assert len(set(heads.values())) == 300
    assert families(dict(reversed(prints.items())), 0.7) == heads


def test_a_split_can_be_asked_to_keep_edited_copies_on_one_side(tmp_path):
    found = {path.lstrip("/"): text.encode() for path, text in texts().items()}
    place = tmp_path / "all.tar"
    with tarfile.open(place, "w") as archive:
        for path, raw in found.items():
            member = tarfile.TarInfo(path)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    source = Source(name="all", uri=place.as_uri(), unpack="tar")
    collector = Sources(tmp_path / "cache")
    collector.collect(source)
    near = {}
    for wanted in (None, 0.7):
        sides = (collector.lay_out((source,), Split(test=0.2, seed=1, near=wanted), side) for side in Side)
        train, test = (
            {str(p): print_of(p.read_bytes(), p.read_text()) for p in s.rglob("*.*") if p.is_file()} for s in sides
        )
        assert len(train) + len(test) == len(found)
        near[wanted] = overlap(test, train, near=0.7).near
    assert near[None] > 0 == near[0.7]


def shelved(world, place):
    return world.artifacts.fetch(place, Path(place).stem).read_bytes()


def test_the_report_lies_where_the_status_says(tmp_path):
    world = World(tmp_path)
    checks = [{"name": "enough", "rows": {"min": 1}}, {"name": "no-leak", "duplicates": {}, "onFail": "warn"}]
    steps = [{"name": "validate", "uses": "checks"}]
    world.resources.put(DataPipeline.read(pipeline_document(steps=steps, checks=checks)))
    world.settle()
    status = world.get(NEWS).status
    assert status.checked.version == status.dataset.version
    document = json.loads(shelved(world, status.checked.document))
    assert [check["verdict"] for check in document["checks"]] == ["kept", "kept"]
    assert document["overlap"]["items"] == status.dataset.test.files
    page = shelved(world, status.checked.page)
    assert page.startswith(b"<!doctype html>")
    assert status.dataset.version.encode() in page
