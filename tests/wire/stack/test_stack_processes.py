"""Servers that outlive the command that started them are found again, and never started twice."""

import os
import signal
import socket
import sys
import time

import psutil
import pytest

from cdl.embedded.stack import Service, Stack, StackError, ports

SLEEPER = "import sys, time; print('sleeper ready at', sys.argv[1], flush=True); time.sleep(600)"


def sleeper(mark="1"):
    return Service("sleeper", (sys.executable, "-c", SLEEPER, mark), "sleeper ready")


@pytest.fixture
def stack(tmp_path):
    made = Stack(tmp_path)
    yield made
    made.stop()


def test_a_started_service_runs_until_it_is_stopped(stack, tmp_path):
    assert stack.start([sleeper()]) == ("sleeper",)
    pid = stack.running()["sleeper"].pid
    assert psutil.pid_exists(pid)
    assert stack.start([sleeper()]) == ()
    assert Stack(tmp_path).running()["sleeper"].pid == pid
    assert stack.stop() == ("sleeper",)
    assert stack.running() == {}
    assert stack.stop() == ()


def test_another_command_replaces_the_running_service(stack):
    stack.start([sleeper("1")])
    first = stack.running()["sleeper"].pid
    assert stack.start([sleeper("2")]) == ("sleeper",)
    assert stack.running()["sleeper"].pid != first


def test_a_killed_service_is_started_again(stack):
    stack.start([sleeper()])
    first = stack.running()["sleeper"].pid
    os.kill(first, signal.SIGKILL)
    while "sleeper" in stack.running():
        time.sleep(0.01)
    assert stack.start([sleeper()]) == ("sleeper",)
    assert stack.running()["sleeper"].pid != first


def test_a_process_id_used_again_by_somebody_else_is_not_ours(stack, tmp_path):
    stack.start([sleeper()])
    record = tmp_path / "processes" / "sleeper.json"
    ours = stack.running()["sleeper"]
    kept = record.read_text()
    record.write_text(kept.replace(f'"started": {ours.started}', f'"started": {ours.started + 1}'))
    assert stack.running() == {}
    record.write_text(kept)


def test_a_torn_record_says_nothing(stack, tmp_path):
    (tmp_path / "processes" / "broken.json").write_text('{"name": "bro')
    assert stack.running() == {}


def test_a_service_that_ends_at_once_is_told_with_its_last_words(stack):
    words = Service("mayfly", (sys.executable, "-c", "import sys; sys.exit('no wings')"), "mayfly ready")
    with pytest.raises(StackError, match=r"mayfly ended with 1: no wings"):
        stack.start([words])


def test_ports_stay_the_same_from_one_time_to_the_next(tmp_path):
    first = ports(tmp_path, ["a", "b"])
    assert len(set(first.values())) == 2
    assert ports(tmp_path, ["a", "b"]) == first


def test_a_port_taken_by_another_program_is_replaced_unless_it_was_asked_for(tmp_path):
    first = ports(tmp_path, ["a"])
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["a"]))
        other.listen()
        assert ports(tmp_path, ["a"])["a"] != first["a"]
        with pytest.raises(StackError, match=rf"port {first['a']} \(a\) is in use by another program"):
            ports(tmp_path, ["a"], {"a": first["a"]})
