"""The place where user code runs: room, time, and what becomes of calls that nobody waits for."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from cdl.serving.counter import Counter
from cdl.serving.faults import Fault


@pytest.fixture
def counter():
    made = Counter(1, 2, 60)
    yield made
    made.close()


class Held:
    """A call that runs until it is let go."""

    def __init__(self):
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.go.wait(60)
        return "done"


async def begun(counter, held):
    task = asyncio.ensure_future(counter.run(held))
    await asyncio.to_thread(held.begun.wait, 60)
    return task


async def test_each_caller_gets_its_own_answer():
    counter = Counter(3, 500, 60)
    assert await asyncio.gather(*(counter.run(lambda n=n: n * n) for n in range(500))) == [n * n for n in range(500)]
    assert counter.inside == 0
    counter.close()


async def test_what_finds_no_room_is_told_so_at_once(counter):
    held = Held()
    running = await begun(counter, held)
    waiting = [asyncio.ensure_future(counter.run(lambda: "later")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Fault) as found:
        await counter.run(lambda: "never")
    assert (found.value.status, found.value.sentence) == (503, "3 requests are waiting already; try again")
    held.go.set()
    assert await asyncio.gather(running, *waiting) == ["done", "later", "later"]


async def test_a_call_whose_caller_left_before_it_began_is_never_run(counter):
    held, ran = Held(), []
    running = await begun(counter, held)
    left = asyncio.ensure_future(counter.run(lambda: ran.append("left")))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert counter.inside == 1
    held.go.set()
    assert await running == "done"
    await counter.run(lambda: ran.append("stayed"))
    assert ran == ["stayed"]


async def test_a_call_that_runs_on_after_its_time_keeps_its_room():
    counter, held = Counter(1, 0, 0.05), Held()
    running = asyncio.ensure_future(counter.run(held))
    await asyncio.sleep(0)
    assert held.begun.wait(60)  # the loop waits too, and with it the clock
    with pytest.raises(Fault) as found:
        await running
    assert (found.value.status, counter.inside) == (504, 1)
    with pytest.raises(Fault) as found:
        await counter.run(lambda: "no room")
    assert found.value.status == 503
    held.go.set()
    for _ in range(6000):
        if counter.inside:
            await asyncio.sleep(0.01)
    assert counter.inside == 0
    counter.close()


@pytest.mark.parametrize("leave", [sys.exit, lambda: (_ for _ in ()).throw(KeyboardInterrupt)])
async def test_code_that_would_end_the_server_fails_its_own_call_alone(counter, leave):
    with pytest.raises(Fault) as found:
        await counter.run(leave)
    assert found.value.status == 500
    assert await counter.run(lambda: "still there") == "still there"
