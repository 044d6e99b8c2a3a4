"""Every line says what it is about, and none says a secret."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.meta import Key
from cdl.kube.logs import HIDDEN, TALKATIVE, Discreet, configure, formatter
from cdl.loop.context import about

NEWS = Key("Experiment", "team", "news")
CANARY = "s3cr3t-c4n4ry"


def record(message, *args, level=logging.INFO, name="cdl.loop", error=None, **extra):
    made = logging.LogRecord(name, level, "file.py", 1, message, args, error and (type(error), error, None))
    vars(made).update(extra)
    return made


def written(message, *args, form="json", secrets=(), **how):
    line = formatter(form, secrets).format(record(message, *args, **how))
    return json.loads(line) if form == "json" else line


@pytest.fixture
def log():
    """A configured log, and everything as it was before afterwards."""
    root = logging.getLogger()
    was = (root.handlers[:], root.level, threading.excepthook, sys.excepthook)
    levels = {name: logging.getLogger(name).level for name in TALKATIVE}
    stream = io.StringIO()

    def configured(form, **how):
        configure(form, stream=stream, **how)
        return stream

    yield configured
    root.handlers[:], threading.excepthook, sys.excepthook = was[0], was[2], was[3]
    root.setLevel(was[1])
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_line_says_when_how_grave_who_and_what():
    line = written("%d of %d trials", 2, 5, level=logging.WARNING)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "cdl.loop", "message": "2 of 5 trials"}


def test_a_line_within_a_turn_says_what_it_is_about():
    with about(NEWS):
        assert "generation" not in written("looking")
        with about(NEWS, 3):
            line = written("acting")
    assert [line[name] for name in ("kind", "namespace", "name", "generation")] == ["Experiment", "team", "news", 3]
    assert "kind" not in written("idle")


def test_a_line_of_kopf_says_what_it_is_about():
    ref = {"apiVersion": "cdl.dev/v1alpha1", "kind": "Release", "name": "news-1", "namespace": "team", "uid": "u"}
    line = written("seen", name="kopf.objects", k8s_ref=ref, k8s_skip=True, settings=object())
    assert {**line, "time": ""} == {
        "time": "",
        "level": "info",
        "logger": "kopf.objects",
        "message": "seen",
        "kind": "Release",
        "namespace": "team",
        "name": "news-1",
    }


def test_an_error_brings_its_traceback_and_no_local_value():
    def fail():
        local = CANARY  # noqa: F841 - it is there to be looked for
        raise ValueError("no such engine")

    try:
        fail()
    except ValueError as error:
        made = record("turn failed", level=logging.ERROR)
        made.exc_info = (type(error), error, error.__traceback__)
        line = json.loads(formatter("json").format(made))
    assert "in fail" in line["exception"]
    assert line["exception"].endswith("ValueError: no such engine")
    assert CANARY not in line["exception"].replace("local = CANARY", "")


def test_text_is_one_line_for_people():
    with about(NEWS, 3):
        line = written("said %s", "yes", form="text", level=logging.ERROR, tries=2)
    assert re.fullmatch(
        r"\S+Z ERROR cdl\.loop: said yes kind=Experiment namespace=team name=news generation=3 tries=2", line
    )


@given(st.text())
def test_no_text_can_pass_for_a_line_of_its_own_or_command_a_terminal(text):
    line = written("%s", text, form="text", error=ValueError(text))
    assert all(part.startswith("    ") for part in line.split("\n")[1:])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", line)
    assert "\n" not in formatter("json").format(record("%s", text))


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: {CANARY}",
        f"{{'Authorization': 'Bearer {CANARY}', 'Accept': 'text/plain'}}",
        f'{{"Authorization": "Basic {CANARY}"}}',
        f"sent header bearer {CANARY}",
        f"password={CANARY}&user=determined",
        f"PAS\u017fWORD={CANARY}",  # a letter that is an s to whoever ignores case
        f"CDL_DETERMINED_PASSWORD={CANARY}",
        f"login failed: password: '{CANARY}'",
        f'{{"token": "{CANARY}", "user": {{"id": 1}}}}',
        f"GET /api/v1/me?access_token={CANARY}&x=1",
        f"clone https://git:{CANARY}@gitlab.example.com/team/cdl.git",
        f"postgresql://:{CANARY}@127.0.0.1:5432/db",
        f"aws_secret_access_key secret='{CANARY}'",
        f"x-api-key: {CANARY}",
        f"private_key = {CANARY}",
        f"Set-Cookie: {CANARY}; Path=/",
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_looks_like_a_secret_is_hidden(text, form):
    made = record(text, error=ValueError(text), more=[text], deep={"er": text})
    line = formatter(form).format(made)
    assert CANARY not in line
    assert HIDDEN in line


@pytest.mark.parametrize("name", ["password", "determined_password", "Authorization", "api-key", "session_token"])
def test_what_is_called_a_secret_is_hidden(name):
    line = written("logging in", login={name: CANARY, "user": "determined", "tries": 3}, **{f"x_{name}": [CANARY]})
    assert line["login"] == {name: HIDDEN, "user": "determined", "tries": 3}
    assert line[f"x_{name}"] == HIDDEN


def test_a_web_token_is_hidden_wherever_it_stands():
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjZGwifQ.c2lnbmF0dXJl"  # gitleaks:allow
    assert token not in written(f"refused <{token}>")["message"]


@pytest.mark.parametrize(
    "text",
    [
        "Experiment team/news: 2 of 5 trials done",
        "the tokenizer: wordpiece, tokens=512, max_tokens_per_text: 9",
        'secrets "minio" not found',
        "spec.auth.secretKeyRef: name is missing",
        "GET http://127.0.0.1:8080/api/v1/experiments",
        "password is wrong",
    ],
)
def test_what_is_no_secret_stays(text):
    assert written(text)["message"] == text


@given(
    st.text(min_size=6, max_size=20).filter(lambda s: s not in HIDDEN),
    st.sampled_from(["text", "json"]),
    st.text("ab "),
)
def test_a_known_secret_is_hidden_whatever_it_looks_like(secret, form, around):
    made = record("%s", f"{around}{secret}{around}", error=KeyError(secret), more={"a": [f"<{secret}>"]})
    shown = Discreet([secret])(None, "", {"message": made.getMessage(), "more": made.more})
    assert secret not in shown["message"].replace(HIDDEN, "\0")
    assert secret not in shown["more"]["a"][0].replace(HIDDEN, "\0")
    assert formatter(form, [secret]).format(made)


def test_a_short_secret_does_not_blot_out_the_log():
    assert written("a plain line", secrets=("a", ""))["message"] == "a plain line"


def test_the_whole_process_writes_one_log(log):
    stream = log("json", secrets=(CANARY,))
    logging.getLogger("cdl.loop").info("ours %s", CANARY)
    logging.getLogger("kopf.activities").warning("theirs")
    logging.getLogger("urllib3.connectionpool").info("a request")
    logging.getLogger("cdl.loop").debug("a detail")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines[:2]] == [f"ours {HIDDEN}", "theirs"]
    assert "old name" in lines[2]["message"]
    assert len(lines) == 3


def test_a_second_configuration_replaces_the_first(log):
    log("json")
    stream = log("text", level=logging.DEBUG)
    logging.getLogger("cdl").debug("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_thread_that_dies_says_so_in_the_log(log):
    stream = log("json", secrets=(CANARY,))

    def die():
        raise ValueError(CANARY)

    thread = threading.Thread(target=die, name="cdl-worker")
    thread.start()
    thread.join()
    line = json.loads(stream.getvalue())
    assert (line["level"], line["message"]) == ("critical", "thread cdl-worker ended in an error")
    assert line["exception"].endswith(f"ValueError: {HIDDEN}")


def test_a_process_that_dies_says_so_in_the_log(log):
    stream = log("json")
    sys.excepthook(ValueError, ValueError("no such engine"), None)
    assert json.loads(stream.getvalue())["exception"].endswith("ValueError: no such engine")
