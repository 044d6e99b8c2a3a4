"""The proxies themselves: a call passes unchanged unless the plan says otherwise, whichever SDK makes it."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import pytest
from determined.common.api import errors as det_errors
from determined.experimental.client import Determined
from kubernetes import client as kubernetes
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from cdl.embedded.stack import Stack
from tests.chaos import certificates
from tests.chaos.calls import CONFLICT, CUT_WATCH, GONE, HANG, KILL_AFTER, KILL_BEFORE, LOST_REPLY, REFUSE, Fault, Gate
from tests.chaos.grpc_proxy import GrpcProxy
from tests.chaos.http_proxy import HttpProxy
from tests.chaos.servers import Servers
from tests.chaos.threads import Loop


@pytest.fixture(scope="module")
def loop():
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    made = Servers(tmp_path_factory.mktemp("proxied"))
    made.start()
    yield made
    made.stop()
    assert Stack(made.home).running() == {}


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def pachd(loop, servers, gate):
    proxy = GrpcProxy("pachd", gate, f"127.0.0.1:{servers.at['pachd']}")
    port = loop.run(proxy.start())
    client = Client(host="127.0.0.1", port=port)
    yield client
    client._channel.close()
    loop.run(proxy.stop())


@pytest.fixture
def master(loop, servers, gate):
    proxy = HttpProxy("determined", gate, "127.0.0.1", servers.at["determined"])
    yield f"http://127.0.0.1:{loop.run(proxy.start())}"
    loop.run(proxy.stop())


@pytest.fixture
def seldon(loop, servers, gate):
    proxy = HttpProxy("seldon", gate, "127.0.0.1", servers.at["seldon"])
    yield f"http://127.0.0.1:{loop.run(proxy.start())}"
    loop.run(proxy.stop())


NOBODY = (grpc.RpcError, ConnectionError)
"""How the SDK says that nobody answered; which of the two depends on the words."""


def named(number):
    return pfs.Repo(name=f"repo-{number}", type="user", project=pfs.Project(name="default"))


def there(client, number):
    return any(found.repo.name == f"repo-{number}" for found in client.pfs.list_repo())


def once(kind, **more):
    """A plan with one fault, at the first write."""
    faults = [Fault(kind, **more)]
    return lambda call: faults.pop() if call.writes and faults else None


def test_grpc_calls_of_every_kind_pass_and_are_counted_in_order(pachd, gate):
    gate.names, gate.subjects = {"repo-1": "{name}"}, {"repo-1"}
    pachd.pfs.create_repo(repo=named(1))
    branch = pfs.Branch(repo=named(1), name="master")
    with pachd.pfs.commit(branch=branch) as commit:
        commit.put_file_from_bytes(path="/a.txt", data=b"some bytes" * 400_000)
    assert pachd.pfs.pfs_file(pfs.File(commit=commit, path="/a.txt")).read() == b"some bytes" * 400_000
    seen = [call.signature for call in gate.calls]
    assert seen[0] == "pachd RPC /pfs_v2.API/CreateRepo [{name}]"
    assert [call.number for call in gate.calls] == sorted(call.number for call in gate.calls)
    assert [call.writes for call in gate.calls if call.path.endswith(("ModifyFile", "GetFile"))] == [True, False]


def test_a_grpc_error_keeps_its_code_and_its_words(pachd):
    with pytest.raises(grpc.RpcError) as refusal:
        pachd.pfs.inspect_repo(repo=named(404))
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert "repo-404" in refusal.value.details()


def test_a_lost_grpc_reply_leaves_what_was_done(pachd, gate):
    gate.plan = once(LOST_REPLY)
    with pytest.raises(grpc.RpcError) as lost:
        pachd.pfs.create_repo(repo=named(2))
    assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
    assert there(pachd, 2)


@pytest.mark.parametrize(("number", "kind", "done"), [(3, KILL_BEFORE, False), (4, KILL_AFTER, True)])
def test_a_kill_falls_before_or_after_the_other_side_has_acted(pachd, gate, number, kind, done):
    moments = []
    gate.kill, gate.plan = lambda: moments.append(gate.life), once(kind)
    with pytest.raises(NOBODY):
        pachd.pfs.create_repo(repo=named(number))
    assert (moments, gate.life) == ([0], 1)
    assert there(pachd, number) is done


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"])
def test_a_refused_grpc_call_is_not_done(pachd, gate, code):
    gate.plan = once(REFUSE, code=code)
    with pytest.raises(grpc.RpcError) as refusal:
        pachd.pfs.create_repo(repo=named(5))
    assert refusal.value.code().name == code
    assert not there(pachd, 5)


def test_calls_of_others_than_the_operator_pass_uncounted(pachd, gate):
    gate.is_operator, gate.plan = lambda _port: False, once(REFUSE)
    pachd.pfs.create_repo(repo=named(6))
    assert there(pachd, 6)
    assert not gate.calls
    with pytest.raises(grpc.RpcError) as refusal:
        pachd.pfs.inspect_repo(repo=named(404))
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_partition_lasts_as_long_as_it_is_told(pachd, gate):
    gate.partition("pachd", 0.5)
    with pytest.raises(NOBODY):
        pachd.pfs.inspect_repo(repo=named(1))
    time.sleep(0.6)
    assert list(pachd.pfs.list_repo()) is not None


def test_determineds_sdk_works_through_the_proxy(master, gate):
    client = Determined(master, user="determined", password="")
    client.create_model("through-the-proxy")
    assert client.get_model("through-the-proxy").name == "through-the-proxy"
    assert "determined POST /api/v1/auth/login" in [call.signature for call in gate.calls]


def test_a_lost_reply_of_the_master_leaves_what_was_done(master, gate):
    client = Determined(master, user="determined", password="")
    gate.plan = lambda call: Fault(LOST_REPLY) if call.writes and call.path == "/api/v1/models" else None
    with pytest.raises(Exception, match=r"(?i)connect|reset|aborted|remote"):
        client.create_model("lost-reply")
    gate.plan = lambda _call: None
    assert client.get_model("lost-reply").name == "lost-reply"


def test_a_refused_http_call_says_when_to_come_back(master, gate):
    gate.plan = lambda call: Fault(REFUSE, code="503")
    answer = httpx.get(f"{master}/info")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    gate.plan = lambda call: Fault(REFUSE, code="500")
    with pytest.raises(det_errors.APIException):
        Determined(master, user="determined", password="")


def objects(url):
    return kubernetes.CustomObjectsApi(kubernetes.ApiClient(kubernetes.Configuration(host=url)))


SELDON = {"group": "machinelearning.seldon.io", "version": "v1", "namespace": "chaos", "plural": "seldondeployments"}


def test_the_kubernetes_client_works_through_the_proxy(seldon, gate):
    assert objects(seldon).list_namespaced_custom_object(**SELDON)["items"] == []
    gate.plan = once(CONFLICT)
    with pytest.raises(kubernetes.ApiException) as refusal:
        objects(seldon).create_namespaced_custom_object(**SELDON, body={"metadata": {"name": "x"}})
    assert refusal.value.status == 409
    assert objects(seldon).list_namespaced_custom_object(**SELDON)["items"] == []


# --- TLS, keep-alive and watches, before a server of the test's own ---


class Ticker(BaseHTTPRequestHandler):
    """Answers GET with a body and a watch with an event every 20 ms, for ever."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self):
        type(self).connections += 1
        super().setup()

    def do_GET(self):
        if "watch" not in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number in range(500):
                line = json.dumps({"type": "ADDED", "object": number}).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                time.sleep(0.02)
        except OSError:
            self.close_connection = True

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        return


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("ca"), "chaos")


