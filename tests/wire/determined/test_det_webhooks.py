"""Webhooks: who is told what, signed, again if need be, and never in the master's way."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from determined.common.api import bindings

from tests.wire.determined.masters import (
    APIException,
    Determined,
    Experiment,
    Server,
    create,
    ends,
    state,
    until,
)

KEY = "a key of tests"
STATE_CHANGE = bindings.v1TriggerType.EXPERIMENT_STATE_CHANGE


class Receiver:
    """Takes what is sent; answers the given statuses first, and 200 from then on."""

    def __init__(self) -> None:
        self.got: list[tuple[Message, bytes]] = []
        self.answers: list[int] = []
        self.held: threading.Event | None = None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.held is not None:
                    receiver.held.wait(60)
                receiver.got.append((self.headers, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def bodies(self) -> list[dict]:
        return [json.loads(body) for _, body in self.got]

    def states(self, experiment: Experiment) -> list[str]:
        """The states that were told of an experiment."""
        told = [body["event_data"]["experiment"] for body in self.bodies() if "experiment" in body["event_data"]]
        return [each["state"] for each in told if each["id"] == experiment.id]

    def close(self) -> None:
        if self.held is not None:
            self.held.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DET_WEBHOOKS_SIGNING_KEY", KEY)
        started = Server(tmp_path_factory.mktemp("hooks"), 0).start()
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def user(place: Server) -> Determined:
    return place.client()


@pytest.fixture(scope="module")
def admin(place: Server) -> Determined:
    return Determined(place.url, user="admin", password="")


@pytest.fixture(autouse=True)
def _no_webhook_stays(admin: Determined) -> Iterator[None]:
    yield
    for hook in bindings.get_GetWebhooks(admin._session).webhooks:
        bindings.delete_DeleteWebhook(admin._session, id=hook.id)


def add(client: Determined, url: str, *states: str, **change: object) -> bindings.v1Webhook:
    triggers = [bindings.v1Trigger(triggerType=STATE_CHANGE, condition={"state": each}) for each in states]
    wish = {
        "name": "hook",
        "url": url,
        "triggers": triggers,
        "mode": bindings.v1WebhookMode.WORKSPACE,
        "webhookType": bindings.v1WebhookType.DEFAULT,
    }
    return bindings.post_PostWebhook(client._session, body=bindings.v1Webhook(**wish | change)).webhook


def test_the_end_of_an_experiment_is_told_and_signed(admin: Determined, user: Determined, receiver: Receiver) -> None:
    add(admin, receiver.url, "COMPLETED", "ERROR")
    experiment = create(user, {"epochs": 0})
    assert ends(experiment) == "COMPLETED"
    until(lambda: receiver.got)
    ((headers, body),) = receiver.got
    stamp, signature = headers["X-Determined-AI-Signature-Timestamp"], headers["X-Determined-AI-Signature"]
    assert signature == hmac.new(KEY.encode(), f"{stamp},".encode() + body, hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert (told["event_type"], told["condition"]) == ("EXPERIMENT_STATE_CHANGE", {"state": "COMPLETED"})
    shown = told["event_data"]["experiment"]
    assert shown.pop("duration") >= 0
    assert shown == {
        "id": experiment.id,
        "state": "COMPLETED",
        "name": "core",
        "resource_pool": "default",
        "slots_per_trial": 1,
        "workspace": "Uncategorized",
        "project": "Uncategorized",
    }


def test_every_state_can_be_asked_for(admin: Determined, user: Determined, receiver: Receiver) -> None:
    add(admin, receiver.url, "ACTIVE", "PAUSED", "CANCELED")
    experiment = create(user, {"epochs": 999, "pause": 0.2})
    until(lambda: state(experiment) == "RUNNING")
    experiment.pause()
    experiment.pause()
    experiment.activate()
    experiment.kill()
    assert ends(experiment) == "CANCELED"
    until(lambda: len(receiver.got) == 4)
    assert receiver.states(experiment) == ["ACTIVE", "PAUSED", "ACTIVE", "CANCELED"]


@pytest.mark.slow
def test_a_receiver_in_trouble_is_asked_again_and_a_refusal_is_final(
    admin: Determined, user: Determined, receiver: Receiver, place: Server
) -> None:
    receiver.answers = [503, 200, 404, 200]
    add(admin, receiver.url, "COMPLETED")
    first = create(user, {"epochs": 0})
    ends(first)
    until(lambda: len(receiver.got) == 2)
    assert receiver.got[0][1] == receiver.got[1][1], "the same event again"
    second, third = create(user, {"epochs": 0}), create(user, {"epochs": 0})
    for each in (second, third):
        ends(each)
    until(lambda: len(receiver.got) == 4)
    assert sorted({body["event_data"]["experiment"]["id"] for body in receiver.bodies()}) == [
        first.id,
        second.id,
        third.id,
    ]
    logs = place.client()._session.get("/api/v1/master/logs").text
    assert "is dropped: the receiver answered 404" in logs


@pytest.mark.slow
def test_a_receiver_that_hangs_delays_nobody(admin: Determined, user: Determined, receiver: Receiver) -> None:
    receiver.held = threading.Event()
    other = Receiver()
    try:
        add(admin, receiver.url, "COMPLETED")
        add(admin, other.url, "COMPLETED", name="second")
        experiment = create(user, {"epochs": 0})
        assert ends(experiment) == "COMPLETED"
        until(lambda: other.states(experiment) == ["COMPLETED"])
        assert receiver.got == []
        receiver.held.set()
        until(lambda: "COMPLETED" in receiver.states(experiment))
    finally:
        other.close()


@pytest.mark.slow
def test_a_webhook_of_another_workspace_or_not_named_is_not_asked(
    admin: Determined, user: Determined, receiver: Receiver
) -> None:
    elsewhere = admin.create_workspace("elsewhere")
    add(admin, receiver.url + "/elsewhere", "COMPLETED", name="elsewhere", workspaceId=elsewhere.id)
    specific = {"mode": bindings.v1WebhookMode.SPECIFIC}
    add(admin, receiver.url, "COMPLETED", name="named", **specific)
    add(admin, receiver.url, "COMPLETED", name="unnamed", **specific)
    experiment = create(user, {"epochs": 0}, integrations={"webhooks": {"webhook_name": ["named"]}})
    excluded = create(user, {"epochs": 0}, integrations={"webhooks": {"webhook_name": ["named"], "exclude": True}})
    last = create(user, {"epochs": 0}, integrations={"webhooks": {"webhook_name": ["named"]}})
    for each in (experiment, excluded, last):
        assert ends(each) == "COMPLETED"
    until(lambda: receiver.states(last))
    until(lambda: receiver.states(experiment))
    assert receiver.states(experiment) == ["COMPLETED"]
    assert receiver.states(excluded) == []
    admin.delete_workspace("elsewhere")


def test_user_code_alerts(admin: Determined, user: Determined, receiver: Receiver) -> None:
    custom = [bindings.v1Trigger(triggerType=bindings.v1TriggerType.CUSTOM, condition={})]
    add(admin, receiver.url, name="alerts", mode=bindings.v1WebhookMode.SPECIFIC, triggers=custom)
    entrypoint = (
        "python3 -c \"import determined as d; c = d.core.init(); c.__enter__(); c.alert('hot', 'too hot', 'WARN')\""
    )
    wish = {"entrypoint": entrypoint, "integrations": {"webhooks": {"webhook_name": ["alerts"]}}}
    experiment = create(user, {}, **wish)
    assert ends(experiment) in ("COMPLETED", "ERROR")
    until(lambda: receiver.got)
    told = receiver.bodies()[0]
    assert told["event_type"] == "CUSTOM"
    assert told["event_data"]["custom_data"]["title"] == "hot"
    assert told["event_data"]["experiment"]["trial_id"] == experiment.list_trials()[0].id


@pytest.mark.slow
def test_what_was_not_sent_is_sent_by_the_next_master(own_server: Server, receiver: Receiver) -> None:
    receiver.held = threading.Event()
    admin = Determined(own_server.url, user="admin", password="")
    add(admin, receiver.url, "COMPLETED")
    experiment = create(own_server.client(), {"epochs": 0})
    assert ends(experiment) == "COMPLETED"
    own_server.kill()
    own_server.start()
    receiver.held.set()
    until(lambda: "COMPLETED" in receiver.states(experiment))


def test_a_test_event_says_what_became_of_it(admin: Determined, receiver: Receiver) -> None:
    hook = add(admin, receiver.url, "COMPLETED")
    assert bindings.post_TestWebhook(admin._session, id=hook.id).completed
    assert receiver.bodies()[0]["event_data"] == {"data": "test"}
    receiver.answers = [500]
    with pytest.raises(APIException, match="answered the test event with 500"):
        bindings.post_TestWebhook(admin._session, id=hook.id)
    nobody = bindings.v1PatchWebhook(url="http://127.0.0.1:1/")
    bindings.patch_PatchWebhook(admin._session, id=hook.id, body=nobody)
    with pytest.raises(APIException, match="could not be sent"):
        bindings.post_TestWebhook(admin._session, id=hook.id)


def test_who_may_add_which_webhooks(admin: Determined, user: Determined, receiver: Receiver) -> None:
    own = user.create_workspace("own")
    mine = add(user, receiver.url, "COMPLETED", workspaceId=own.id)
    with pytest.raises(Exception, match="may not edit webhooks of all workspaces"):
        add(user, receiver.url, "COMPLETED")
    theirs = add(admin, receiver.url, "COMPLETED", name="theirs")
    assert [hook.id for hook in bindings.get_GetWebhooks(user._session).webhooks] == [mine.id]
    with pytest.raises(Exception, match="may not edit webhooks"):
        bindings.delete_DeleteWebhook(user._session, id=theirs.id)
    admin.delete_workspace("own")


def test_webhooks_that_cannot_work_are_refused(admin: Determined, receiver: Receiver) -> None:
    for change, said in (
        ({"url": "file:///etc/passwd"}, "http or https URL"),
        ({"url": "http://[::1"}, "http or https URL"),
        ({"triggers": []}, "at least one trigger"),
        ({"name": " "}, "needs a name"),
        ({"triggers": [bindings.v1Trigger(triggerType=bindings.v1TriggerType.TASK_LOG)]}, "does not watch logs"),
        ({"triggers": [bindings.v1Trigger(triggerType=bindings.v1TriggerType.CUSTOM)]}, "needs a webhook of mode"),
    ):
        with pytest.raises(APIException, match=said):
            add(admin, change.pop("url", receiver.url), "COMPLETED", **change)
