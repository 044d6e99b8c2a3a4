"""The door for webhooks: who may knock rings a bell, nobody else reaches anything, and no secret is ever said."""

import http.client
import socket
import threading
import time

import pytest

from cdl.embedded.forge.outbox import signed
from cdl.gitops.knock import WINDOW
from cdl.gitops.record import Record
from cdl.gitops.watch import Bell, watch
from cdl.gitops.webhook import AT_ONCE, LARGEST, listening
from cdl.ports.errors import Rejected

TOKEN = "canary-" + "7" * 20
PUSH = {"X-Gitlab-Event": "Push Hook"}
BODY = b'{"object_kind": "push"}'


class Rings:
    """Counts how often it was rung."""

    def __init__(self):
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.count += 1


@pytest.fixture
def rings():
    return Rings()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def door(rings, heard):
    with listening("127.0.0.1", 0, TOKEN, rings, heard.append) as port:
        yield port


def knock(port, headers, body=BODY, method="POST", path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), str(answer.headers)
    finally:
        connection.close()


def signature(message="msg_1", at=None, secret=TOKEN, body=BODY):
    return signed(secret, message, int(time.time()) if at is None else at, body)


def test_the_token_rings(door, rings):
    assert knock(door, {"X-Gitlab-Token": TOKEN, **PUSH})[0] == 202
    assert rings.count == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": TOKEN[:-1]},
        {"X-Gitlab-Token": TOKEN + "x"},
        {"X-Gitlab-Token": "é"},
        {"Authorization": f"Bearer {TOKEN}"},
        {"X-Gitlab-Token": "wrong", **signature()},
        signature(secret="another secret of a stranger"),
        signature(body=b"other"),
        signature() | {"webhook-id": "msg_2"},
        signature() | {"webhook-timestamp": "0"},
        signature() | {"webhook-timestamp": "9" * 400},
        signature() | {"webhook-signature": "v2,AAAA v1, v1"},
    ],
)
def test_nobody_else_does(door, rings, headers):
    status, body, head = knock(door, headers | PUSH)
    assert (status, body) == (401, b"")
    assert TOKEN not in head
    assert rings.count == 0


def test_without_a_secret_the_body_is_never_read(door, rings):
    with socket.create_connection(("127.0.0.1", door), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nX-Gitlab-Token: no\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 401")
    assert rings.count == 0


@pytest.mark.parametrize(("length", "status"), [(str(LARGEST + 1), 413), ("9" * 30, 413), ("-1", 411), ("x", 411)])
def test_a_body_has_a_largest_size(door, rings, length, status):
    with socket.create_connection(("127.0.0.1", door), timeout=20) as connection:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nX-Gitlab-Token: {TOKEN}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(f"HTTP/1.0 {status}".encode())
    assert rings.count == 0


def test_a_signed_message_rings_once(door, rings):
    headers = signature() | PUSH
    assert [knock(door, headers)[0] for _ in range(3)] == [202, 202, 202]
    assert rings.count == 1
    assert knock(door, signature("msg_2") | PUSH)[0] == 202
    assert rings.count == 2


@pytest.mark.parametrize("shift", [-3600, -WINDOW - 30, WINDOW + 30])
def test_a_late_message_is_turned_away(door, rings, shift):
    assert knock(door, signature(at=int(time.time()) + shift) | PUSH)[0] == 401
    assert rings.count == 0


@pytest.mark.parametrize("event", ["Note Hook", "Pipeline Hook", "Job Hook"])
def test_what_moves_no_branch_rings_nothing(door, rings, event):
    assert knock(door, {"X-Gitlab-Token": TOKEN, "X-Gitlab-Event": event})[0] == 200
    assert rings.count == 0


def test_health_needs_no_secret_and_rings_nothing(door, rings):
    assert knock(door, {}, b"", "GET", "/healthz")[0] == 200
    assert knock(door, {}, b"", "GET", "/status")[0] == 404
    assert rings.count == 0


def test_a_crowd_that_says_nothing_does_not_end_the_door(door, rings):
    crowd = [socket.create_connection(("127.0.0.1", door), timeout=20) for _ in range(AT_ONCE + 8)]
    for one in crowd:
        one.close()
    status = 0
    deadline = time.monotonic() + 20
    while status != 202 and time.monotonic() < deadline:
        try:
            status = knock(door, {"X-Gitlab-Token": TOKEN, **PUSH})[0]
        except OSError:
            continue
    assert (status, rings.count) == (202, 1)


def test_nothing_is_printed(door, rings, capfd):
    knock(door, {"X-Gitlab-Token": TOKEN, **PUSH})
    knock(door, {"X-Gitlab-Token": "wrong"})
    with socket.create_connection(("127.0.0.1", door), timeout=20) as connection:
        connection.sendall(f"{TOKEN} nonsense\r\n\r\n".encode())
        connection.recv(64)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("secret", ["short", "whsec_not-base64!!!!!!!!"])
def test_a_secret_that_is_none_is_refused(secret, rings):
    with pytest.raises(Rejected) as caught, listening("127.0.0.1", 0, secret, rings):
        pass
    assert secret not in str(caught.value)


def test_what_became_of_each_is_heard_and_nothing_of_what_it_held(door, heard):
    late = signature(at=int(time.time()) - 3600)
    asked = [
        ({"X-Gitlab-Token": TOKEN, **PUSH}, "accepted"),
        (signature() | PUSH, "accepted"),
        (signature() | PUSH, "accepted: a second time"),
        ({"X-Gitlab-Token": TOKEN, "X-Gitlab-Event": "Note Hook"}, "accepted: of nothing that is followed"),
        (PUSH, "refused: no token and no signature"),
        ({"X-Gitlab-Token": "wrong", **PUSH}, "refused: wrong token"),
        (late | PUSH, "refused: signed too long ago"),
        (signature(secret="another secret of a stranger") | PUSH, "refused: wrong signature"),
    ]
    for headers, _ in asked:
        knock(door, headers)
    assert heard == [outcome for _, outcome in asked]


@pytest.mark.parametrize(("length", "outcome"), [("9" * 30, "refused: too long"), ("x", "refused: no length")])
def test_a_body_without_measure_is_heard_of(door, heard, length, outcome):
    with socket.create_connection(("127.0.0.1", door), timeout=20) as connection:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nX-Gitlab-Token: {TOKEN}\r\n\r\n"
        connection.sendall(head.encode())
        connection.recv(64)
    assert heard == [outcome]


def test_two_hundred_webhooks_are_few_looks():
    """While one look goes on, all that knock meanwhile are one more look."""
    looks, going, first, bell = [], threading.Event(), threading.Event(), Bell()

    class Slow:
        def look(self):
            looks.append(1)
            first.set()
            assert going.wait(20)
            return Record(project="p", repository="r", branch="b", path=".")

    thread = threading.Thread(target=watch, args=(Slow(), bell, 600.0, lambda _: None))
    thread.start()
    first.wait(20)
    with listening("127.0.0.1", 0, TOKEN, bell.ring) as port:
        answers = [knock(port, {"X-Gitlab-Token": TOKEN, **PUSH})[0] for _ in range(200)]
    going.set()
    deadline = time.monotonic() + 20
    while len(looks) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    bell.end()
    thread.join(20)
    assert answers == [202] * 200
    assert len(looks) == 2
