"""The router: weights, framing, failures; asked over real HTTP."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.wire.seldon.engine import Engine, deployment, eventually, predictor

BASE = "/seldon/default/plain"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two predictors, 90 to 10, and a slow shadow."""
    folder = tmp_path_factory.mktemp("plain")
    engine = Engine(folder).start()
    notes = {"NOTES": str(folder / "notes"), "SLEEP": "1.5"}
    engine.create(deployment("plain", predictor("a", 90), predictor("b", 10), predictor("s", shadow=True, env=notes)))
    engine.create(
        deployment("lone", predictor("only", env={"SLEEP": "0.6"}), annotations={"seldon.io/rest-timeout": "300"})
    )
    for name in ("plain", "lone"):
        engine.until(name)
    engine.notes = folder / "notes"
    yield engine
    engine.close()


def exchange(engine, request: bytes) -> bytes:
    """Send bytes and read until the router hangs up."""
    with socket.create_connection(("127.0.0.1", engine.router_port), timeout=10) as caller:
        caller.sendall(request)
        return b"".join(iter(lambda: caller.recv(65536), b""))


def test_a_request_reaches_a_predictor_with_its_path_and_headers(plain):
    reply = plain.router.post(f"{BASE}/v2/models/m/infer?a=%20b", content=b"hello", headers={"X-Mine": "1"})
    body = reply.json()
    assert body["path"] == "/v2/models/m/infer?a=%20b"
    assert body["size"] == 5
    headers = {name.lower(): value for name, value in body["headers"].items()}
    assert headers["x-mine"] == "1"
    assert headers["x-forwarded-prefix"] == BASE
    assert headers["seldon-puid"] == reply.headers["seldon-puid"]
    assert reply.headers["x-seldon-route"] == body["who"]
    assert plain.router.get(BASE).json()["path"] == "/"
    assert plain.router.get(f"{BASE}/").json()["path"] == "/"
    named = plain.router.get(f"{BASE}/metadata", headers={"Seldon-Puid": "mine"})
    assert named.headers["seldon-puid"] == "mine"


def test_90_to_10_is_kept_over_a_thousand_requests(plain):
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: plain.router.get(f"{BASE}/x").headers["x-seldon-route"], range(1000)))
    assert set(replies) <= {"a", "b"}
    # 1000 draws at 0.1: a count outside [50, 160] has a probability below 1e-6 (binomial).
    assert 50 <= replies.count("b") <= 160


def test_weights_0_and_100_are_exact_and_follow_the_object_without_a_restart(shared):
    shared.create(deployment("sharp", predictor("a", 100), predictor("b", 0)))
    shared.until("sharp")
    url = shared.url("sharp", "/who")

    def routes(number):
        return {shared.router.get(url).headers["x-seldon-route"] for _ in range(number)}

    assert routes(200) == {"a"}
    pids = {process.pid for process in shared.processes("sharp")}
    shared.patch("sharp", {"spec": {"predictors": [predictor("a", 0), predictor("b", 100)]}})
    shared.until("sharp")
    assert routes(200) == {"b"}
    assert {process.pid for process in shared.processes("sharp")} == pids


def test_a_shadow_gets_copies_and_never_delays_or_answers(plain):
    before = len(plain.notes.read_text().splitlines()) if plain.notes.exists() else 0
    began = time.monotonic()
    replies = [plain.router.post(f"{BASE}/api/v1.0/predictions", content=b"x" * 10) for _ in range(3)]
    took = time.monotonic() - began
    plain.router.get(f"{BASE}/metadata")  # nothing that is not a prediction is copied
    assert {reply.headers["x-seldon-route"] for reply in replies} <= {"a", "b"}
    assert took < 1.5  # less than one answer of the shadow
    notes = eventually(lambda: (lines := plain.notes.read_text().splitlines()[before:])[2:] and lines)
    copied = [line.split()[1] for line in notes]
    assert set(copied) >= {reply.headers["seldon-puid"] for reply in replies}
    assert {line.split()[0] for line in notes} == {"s"}


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_request_bodies_of_every_framing_arrive_whole(plain, size, chunked):
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    parts = (content[start : start + 10_000] for start in range(0, size, 10_000))
    reply = plain.router.post(f"{BASE}/anything", content=parts if chunked else content)
    assert (reply.json()["size"], reply.json()["sum"]) == (size, sum(content))


def test_answers_of_every_framing_arrive_whole(plain):
    assert plain.router.get(f"{BASE}/chunks").content == b"a" * 10 + b"b" * 100_000 + b"c"
    assert plain.router.get(f"{BASE}/until-close").content == b"d" * 100_000
    none = plain.router.get(f"{BASE}/none")
    assert (none.status_code, none.content) == (204, b"")
    head = plain.router.head(f"{BASE}/whatever")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    assert plain.router.get(f"{BASE}/after").status_code == 200
    old = exchange(plain, f"GET {BASE}/chunks HTTP/1.0\r\n\r\n".encode())
    assert b"transfer-encoding" not in old.lower()
    assert old.endswith(b"\r\n\r\n" + b"a" * 10 + b"b" * 100_000 + b"c")


