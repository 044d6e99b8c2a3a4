"""A key waits once, is in one pair of hands at most, and comes up at the earliest time anybody asked for."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.meta import Key
from cdl.loop.queue import WorkQueue

A, B, C = (Key("Experiment", "default", name) for name in "abc")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return WorkQueue(clock)


def due(queue):
    """Take everything that is due by now, without waiting."""
    taken = []
    while queue.backlog()[0] and not taken_is_busy(queue):
        taken.append(queue.take()[0])
    return taken


def taken_is_busy(queue):
    """Everything due is in somebody's hands already."""
    queue._drop_overtaken()
    return not queue._heap or queue._heap[0][0] > queue._clock()


def test_the_longest_due_comes_first(queue, clock):
    queue.add(A, 3)
    queue.add(B, 1)
    queue.add(C, 2)
    clock.now += 5
    assert [queue.take() for _ in range(3)] == [(B, 4.0), (C, 3.0), (A, 2.0)]


def test_a_key_waits_once(queue):
    for _ in range(3):
        queue.add(A)
    assert due(queue) == [A]


def test_the_earliest_time_stands(queue, clock):
    queue.add(A, 10)
    queue.add(A, 2)
    queue.add(A, 60)
    clock.now += 2
    assert due(queue) == [A]
    queue.done(A)
    clock.now += 100
    assert due(queue) == []


def test_what_is_not_due_yet_is_not_given(queue, clock):
    queue.add(A, 2)
    assert due(queue) == []
    clock.now += 2
    assert due(queue) == [A]


def test_a_key_at_work_is_not_given_again_before_it_is_done(queue):
    queue.add(A)
    assert due(queue) == [A]
    queue.add(A)
    queue.add(B)
    assert due(queue) == [B]
    queue.done(A)
    assert due(queue) == [A]


def test_what_happened_at_work_outranks_a_late_return(queue, clock):
    queue.add(A)
    queue.take()
    queue.add(A)
    queue.done(A, 600)
    assert due(queue) == [A]
    queue.done(A)
    clock.now += 1000
    assert due(queue) == []


def test_a_forgotten_key_is_not_due(queue):
    queue.add(A)
    queue.forget(A)
    assert due(queue) == []
    queue.add(A)
    assert due(queue) == [A]


def test_the_backlog_counts_what_is_due_and_how_long(queue, clock):
    assert queue.backlog() == (0, 0.0)
    queue.add(A)
    queue.add(B, 4)
    queue.add(C, 60)
    clock.now += 5
    assert queue.backlog() == (2, 5.0)


def test_a_closed_queue_lets_everybody_go():
    queue, gone = WorkQueue(), []
    workers = [threading.Thread(target=lambda: gone.append(queue.take())) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.close()
    for worker in workers:
        worker.join(10)
    assert gone == [None] * 3


def test_a_worker_that_waits_for_a_late_key_hears_of_an_early_one():
    queue, got = WorkQueue(), []
    queue.add(A, 3600)
    worker = threading.Thread(target=lambda: got.append(queue.take()[0]))
    worker.start()
    queue.add(B)
    worker.join(10)
    assert got == [B]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from([A, B, C]), st.integers(0, 5)),
            st.tuples(st.just("take"), st.none(), st.none()),
            st.tuples(st.just("done"), st.sampled_from([A, B, C]), st.one_of(st.none(), st.integers(0, 5))),
            st.tuples(st.just("wait"), st.none(), st.integers(0, 4)),
        ),
        max_size=60,
    )
)
def test_nothing_that_was_added_is_lost_and_nothing_is_in_two_hands(steps):
    clock = Clock()
    queue = WorkQueue(clock)
    wanted: dict[Key, float] = {}
    busy: set[Key] = set()
    for what, key, number in steps:
        if what == "add":
            queue.add(key, number)
            wanted[key] = min(wanted.get(key, 1e9), clock.now + number)
        elif what == "wait":
            clock.now += number
        elif what == "done" and key in busy:
            busy.remove(key)
            queue.done(key, number)
            if number is not None:
                wanted[key] = min(wanted.get(key, 1e9), clock.now + number)
        elif what == "take":
            ready = {k: at for k, at in wanted.items() if at <= clock.now and k not in busy}
            if ready:
                got, overdue = queue.take()
                assert got in ready
                assert wanted.pop(got) == min(ready.values()) == clock.now - overdue
                busy.add(got)
    for key in busy:
        queue.done(key)
    clock.now += 10
    assert sorted(due(queue)) == sorted(wanted)
