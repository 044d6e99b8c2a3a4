"""Servers that outlive the command that started them are found again, and never started twice."""

import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from cdl.embedded.stack import Service, Stack, StackError, ports

SLEEPER = "import sys, time; print('sleeper ready at', sys.argv[1], flush=True); time.sleep(600)"


def sleeper(mark="1", name="sleeper", **environment):
    return Service(name, (sys.executable, "-c", SLEEPER, mark), "sleeper ready", tuple(environment.items()))


def program(text, name="sleeper"):
    return Service(name, (sys.executable, "-c", text), "sleeper ready")


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


def test_a_name_gets_no_port_that_another_name_has(tmp_path):
    (tmp_path / "ports.json").write_text('["torn"]')
    names = [str(n) for n in range(40)]
    assert len(set(ports(tmp_path, names).values())) == len(names)


def test_the_ports_of_a_running_service_are_kept(stack, tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        (tmp_path / "ports.json").write_text(f'{{"sleeper": {port}, "sleeper-door": {port}}}')
        assert ports(tmp_path, ["sleeper"])["sleeper"] != port
        (tmp_path / "ports.json").write_text(f'{{"sleeper": {port}, "sleeper-door": {port}}}')
        stack.start([sleeper()])
        assert ports(tmp_path, ["sleeper", "sleeper-door"]) == {"sleeper": port, "sleeper-door": port}


def test_who_holds_the_home_folder_keeps_others_out(stack, tmp_path):
    def taken():
        with (tmp_path / "processes" / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    with stack.alone():
        assert taken()
    assert not taken()


def test_the_last_started_ends_first_and_leaves_no_record(stack, tmp_path):
    for name in ("b", "a", "c"):
        stack.start([sleeper(name=name)])
    (tmp_path / "processes" / "broken.json").write_text('{"name": "bro')
    assert stack.stop() == ("c", "a", "b")
    assert list((tmp_path / "processes").glob("*.json")) == []


def test_the_words_of_an_earlier_process_are_not_taken_for_its_own(stack):
    stack.start([sleeper()])
    stack.stop()
    with pytest.raises(StackError, match=r"sleeper ended with 3: it said nothing; the disk of .* has \d+ bytes free"):
        stack.start([program("raise SystemExit(3)")])
    assert "sleeper ready at 1" in stack.log("sleeper").read_text()


def test_a_service_has_our_environment_and_its_own_and_a_session_of_its_own(stack, monkeypatch):
    monkeypatch.setenv("FROM_US", "ours")
    stack.start([sleeper(ITS_OWN="own")])
    process = psutil.Process(stack.running()["sleeper"].pid)
    environment = process.environ()
    assert (environment["FROM_US"], environment["ITS_OWN"]) == ("ours", "own")
    assert os.getsid(process.pid) == process.pid


def test_one_that_does_not_listen_is_killed(stack, monkeypatch):
    monkeypatch.setattr("cdl.embedded.stack.STOP_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('sleeper ready', flush=True); time.sleep(600)"
    stack.start([program(deaf)])
    process = psutil.Process(stack.running()["sleeper"].pid)
    stack.stop()
    assert not process.is_running()


def test_one_that_never_says_it_is_ready_is_named_with_its_log(stack, monkeypatch):
    monkeypatch.setattr("cdl.embedded.stack.START_SECONDS", 0.3)
    with pytest.raises(StackError, match=r"sleeper was not ready after 0.3 s; its log is .*sleeper\.log"):
        stack.start([program("import time; time.sleep(600)")])


CHILDLESS = """
import subprocess, sys, time
child = subprocess.Popen([sys.argv[1], "-S", "-c", ""])
print("sleeper ready", child.pid, flush=True)
time.sleep(600)
"""


def test_a_server_of_another_parent_that_died_is_not_running(stack, tmp_path):
    """Its parent, who does not ask, keeps it as a zombie; its odd name stands between the kernel's figures."""
    odd = tmp_path / "a) b (c"
    odd.symlink_to(sys.executable)
    stack.start([Service("parent", (sys.executable, "-c", CHILDLESS, str(odd)), "sleeper ready")])
    pid = int(stack.log("parent").read_text().split()[-1])
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    record = {"name": "child", "pid": pid, "started": started, "command": []}
    (tmp_path / "processes" / "child.json").write_text(json.dumps(record))
    assert list(stack.running()) == ["parent"]


def test_one_that_would_not_end_is_named_and_not_forgotten(stack, monkeypatch):
    stack.start([sleeper()])
    with monkeypatch.context() as deaf:
        deaf.setattr("cdl.embedded.stack.STOP_SECONDS", 0)
        deaf.setattr("cdl.embedded.stack.KILL_SECONDS", 0)
        deaf.setattr("cdl.embedded.stack.os.kill", lambda *_: None)
        with pytest.raises(StackError, match="sleeper would not end"):
            stack.stop()
    assert list(stack.running()) == ["sleeper"]


def test_one_that_ends_by_itself_just_then_is_no_trouble(stack, monkeypatch):
    stack.start([sleeper()])
    kill = os.kill

    def too_late(pid, _):
        kill(pid, signal.SIGKILL)
        raise ProcessLookupError

    monkeypatch.setattr("cdl.embedded.stack.os.kill", too_late)
    assert stack.stop() == ("sleeper",)
    assert stack.running() == {}


def test_a_server_whose_starter_died_before_noting_its_id_is_found(stack, tmp_path):
    stack.start([sleeper(str(tmp_path))])
    pid = stack.running()["sleeper"].pid
    record = tmp_path / "processes" / "sleeper.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": 0, "started": 0}))
    assert stack.running()["sleeper"].pid == pid
    assert stack.start([sleeper(str(tmp_path))]) == ()
    assert stack.stop() == ("sleeper",)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_was_asked_for_and_never_started_does_not_run(stack, tmp_path):
    record = tmp_path / "processes" / "ghost.json"
    record.write_text(json.dumps({"name": "ghost", "pid": 0, "started": 0, "command": ["nobody", str(tmp_path)]}))
    assert stack.running() == {}


def test_what_is_secret_reaches_the_service_and_is_written_nowhere(stack, tmp_path):
    text = "import os, time; print('sleeper ready', len(os.environ['PROOF']), flush=True); time.sleep(600)"
    told = Service("sleeper", (sys.executable, "-c", text), "sleeper ready", (), (("PROOF", "open sesame"),))
    stack.start([told])
    assert "sleeper ready 11" in stack.log("sleeper").read_text()
    assert stack.start([told]) == ()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"sesame" in path.read_bytes()]
    assert "sesame" not in repr(told)


def test_what_is_withheld_of_our_environment_does_not_reach_the_service(stack, monkeypatch):
    monkeypatch.setenv("PROOF", "open sesame")
    text = "import os, time; print('sleeper ready', 'PROOF' in os.environ, flush=True); time.sleep(600)"
    stack.start([Service("sleeper", (sys.executable, "-c", text), "sleeper ready", withheld=("PROOF",))])
    assert "sleeper ready False" in stack.log("sleeper").read_text()
