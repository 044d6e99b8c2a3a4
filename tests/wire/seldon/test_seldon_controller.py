"""Objects become processes; updates, crashes and kills lose nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.wire.seldon.engine import INFER, Engine, deployment, eventually, predictor, released
from tests.wire.serving.tiny_release import TinyRelease


@contextmanager
def callers(engine, path, body, number=2):
    """Ask without pause; gives the list of (status, route, release) as it grows."""
    seen, stop = [], threading.Event()

    def ask():
        with httpx.Client(base_url=engine.router.base_url, timeout=20) as caller:
            while not stop.is_set():
                try:
                    reply = caller.post(path, json=body)
                    origin = (reply.headers.get("x-seldon-route"), reply.headers.get("x-cdl-release"))
                    seen.append((reply.status_code, *origin))
                except httpx.HTTPError as error:
                    seen.append((repr(error), None, None))
                time.sleep(0.002)

    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def version(tiny, number):
    folder = tiny.folder / f"v{number}"
    folder.mkdir()
    return TinyRelease(folder, version=number).write()


def test_a_release_is_served_through_the_router_and_the_status_says_so(shared, tiny):
    shared.create(deployment("news1", released("v3", tiny)))
    assert shared.router.get("/seldon/default/news1/x").status_code in (404, 503)
    status = shared.until("news1")["status"]
    assert status["deploymentStatus"] == {"news1-v3-0-model": {"availableReplicas": 1, "replicas": 1}}
    assert set(status["serviceStatus"]) == {"news1-v3", "news1-v3-model"}
    assert status["replicas"] == 1
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    url = status["address"]["url"]
    assert url == f"http://127.0.0.1:{shared.router_port}/seldon/default/news1/api/v1.0/predictions"
    reply = shared.router.post(url, json={"data": {"ndarray": [[1, 2, 3, 4]]}})
    assert reply.json()["data"]["ndarray"] == [[20.0, -20.0]]
    assert reply.headers["x-cdl-release"] == "rows-3"
    v2 = shared.router.post(shared.url("news1", "/v2/models/model/infer"), json=INFER)
    assert v2.json()["outputs"][0]["data"] == [20.0, -20.0]
    assert shared.router.get(shared.url("news1", "/v2/docs")).status_code == 200
    assert 'deployment_name="news1",predictor_name="v3"' in shared.router.get(shared.url("news1", "/metrics")).text
    assert "ready at http://127.0.0.1" in shared.log("news1")
    shared.delete("news1")
    eventually(lambda: shared.processes("news1") == [])
    assert shared.router.get("/seldon/default/news1/x").status_code == 404


def test_an_update_under_load_fails_no_request(shared, tiny):
    shared.create(deployment("news2", released("v3", tiny)))
    shared.until("news2")
    four, five = version(tiny, 4), version(tiny, 5)
    with callers(shared, shared.url("news2", "/v2/models/model/infer"), INFER) as seen:
        shared.apply(deployment("news2", released("v4", four)), force=True)  # another predictor
        shared.until("news2")
        eventually(lambda: "rows-4" in {release for *_, release in seen[-5:]})
        shared.patch("news2", {"spec": {"predictors": [released("v4", five)]}})  # the same one, other parameters
        shared.until("news2")
        eventually(lambda: "rows-5" in {release for *_, release in seen[-5:]})
        eventually(lambda: len(shared.processes("news2")) == 1)
    assert {status for status, *_ in seen} == {200}
    assert {release for *_, release in seen} == {"rows-3", "rows-4", "rows-5"}
    assert len(seen) > 50


def test_a_bad_update_leaves_the_old_release_serving(shared, tiny):
    shared.create(deployment("news3", released("v3", tiny)))
    shared.until("news3")
    bad = version(tiny, 4)
    (bad.folder / "serve.tar.gz").write_bytes(b"something else")
    with callers(shared, shared.url("news3", "/v2/models/model/infer"), INFER, 1) as seen:
        shared.patch("news3", {"spec": {"predictors": [released("v4", bad)]}})
        status = shared.until("news3", "Failed")["status"]
        assert "release member code.serve does not have its digest" in status["description"]
        assert "predictor v4, container model" in status["description"]
        shared.patch("news3", {"spec": {"predictors": [predictor("v5", image="nobody/knows:1")]}})
        status = shared.until("news3", "Failed")["status"]
        assert "image 'nobody/knows:1' has no local command" in status["description"]
        assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "False"
        shared.patch("news3", {"spec": {"predictors": [released("v3", tiny)]}})
        shared.until("news3")
    assert set(seen) == {(200, "v3", "rows-3")}


def test_only_what_changed_is_restarted(shared):
    shared.create(deployment("pair4", predictor("a", 50), predictor("b", 50)))
    shared.until("pair4")
    before = who(shared, "pair4")
    shared.patch("pair4", {"spec": {"predictors": [predictor("a", 20), predictor("b", 80, env={"NEW": "1"})]}})
    shared.until("pair4")
    eventually(lambda: len(shared.processes("pair4")) == 2)
    after = who(shared, "pair4")
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def who(engine, name):
    """Ask often enough to hear of every predictor; gives pid by predictor."""
    replies = [engine.router.get(engine.url(name, "/who")).json() for _ in range(60)]
    return {reply["who"]: reply["pid"] for reply in replies}


def test_a_killed_server_comes_back_and_the_other_answers_meanwhile(shared):
    shared.create(deployment("pair5", predictor("a", 50), predictor("b", 50, env={"LATE": "1.5"})))
    shared.until("pair5")
    before = who(shared, "pair5")
    os.kill(before["b"], signal.SIGKILL)
    eventually(lambda: shared.get("pair5")["status"]["state"] == "Creating")
    assert {shared.router.get(shared.url("pair5", "/x")).headers["x-seldon-route"] for _ in range(20)} == {"a"}
    shared.until("pair5")
    after = who(shared, "pair5")
    assert (after["a"] == before["a"], after["b"] == before["b"]) == (True, False)


def test_with_nothing_ready_the_router_says_when_to_try_again(shared):
    shared.create(deployment("late6", predictor("a", env={"LATE": "1.5"})))
    reply = eventually(lambda: (r := shared.router.get(shared.url("late6", "/x"))).status_code == 503 and r)
    assert (reply.headers["retry-after"], "late6" in reply.json()["error"]) == ("1", True)
    shared.until("late6")
    pid = shared.router.get(shared.url("late6", "/x")).json()["pid"]
    os.kill(pid, signal.SIGKILL)
    again = eventually(lambda: (r := shared.router.get(shared.url("late6", "/x"))).status_code == 503 and r)
    assert again.headers["retry-after"] == "1"
    eventually(lambda: shared.router.get(shared.url("late6", "/x")).status_code == 200)


def test_a_server_that_dies_at_start_fails_with_its_last_words_and_recovers(shared, tmp_path):
    switch = tmp_path / "switch"
    shared.create(deployment("moody7", predictor("a", env={"SWITCH": switch})))
    status = shared.until("moody7", "Failed")["status"]
    assert status["description"] == "predictor a, container model: the switch is off"
    switch.touch()
    shared.until("moody7")
    assert "description" not in shared.get("moody7")["status"]


def test_a_deadline_that_passes_is_failed(shared):
    shared.create(deployment("never8", predictor("a", env={"LATE": "60"}, progressDeadlineSeconds=1)))
    status = shared.until("never8", "Failed")["status"]
    assert status["description"] == "Deployment is no longer progressing and not available."


def test_a_crash_long_after_the_start_is_not_a_missed_deadline(shared):
    shared.create(deployment("aged", predictor("a", env={"LATE": "0.7"}, progressDeadlineSeconds=2)))
    shared.until("aged")
    time.sleep(2.1)
    os.kill(shared.router.get(shared.url("aged", "/x")).json()["pid"], signal.SIGKILL)
    states = []
    eventually(lambda: states.append(shared.get("aged")["status"]["state"]) or states[-1] == "Creating")
    eventually(lambda: states.append(shared.get("aged")["status"]["state"]) or states[-1] == "Available")
    assert "Failed" not in states


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"graph": {"name": "model", "children": [{"name": "model"}]}}, "spec.predictors[0].graph.children"),
        ({"graph": {"name": "model", "type": "ROUTER"}}, "graph.type ROUTER"),
        ({"explainer": {"type": "AnchorText"}}, "spec.predictors[0].explainer"),
    ],
)
def test_what_this_engine_cannot_do_is_failed_by_name(shared, change, words):
    shared.create(deployment("rich9", predictor("a", **change)))
    status = shared.until("rich9", "Failed")["status"]
    assert words in status["description"]
    assert "not available in the embedded Seldon" in status["description"]
    shared.delete("rich9")


def test_replicas_share_the_requests(shared):
    shared.create(deployment("three10", predictor("a", replicas=3)))
    assert shared.until("three10")["status"]["replicas"] == 3
    pids = {shared.router.get(shared.url("three10", "/x")).json()["pid"] for _ in range(9)}
    assert len(pids) == 3
    shared.patch("three10", {"spec": {"predictors": [predictor("a", replicas=1)]}})
    shared.until("three10")
    eventually(lambda: len(shared.processes("three10")) == 1)


def test_kill_9_loses_no_object_and_leaks_no_process(engine, tiny):
    engine.create(deployment("news", released("v3", tiny)))
    engine.until("news")
    uid = engine.get("news")["metadata"]["uid"]
    old = {process.pid for process in engine.processes()}
    engine.kill()
    engine.start()
    eventually(lambda: not old & {process.pid for process in engine.processes()})
    assert engine.get("news")["metadata"]["uid"] == uid
    eventually(lambda: engine.router.get(engine.url("news", "/x")).status_code == 404)  # the server's own 404
    engine.until("news")
    assert len(engine.processes()) == 1
    reply = engine.router.post(engine.url("news"), json={"data": {"ndarray": [[1, 2, 3, 4]]}})
    assert reply.headers["x-cdl-release"] == "rows-3"


def test_after_kill_9_in_the_middle_of_a_bad_update_the_old_release_serves_again(engine, tiny):
    engine.create(deployment("news", released("v3", tiny)))
    engine.until("news")
    bad = version(tiny, 4)
    (bad.folder / "serve.tar.gz").unlink()
    engine.patch("news", {"spec": {"predictors": [released("v4", bad)]}})
    engine.until("news", "Failed")
    engine.kill()
    engine.start()
    reply = eventually(
        lambda: (
            (r := engine.router.post(engine.url("news"), json={"data": {"ndarray": [[1, 2, 3, 4]]}})).status_code == 200
            and r
        )
    )
    assert reply.headers["x-cdl-release"] == "rows-3"
    assert engine.until("news", "Failed")


def names(engine):
    return sorted(process.name() for process in engine.processes())


def test_what_a_server_starts_does_not_outlive_it(engine):
    engine.create(deployment("plain", predictor("a", env={"CHILD": "1"})))
    engine.until("plain")
    assert len(names(engine)) == 2
    [child] = [process for process in engine.processes() if process.name() == "sleep"]
    os.kill(engine.router.get(engine.url("plain", "/x")).json()["pid"], signal.SIGKILL)
    eventually(lambda: not child.is_running())
    eventually(lambda: engine.get("plain")["status"]["state"] == "Available" and len(names(engine)) == 2)
    engine.kill()
    eventually(lambda: names(engine) == ["sleep"])  # the server died with the engine, its child did not
    [orphan] = engine.processes()
    engine.start()
    assert orphan.pid not in {process.pid for process in engine.processes()}
    engine.until("plain")


def test_sigterm_leaves_no_process_and_ends_with_0(engine):
    engine.create(deployment("plain", predictor("a"), annotations={}))
    engine.until("plain")
    assert len(engine.processes()) == 1
    assert engine.terminate() == 0
    assert engine.processes() == []


def test_a_full_disk_refuses_the_new_object_and_keeps_the_old_ones(engine):
    engine.terminate()
    engine.start(limit=400_000)
    stored = []
    for number in range(40):
        made = deployment(f"d{number}", predictor("a", replicas=0), annotations={"padding": "x" * 20_000})
        reply = engine.http.post("/apis/machinelearning.seldon.io/v1/namespaces/default/seldondeployments", json=made)
        if reply.status_code != 201:
            break
        stored.append(made["metadata"]["name"])
    assert (reply.status_code, reply.json()["kind"]) == (507, "Status")
    assert "was not stored" in reply.json()["message"]
    assert stored
    for name in stored:
        assert engine.get(name)["metadata"]["name"] == name
    engine.kill()
    engine.start()
    assert {name for name in stored if engine.get(name)} == set(stored)
    engine.create(deployment("more", predictor("a", replicas=0)))


def test_two_engines_never_share_a_folder_or_a_port(engine, tmp_path):
    second = Engine(tmp_path / "second")
    for changes, words in (
        ({"--data": str(engine.data)}, "is in use by another embedded Seldon"),
        ({"--port": str(engine.port)}, f"cannot listen on 127.0.0.1:{engine.port}"),
        ({"--router-port": str(engine.router_port)}, f"cannot listen on 127.0.0.1:{engine.router_port}"),
        ({"--image": "plain"}, "is not NAME=COMMAND"),
    ):
        command = second.command()
        for option, value in changes.items():
            command[command.index(option) + 1] = value
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stderr.count("\n"), words in done.stderr) == (2, 1, True), done.stderr
    second.http.close()
    second.router.close()
    second.client.close()


def test_a_stalled_caller_does_not_hold_up_the_others(shared):
    shared.create(deployment("plain11", predictor("a")))
    shared.until("plain11")
    with socket.create_connection(("127.0.0.1", shared.router_port)) as stalled:
        stalled.sendall(b"POST /seldon/default/plain11/x HTTP/1.1\r\nContent-Length: 10\r\n\r\n1")
        assert shared.router.get(shared.url("plain11", "/x")).status_code == 200