@pytest.fixture(scope="module")
def ticker(authority):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ticker)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    server.socket = authority.server().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def trust(authority):
    return ssl.create_default_context(cafile=str(authority.certificate))


@pytest.fixture
def front(loop, gate, ticker, authority, trust):
    proxy = HttpProxy("api", gate, "127.0.0.1", ticker, upstream_tls=trust, own_tls=authority.server())
    yield f"https://127.0.0.1:{loop.run(proxy.start())}", proxy
    loop.run(proxy.stop())


@pytest.fixture
def visitor(trust, front):
    with httpx.Client(verify=trust, base_url=front[0], timeout=5) as client:
        yield client


def test_one_connection_serves_many_requests(visitor, gate):
    before = Ticker.connections
    assert [visitor.get("/x").text for _ in range(5)] == ["{}"] * 5
    assert Ticker.connections == before + 1
    assert [call.method for call in gate.calls] == ["GET"] * 5


def events(visitor, count):
    found = []
    with visitor.stream("GET", "/things?watch=true") as answer:
        for line in answer.iter_lines():
            found.append(json.loads(line)["object"])
            if len(found) == count:
                return found
    return found


def test_a_watch_is_passed_on_event_by_event(visitor, gate):
    started = time.monotonic()
    assert events(visitor, 5) == [0, 1, 2, 3, 4]
    assert time.monotonic() - started < 5, "the answer was collected before it was passed on"
    assert [call.method for call in gate.calls] == ["WATCH"]


