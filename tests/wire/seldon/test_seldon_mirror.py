"""Whatever happens to the line, the mirror ends as the API server is."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from cdl.embedded.seldon.apiserver import ApiServer
from cdl.embedded.seldon.kubeconfig import Access
from cdl.embedded.seldon.mirror import RALLY, Mirror
from cdl.embedded.seldon.store import Store
from tests.wire.seldon.fake_api import FakeApi, status

BAD_MOODS = [
    "hang up",
    (500, status(500)),
    (503, "upstream connect error"),
    (429, status(429)),
    (401, status(401)),
    (403, status(403)),
    (410, status(410)),
    (200, "this is no JSON"),
    (200, "[]"),
]


@contextlib.asynccontextmanager
async def mirrored(api, folder):
    """A mirror of an API server, and what it told."""
    memory = Store(folder / "served.db")
    mirror = Mirror(ApiServer(Access(api.address, None)), memory, pace=(0.002, 0.02))
    heard = []
    mirror.listeners.add(heard.append)
    ending = mirror.start()
    try:
        yield mirror, heard
    finally:
        await mirror.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await ending
        memory.close()


async def until(claim, seconds=10):
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - claims are about a whole world, which has no event
            await asyncio.sleep(0.005)


def same(mirror, api):
    return {d["metadata"]["name"]: d["metadata"]["resourceVersion"] for d in mirror.everything()} == {
        name: d["metadata"]["resourceVersion"] for name, d in api.objects.items()
    }


async def test_everything_is_listed_page_by_page_and_then_heard(tmp_path):
    async with FakeApi() as api:
        api.page = 2
        for number in range(5):
            api.put(f"d{number}")
        async with mirrored(api, tmp_path) as (mirror, heard):
            await until(lambda: mirror.synced and api.watchers)
            assert same(mirror, api)
            api.put("d1", spec={"new": 1})
            api.remove("d2")
            await until(lambda: same(mirror, api))
            assert [event.type for event in heard] == ["ADDED"] * 5 + ["MODIFIED", "DELETED"]
            assert mirror.get("team", "d1")["spec"] == {"new": 1}
            assert mirror.get("team", "d2") is None


async def test_a_cut_line_is_taken_up_where_it_was_cut(tmp_path):
    async with FakeApi() as api:
        api.put("a")
        async with mirrored(api, tmp_path) as (mirror, heard):
            await until(lambda: api.watchers)
            api.cut(half_a_line=b'{"type": "MODIFIED", "object": {"meta')
            api.put("b")
            api.put("a", spec={"new": 1})
            await until(lambda: same(mirror, api))
            assert [(e.type, e.document["metadata"]["name"]) for e in heard] == [
                ("ADDED", "a"),
                ("ADDED", "b"),
                ("MODIFIED", "a"),
            ]


@pytest.mark.parametrize("in_the_stream", [True, False])
async def test_what_was_forgotten_is_listed_again(tmp_path, in_the_stream):
    async with FakeApi() as api:
        for name in ("a", "b", "c"):
            api.put(name)
        async with mirrored(api, tmp_path) as (mirror, heard):
            await until(lambda: api.watchers)
            watching = set(api.watchers)
            api.watchers.clear()  # what happens now nobody says
            api.remove("a")
            api.put("b", spec={"new": 1})
            api.forget()
            api.watchers = watching
            if in_the_stream:
                api.say("ERROR", status(410, "too old resource version"))
            else:
                api.cut()
            await until(lambda: same(mirror, api))
            assert [(e.type, e.document["metadata"]["name"]) for e in heard[3:]] == [
                ("DELETED", "a"),
                ("MODIFIED", "b"),
            ]


async def test_an_object_made_again_is_another(tmp_path):
    async with FakeApi() as api:
        api.put("a")
        async with mirrored(api, tmp_path) as (mirror, heard):
            await until(lambda: api.watchers)
            before = mirror.get("team", "a")["metadata"]["uid"]
            api.remove("a")
            api.put("a")
            await until(lambda: len(heard) == 3)
            assert [event.type for event in heard] == ["ADDED", "DELETED", "ADDED"]
            assert mirror.get("team", "a")["metadata"]["uid"] != before


async def test_a_bookmark_moves_the_place_where_it_goes_on(tmp_path):
    async with FakeApi() as api:
        api.put("a")
        async with mirrored(api, tmp_path) as (mirror, heard):
            await until(lambda: api.watchers)
            api.version += 5  # other kinds' changes
            api.forget()
            api.bookmark()
            api.put("b")
            await until(lambda: same(mirror, api))
            api.cut()
            api.put("b", spec={"new": 1})
            await until(lambda: same(mirror, api))
            assert [event.type for event in heard] == ["ADDED", "ADDED", "MODIFIED"]


async def test_an_api_server_without_the_kind_is_taught_it(tmp_path):
    async with FakeApi() as api:
        api.defined = False
        async with mirrored(api, tmp_path) as (mirror, _):
            await until(lambda: mirror.synced)
            assert api.defined
            api.put("a")
            await until(lambda: same(mirror, api))


@pytest.mark.parametrize("mood", BAD_MOODS, ids=str)
async def test_a_bad_mood_passes_and_nothing_known_is_lost(tmp_path, mood):
    async with FakeApi() as api:
        api.put("a")
        async with mirrored(api, tmp_path) as (mirror, heard):
            await until(lambda: api.watchers)
            api.bad = [mood] * 4
            api.cut()
            api.put("b")
            await until(lambda: same(mirror, api) and not api.bad)
            assert "DELETED" not in [event.type for event in heard]


async def test_a_status_is_written_when_the_api_server_takes_it(tmp_path):
    async with FakeApi() as api:
        api.put("a", spec={"predictors": []})
        async with mirrored(api, tmp_path) as (mirror, _):
            await until(lambda: api.watchers)
            api.bad = ["hang up", (503, status(503)), (429, status(429))]
            mirror.report(mirror.get("team", "a"), {"state": "Creating"})
            mirror.report(mirror.get("team", "a"), {"state": "Available"})
            await until(lambda: api.objects["a"].get("status") == {"state": "Available"})
            await until(lambda: same(mirror, api))
            assert api.objects["a"]["spec"] == {"predictors": []}
            version = api.version
            mirror.report(mirror.get("team", "a"), {"state": "Available"})
            api.put("b")
            await until(lambda: same(mirror, api))
            assert api.version == version + 1  # an equal status was not written


async def test_a_status_of_what_has_changed_meanwhile_is_left_to_the_next_look(tmp_path):
    async with FakeApi() as api:
        api.put("a")
        async with mirrored(api, tmp_path) as (mirror, _):
            await until(lambda: api.watchers)
            seen = mirror.get("team", "a")
            api.conflicts = 1
            mirror.report(seen, {"state": "Failed"})
            await until(lambda: not api.conflicts)
            mirror.report(seen, {"state": "Available"})
            await until(lambda: api.objects["a"].get("status") == {"state": "Available"})
            mirror.report(seen, {"state": "Failed"})
            api.remove("a")  # and of what is gone to nobody
            await until(lambda: same(mirror, api))
            assert mirror.everything() == []


async def test_a_quarrel_over_a_status_does_not_wear_the_api_server_out(tmp_path):
    async with FakeApi() as api:
        api.put("a")
        api.put("b")
        async with mirrored(api, tmp_path) as (mirror, _):

            def insist(event):
                """Both sides answer every write of the other with one of their own."""
                if event.document["metadata"]["name"] == "a" and event.document.get("status") != {"by": "us"}:
                    mirror.report(event.document, {"by": "us"})
                elif event.document["metadata"]["name"] == "a":
                    api.put("a", status={"by": "them"})

            await until(lambda: api.watchers)
            before = api.version
            mirror.listeners.add(insist)
            api.put("a", status={"by": "them"})
            await until(lambda: api.version >= before + 2 * RALLY)
            await asyncio.sleep(0.3)
            assert api.version <= before + 2 * RALLY + 2
            mirror.report(mirror.get("team", "b"), {"by": "us"})  # others are served meanwhile
            await until(lambda: api.objects["b"].get("status") == {"by": "us"})


async def test_a_start_without_an_api_server_begins_with_what_was_served(tmp_path):
    async with FakeApi() as api:
        api.put("kept")
        api.put("gone")
        async with mirrored(api, tmp_path) as (mirror, _):
            await until(lambda: api.watchers)
            for document in mirror.everything():
                mirror.remember_served(document)
        api.remove("gone")
        api.put("kept", spec={"new": 1})
        api.bad = ["hang up"] * 20
        async with mirrored(api, tmp_path) as (mirror, heard):
            assert {d["metadata"]["name"] for d in mirror.everything()} == {"kept", "gone"}
            assert not mirror.synced
            mirror.report(mirror.get("team", "kept"), {"state": "Available"})
            await until(lambda: mirror.synced)
            told = [(event.type, event.document["metadata"]["name"]) for event in heard]
            assert told[:2] == [("DELETED", "gone"), ("MODIFIED", "kept")]
            assert set(told[2:]) <= {("MODIFIED", "kept")}, "at most our own status comes back by now"
            await until(lambda: api.objects["kept"].get("status") == {"state": "Available"})
            assert mirror.served("team", "gone") is None


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_the_mirror_ends_as_the_api_server_is(tmp_path, seed):
    chance = random.Random(seed)
    async with FakeApi() as api, mirrored(api, tmp_path) as (mirror, heard):
        for _ in range(60):
            name = f"d{chance.randrange(4)}"
            match chance.randrange(9):
                case 0 | 1 | 2:
                    api.put(name, spec={"n": chance.random()})
                case 3 if name in api.objects:
                    api.remove(name)
                case 4:
                    api.cut(half_a_line=chance.choice([b"", b'{"type": "ADDED"']))
                case 5:
                    api.forget()
                case 6:
                    api.bad.append(chance.choice(BAD_MOODS))
                case 7 if known := mirror.get("team", name):
                    mirror.report(known, {"state": chance.choice(["Creating", "Available"])})
                case 8:
                    api.bookmark()
            await asyncio.sleep(chance.choice([0, 0, 0.002, 0.01]))
        await until(lambda: mirror.synced and same(mirror, api))
        told = {}
        for event in heard:
            told[event.document["metadata"]["name"]] = event
        assert {name for name, event in told.items() if event.type != "DELETED"} == set(api.objects)
