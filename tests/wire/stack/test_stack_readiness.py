"""A server may be asked whether it is ready; who started it and what it was told decide whether it is the right one."""

import json
import os
import signal
import sys

import psutil
import pytest

from cdl.embedded.stack import Service, Stack, StackError, ports

SLEEPER = "import sys, time; print(sys.argv[1:], flush=True); time.sleep(600)"
DELAY = {"first": 0, "second": 0.1, "writer": 0.3}
ENDING = (
    "import signal, sys, time\n"
    "def end(*_): time.sleep(float(sys.argv[1])); open(sys.argv[2], 'a').write(sys.argv[3] + ' '); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)"
)
LISTENER = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    "print('ready', flush=True); time.sleep(600)"
)


def asked(question, name="sleeper", **told):
    return Service(name, (sys.executable, "-c", SLEEPER, name), question, tuple(told.items()))


@pytest.fixture
def stack(tmp_path):
    made = Stack(tmp_path)
    yield made
    made.stop()


def test_a_server_that_can_be_asked_is_asked_until_it_says_yes(stack):
    answers = iter([False, False, True])
    assert stack.start([asked(lambda: next(answers))]) == ("sleeper",)
    assert list(answers) == []


def test_a_server_that_runs_is_asked_again_for_its_starter_may_have_died_before_it_was_ready(stack):
    stack.start([asked(lambda: True)])
    answers = iter([False, True])
    assert stack.start([asked(lambda: next(answers))]) == ()
    assert list(answers) == []


def test_a_server_that_ends_before_it_says_yes_is_told_with_its_last_words(stack):
    service = Service("mayfly", (sys.executable, "-c", "import sys; sys.exit('no wings')"), lambda: False)
    with pytest.raises(StackError, match=r"^mayfly ended with 1: no wings$"):
        stack.start([service])


def test_a_server_of_somebody_else_that_ends_before_it_says_yes_is_told(stack, tmp_path):
    stack.start([asked(lambda: True)])
    pid = stack.running()["sleeper"].pid

    def end():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)  # so that the stack is not its parent any more, as after another command
        return False

    with pytest.raises(StackError, match=r"^sleeper ended"):
        stack.start([asked(end)])


def test_a_server_told_something_else_is_started_anew(stack, tmp_path):
    stack.start([asked(lambda: True, PLACE="here")])
    first = stack.running()["sleeper"].pid
    assert Stack(tmp_path).start([asked(lambda: True, PLACE="here")]) == ()
    assert stack.start([asked(lambda: True, PLACE="there")]) == ("sleeper",)
    assert stack.running()["sleeper"].pid != first


def test_two_homes_with_the_same_command_do_not_find_each_others_server(tmp_path):
    one, two = Stack(tmp_path / "one"), Stack(tmp_path / "two")
    try:
        for stack, place in ((one, "one"), (two, "two")):
            stack.start([asked(lambda: True, PLACE=place)])
        mine = two.running()["sleeper"].pid
        record = tmp_path / "two" / "processes" / "sleeper.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": 0, "started": 0}))
        assert two.running()["sleeper"].pid == mine
    finally:
        one.stop()
        two.stop()


def test_of_a_server_and_its_children_the_eldest_is_found(stack, tmp_path):
    text = "import os, time; print('fork ready', flush=True) if os.fork() else None; time.sleep(600)"
    stack.start([Service("fork", (sys.executable, "-c", text), "fork ready")])
    eldest = stack.running()["fork"].pid
    (child,) = psutil.Process(eldest).children()
    record = tmp_path / "processes" / "fork.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": 0, "started": 0}))
    assert stack.running()["fork"].pid == eldest
    child.kill()


def test_those_named_last_end_after_all_others_and_in_that_order(stack, tmp_path):
    words = {name: (str(DELAY[name]), str(tmp_path / "order"), name) for name in DELAY}
    stack.start([Service(name, (sys.executable, "-c", ENDING, *words[name]), "ready") for name in DELAY])
    assert stack.stop(last=("second", "first")) == ("writer", "second", "first")
    assert (tmp_path / "order").read_text() == "writer second first "


def test_ports_of_others_are_kept_when_some_are_asked_for(tmp_path):
    first = ports(tmp_path, ("one", "two"))
    second = ports(tmp_path, ("three",))
    assert len({*first.values(), *second.values()}) == 3
    assert ports(tmp_path, ("one", "two", "three")) == first | second


def test_a_port_belongs_to_a_server_whose_name_it_begins_with(stack, tmp_path):
    at = ports(tmp_path, ("kube-api", "kube-api-peer"))["kube-api-peer"]
    command = (sys.executable, "-c", LISTENER, str(at))
    stack.start([Service("kube-api", command, "ready")])
    assert ports(tmp_path, ("kube-api-peer",)) == {"kube-api-peer": at}


def test_a_port_somebody_else_listens_on_is_given_up(stack, tmp_path):
    at = ports(tmp_path, ("kube-api-peer",))["kube-api-peer"]
    stack.start([Service("kube-apiary", (sys.executable, "-c", LISTENER, str(at)), "ready")])
    assert ports(tmp_path, ("kube-api-peer",))["kube-api-peer"] != at