def test_events_can_be_dropped_and_doubled(visitor, front):
    def every_second_one_twice(line):
        return (line, line) if json.loads(line)["object"] % 2 else ()

    front[1].events = every_second_one_twice
    assert events(visitor, 4) == [1, 1, 3, 3]


def watched(visitor, at_the_fourth):
    """Read a watch to its end; do something when the fourth event comes."""
    with visitor.stream("GET", "/things?watch=true") as answer:
        for number, _ in enumerate(answer.iter_lines()):
            if number == 3:
                at_the_fourth()


def test_a_watch_can_be_cut(visitor, gate):
    with pytest.raises(httpx.TransportError):
        watched(visitor, gate.cut)
    assert not gate.cuts


def test_a_cut_can_be_part_of_a_plan(visitor, gate, trust):
    gate.plan = lambda call: Fault(CUT_WATCH) if call.method == "PUT" else None
    with httpx.Client(verify=trust, base_url=visitor.base_url) as other, pytest.raises(httpx.TransportError):
        watched(visitor, lambda: other.put("/x", content=b"{}").raise_for_status())
    assert "PUT" in [call.method for call in gate.calls]


def test_a_watch_can_be_told_that_its_version_is_gone(visitor, gate):
    gate.plan = lambda call: Fault(GONE) if call.method == "WATCH" else None
    assert visitor.get("/things?watch=true").json()["code"] == 410


def test_a_list_can_be_served_from_before(visitor, front, gate):
    visitor.get("/things?limit=500")
    front[1].lists["/things"].body = b'{"old": true}'
    assert visitor.get("/things?limit=500").json() == {}
    gate.plan = lambda call: Fault("stale") if call.method == "LIST" else None
    assert visitor.get("/things?limit=500").json() == {"old": True}


def test_a_call_can_be_made_to_wait(visitor, gate):
    gate.plan = lambda _call: Fault(HANG, seconds=0.3)
    started = time.monotonic()
    assert visitor.get("/x").status_code == 200
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("kind", [KILL_BEFORE, KILL_AFTER, LOST_REPLY])
def test_a_connection_is_reset_not_ended(visitor, gate, kind):
    gate.plan = once(kind)
    with pytest.raises(httpx.TransportError):
        visitor.put("/x", content=b"{}")
    assert visitor.get("/x").status_code == 200


def test_the_words_of_a_dead_operator_are_passed_on_and_nothing_falls_on_them(visitor, gate):
    assert visitor.get("/x").status_code == 200
    gate.die()
    gate.plan = lambda _call: Fault(REFUSE)
    assert visitor.get("/x").status_code == 200, "this connection belongs to the life before"
    assert [call.life for call in gate.calls] == [0, 0]


def test_names_and_numbers_make_no_difference(gate):
    gate.names = {"k7": "{name}", "ns-k7": "{ns}"}
    path = "/apis/cdl.dev/v1alpha1/namespaces/ns-k7/experiments/k7/status"
    call, _ = gate.arrive("api", "PATCH", path, "Training")
    assert call.signature == "api PATCH /apis/cdl.dev/v1alpha1/namespaces/{ns}/experiments/{name}/status [Training]"
    other, _ = gate.arrive("determined", "GET", "/api/v1/trials/13/x/0a0b0c0d-0000-4000-8000-000000000001")
    assert other.path == "/api/v1/trials/{n}/x/{uuid}"
