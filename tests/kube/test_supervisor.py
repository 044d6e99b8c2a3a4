"""A supervised program, with real processes and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from cdl.kube.supervisor import Patience, supervise

PROGRAM = """
import logging, os, pathlib, signal, sys, time
from cdl.kube.supervisor import Patience, supervise

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
births = pathlib.Path(sys.argv[1])

def main():
    with births.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    BODY

sys.exit(supervise(main, name="worker", patience=Patience(first_pause=PAUSE, longest_pause=0.2, grace=0.5)))
"""
OBEDIENT = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    births.with_name("ready").touch()
    signal.pause()
"""
PLAIN = """
    births.with_name("ready").touch()
    time.sleep(600)
"""


class Program:
    def __init__(self, folder, body, pause=0.05):
        self.births, self.ready, self.log = folder / "births", folder / "ready", folder / "log"
        text = PROGRAM.replace("    BODY", body.strip("\n")).replace("PAUSE", str(pause))
        with self.log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, "-c", text, str(self.births)], stdout=log, stderr=log)
        self.pid = self.process.pid

    def children(self):
        return [int(line) for line in self.births.read_text().split()] if self.births.exists() else []

    def child(self, number):
        """Wait for the n-th child to be at work, and give its process id."""
        until(lambda: len(self.children()) >= number and self.ready.exists(), self)
        return self.children()[number - 1]

    def end(self):
        return self.process.wait(30)

    def close(self):
        """Nothing is left behind, whatever the test found."""
        for pid in (self.pid, *self.children()):
            if runs(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(question, program):
    deadline = time.monotonic() + 30
    while not question():
        assert time.monotonic() < deadline, program.log.read_text()
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(body, folder=tmp_path, **how):
        started.append(Program(folder, body, **how))
        return started[-1]

    yield begin
    for program in started:
        program.close()


def test_a_killed_child_is_followed_by_another(start):
    program = start(OBEDIENT)
    first = program.child(1)
    program.ready.unlink()
    os.kill(first, signal.SIGKILL)
    second = program.child(2)
    assert second != first
    assert not psutil.pid_exists(first), "the dead child is still on the process table"
    assert psutil.Process(second).ppid() == program.pid
    assert "worker ended with SIGKILL; it is started again in 0.1 s" in program.log.read_text()


def test_a_child_that_fails_is_tried_again_and_says_why(start):
    program = start("    raise ValueError('no such engine')")
    until(lambda: len(program.children()) >= 3, program)
    assert "ValueError: no such engine" in program.log.read_text()
    program.process.terminate()
    assert program.end() in {0, 1, 128 + signal.SIGTERM}


def test_who_asks_for_an_end_gets_it(start):
    program = start(OBEDIENT)
    child = program.child(1)
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0
    assert not psutil.pid_exists(child)
    assert program.children() == [child]


def test_a_child_without_manners_ends_by_the_signal(start):
    program = start(PLAIN)
    child = program.child(1)
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 128 + signal.SIGTERM
    assert not psutil.pid_exists(child)


def test_a_request_to_end_is_heard_while_children_come_and_go(start, tmp_path):
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        program = start("    time.sleep(0.03)\n    sys.exit(1)", pause=0.001, folder=folder)
        until(lambda of=program: len(of.children()) > 2, program)
        time.sleep(number / 70)
        program.process.send_signal(signal.SIGTERM)
        assert program.end() in {0, 1, 128 + signal.SIGTERM}


def test_a_child_that_will_not_end_is_killed(start):
    program = start("    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PLAIN)
    child = program.child(1)
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 128 + signal.SIGKILL
    assert not psutil.pid_exists(child)
    assert "worker did not end within" in program.log.read_text()


def test_a_child_does_not_outlive_its_parent(start):
    program = start("    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PLAIN)
    child = program.child(1)
    program.process.kill()
    program.end()
    until(lambda: not runs(child), program)
    assert program.children() == [child]


def test_ctrl_c_is_heard_once(start):
    body = """
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    births.with_name("ready").touch()
    while not heard:
        time.sleep(0.01)
    time.sleep(0.2)
    return 10 + len(heard)
"""
    program = start(body)
    child = program.child(1)
    assert os.getpgid(child) != os.getpgid(program.pid), "a terminal would tell the child, too"
    program.process.send_signal(signal.SIGINT)
    assert program.end() == 11


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("    return 0", 0),
        ("    return 2", 2),
        ("    sys.exit(2)", 2),
        ("    sys.exit()", 0),
    ],
)
def test_an_end_for_good_is_one(start, body, status):
    program = start(body)
    assert program.end() == status
    assert len(program.children()) == 1


def test_a_program_between_two_children_can_be_stopped(start):
    program = start("    sys.exit('one sentence')", pause=60)
    until(lambda: "started again" in program.log.read_text(), program)
    assert "one sentence\n" in program.log.read_text()
    program.process.send_signal(signal.SIGTERM)
    assert program.end() == 0
    assert len(program.children()) == 1


def test_a_process_with_threads_is_refused():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="busy")
    thread.start()
    try:
        with pytest.raises(RuntimeError, match=r"operator: a process with threads cannot be supervised: .*busy"):
            supervise(lambda: 0, name="operator")
    finally:
        stop.set()
        thread.join()


def test_pauses_grow_to_a_limit():
    patience = Patience()
    pauses = [patience.pause(deaths) for deaths in range(1, 12)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == 30
    assert patience.pause(10**6) == 30