def test_a_cut_answer_is_seen_to_be_cut(plain):
    with pytest.raises(httpx.RemoteProtocolError):
        plain.router.get(f"{BASE}/cut")
    silent = plain.router.get(f"{BASE}/silence")
    assert silent.status_code == 502
    assert "hung up" in silent.json()["error"]


def test_pipelined_requests_are_answered_in_order(plain):
    requests = "".join(f"GET {BASE}/{number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(20))
    last = f"GET {BASE}/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(plain, (requests + last).encode())
    paths = [
        json.loads(b"{" + part.partition(b"{")[2].partition(b"}}")[0] + b"}}")["path"]
        for part in answer.split(b"HTTP/1.1 200 OK")[1:]
    ]
    assert paths == [f"/{number}" for number in range(20)] + ["/last"]


def test_a_caller_that_closes_its_side_still_gets_its_answer(plain):
    with socket.create_connection(("127.0.0.1", plain.router_port), timeout=10) as caller:
        caller.sendall(f"GET {BASE}/half HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        caller.shutdown(socket.SHUT_WR)
        assert b"200 OK" in b"".join(iter(lambda: caller.recv(65536), b""))


def test_expect_continue_is_answered(plain):
    with socket.create_connection(("127.0.0.1", plain.router_port), timeout=10) as caller:
        caller.sendall(
            f"POST {BASE}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert caller.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        caller.sendall(b"abc")
        answer = b""
        while b'"size": 3' not in answer:
            part = caller.recv(65536)
            assert part, answer
            answer += part


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Header\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: -3\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nX: " + b"y" * 70_000, 431),
        (b"POST /x HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 404),
        (b"CONNECT localhost:22 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_what_is_not_a_proper_request_is_refused_and_the_connection_ends(plain, request_, status):
    with socket.create_connection(("127.0.0.1", plain.router_port), timeout=10) as caller:
        caller.sendall(request_)
        caller.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\nconnection: close\r\n" in answer
    assert plain.router.get(f"{BASE}/fine").status_code == 200


def test_a_body_over_the_limit_is_refused_to_a_caller_that_sends_it_all(plain):
    block = b"x" * (1 << 20)
    reply = plain.router.post(f"{BASE}/x", content=(block for _ in range(66)))
    assert (reply.status_code, "64 MiB" in reply.json()["error"]) == (413, True)


def test_unknown_paths_and_deployments_are_404(plain):
    for path in ("/nowhere", "/seldon/default/nobody/x", "/seldon/other/plain/x", "/seldon/default"):
        reply = plain.router.get(path)
        assert reply.status_code == 404, path
        assert reply.json()["error"]
    assert "/seldon/default/plain/" in plain.router.get("/").text


def test_a_slow_server_is_a_504_by_the_deployments_own_limit(plain):
    reply = plain.router.post("/seldon/default/lone/predict", content=b"x")
    assert (reply.status_code, "0.3 seconds" in reply.json()["error"]) == (504, True)
    assert plain.router.get("/seldon/default/lone/x").status_code == 200


def test_requests_are_counted_by_predictor(plain):
    plain.router.get("/seldon/default/lone/x")
    text = plain.router.get("/metrics").text
    line = 'cdl_router_requests_total{namespace="default",deployment_name="lone",predictor_name="only",code="200"}'
    assert any(entry.startswith(line) and int(entry.split()[-1]) >= 1 for entry in text.splitlines())


def test_many_callers_at_once_each_get_their_own_answer(plain):
    def ask(number):
        with httpx.Client(base_url=plain.router.base_url, timeout=20) as caller:
            return [caller.post(f"{BASE}/echo/{number}/{turn}", content=b"z" * number).json() for turn in range(10)]

    with ThreadPoolExecutor(16) as pool:
        everything = list(pool.map(ask, range(32)))
    wanted = [[(f"/echo/{number}/{turn}", number) for turn in range(10)] for number in range(32)]
    assert [[(body["path"], body["size"]) for body in bodies] for bodies in everything] == wanted


@pytest.mark.parametrize("size", [1, 7, 64])
def test_requests_that_arrive_in_pieces_are_understood(plain, size):
    chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
    request = (
        f"POST {BASE}/first HTTP/1.1\r\nHost: x\r\n{chunked}"
        f"POST {BASE}/second HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    ).encode()
    with socket.create_connection(("127.0.0.1", plain.router_port), timeout=10) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), size):
            caller.sendall(request[start : start + size])
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b'"size": 11, "path": "/first"' in answer
    assert b'"size": 3, "path": "/second"' in answer
