"""A served model is asked over HTTP; whatever it answers, a person reads a line and never a traceback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cdl.cli.asking import ask, loading
from cdl.cli.refusal import Refusal
from cdl.testing.builders import deployment

METRICS = """
# TYPE cdl_model_load_seconds gauge
cdl_model_load_start_seconds{model_name="news"} 1700000000.5
cdl_model_load_seconds{model_name="news"} 1.25
"""
TAGS = {"release": "news-1", "digest": "sha256:ab"}


class Model:
    """Answers as told and keeps what it was asked."""

    def __init__(self):
        self.answer = (200, b"{}")
        self.metrics = (200, METRICS.encode())
        self.asked = []
        self.missing = 0
        """Bytes that it promises and then does not send."""
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                model.asked.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.reply(*model.answer)

            def do_GET(self):
                self.reply(*(model.metrics if self.path == "/seldon/default/news/metrics" else (404, b"")))

            def reply(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) + model.missing))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def says(self, status=200, **body):
        self.answer = (status, json.dumps(body).encode())

    def deployment(self, shape=(-1, 2)):
        place = f"http://127.0.0.1:{self.server.server_port}/seldon/default/news/api/v1.0/predictions"
        made = deployment(interface={"inputs": [{"name": "x", "datatype": "FP32", "shape": list(shape)}]})
        return made.model_copy(update={"status": made.status.model_copy(update={"url": place})})


@pytest.fixture
def model():
    made = Model()
    yield made
    made.close()


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "article.txt"
    file.write_text("Shares rose")
    return file


def test_the_most_probable_class_is_the_answer(model, text):
    model.says(data={"names": ["business", "sport"], "ndarray": [[0.25, 0.75]]}, meta={"tags": TAGS})
    answer = ask(model.deployment(shape=(-1,)), text)
    assert (answer.label, answer.probability) == ("sport", 0.75)
    assert (answer.release, answer.digest) == ("news-1", "sha256:ab")
    assert answer.milliseconds > 0
    path, kind, body = model.asked[0]
    assert path.endswith("/api/v1.0/predictions")
    assert (kind, body) == ("application/json", {"data": {"ndarray": ["Shares rose"]}})


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ({"data": {"ndarray": ["sport"]}}, "sport"),
        ({"data": {"names": ["only"], "ndarray": [[1, 2]]}}, "[1, 2]"),
        ({"strData": "sport"}, '"sport"'),
        ({"jsonData": {"class": 3}}, '{"class": 3}'),
    ],
)
def test_an_answer_without_a_name_for_each_number_is_shown_as_it_is(model, text, said, label):
    model.says(**said)
    answer = ask(model.deployment(shape=(-1,)), text)
    assert (answer.label, answer.probability, answer.release) == (label, None, "")


@pytest.mark.parametrize(
    ("content", "sent"), [("[1, 2]", [[1, 2]]), ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]), ("[]", [[]]), ("7", [7])]
)
def test_numbers_are_sent_as_one_row_unless_they_are_rows(model, tmp_path, content, sent):
    file = tmp_path / "numbers.json"
    file.write_text(content)
    model.says(data={"ndarray": ["x"]})
    ask(model.deployment(), file)
    assert model.asked[0][2] == {"data": {"ndarray": sent}}


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (400, b'{"status": {"info": "x: found 3 numbers"}}', "the model answered 400: x: found 3 numbers"),
        (500, b'{"error": "it broke"}', "the model answered 500: it broke"),
        (503, b"no server", "the model answered 503: no server"),
        (500, b"[1]", "the model answered 500: [1]"),
        (404, b'{"detail": "who?"}', "the model answered 404: {'detail': 'who?'}"),
    ],
)
def test_a_refusal_of_the_model_is_one_sentence(model, text, status, body, sentence):
    model.answer = (status, body)
    with pytest.raises(Refusal) as caught:
        ask(model.deployment(), text)
    assert caught.value.message == f"{text}: {sentence}"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'"sport"',
        b'{"data": {}}',
        b'{"data": {"ndarray": []}}',
        b'{"data": {"ndarray": 3}}',
        b'{"data": {"names": ["a"], "ndarray": [[[1]]]}}',
        b"\xff",
    ],
)
def test_an_answer_in_another_protocol_is_one_sentence(model, text, body):
    model.answer = (200, body)
    with pytest.raises(Refusal, match=f"{text}: the model answered no prediction: "):
        ask(model.deployment(), text)


def test_nobody_there_is_one_sentence(text):
    gone = deployment()
    gone = gone.model_copy(update={"status": gone.status.model_copy(update={"url": "http://127.0.0.1:1/x"})})
    with pytest.raises(Refusal, match=r"http://127.0.0.1:1/x does not answer: .*; `cdl run FOLDER` brings it up"):
        ask(gone, text)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("picture.png", "x", "found a .png file, allowed: .txt, .json"),
        ("nothing", "x", "found a nameless file, allowed: .txt, .json"),
        ("torn.json", "[1,", "not readable.*: Expecting value"),
        ("missing.txt", None, "not readable: .*No such file"),
    ],
)
def test_a_file_that_cannot_be_sent_is_one_sentence(model, tmp_path, name, content, sentence):
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(Refusal, match=f"{name}: {sentence}"):
        ask(model.deployment(), file)
    assert model.asked == []


def test_when_the_class_was_loaded_is_read_from_the_metrics(model):
    assert loading(model.deployment()) == (1700000000.5, 1700000001.75)


@pytest.mark.parametrize("answer", [(404, b""), (200, b"other 1\n"), (200, b"\xff"), (200, METRICS[:-60].encode())])
def test_a_server_that_does_not_say_when_is_no_trouble(model, answer):
    model.metrics = answer
    assert loading(model.deployment()) is None


def test_a_model_that_dies_while_it_answers_is_one_sentence(model, text):
    model.missing = 10
    model.says(data={"ndarray": ["x"]})
    with pytest.raises(Refusal, match="does not answer: IncompleteRead"):
        ask(model.deployment(), text)
    model.says(500)
    with pytest.raises(Refusal, match=r"the model answered 500: \(it hung up\)"):
        ask(model.deployment(), text)
    assert loading(model.deployment()) is None
