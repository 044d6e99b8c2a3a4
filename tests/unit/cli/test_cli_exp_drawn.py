"""`cdl exp plot` and `cdl exp tensorboard` where no engine runs, and the files that TensorBoard reads."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cdl.api.v1alpha1 import Experiment
from cdl.api.v1alpha1.experiment import TrialStatus
from cdl.cli import main
from cdl.cli.exp import events
from cdl.local import LocalStore
from cdl.reconcile.experiment import Point, TrialFound
from cdl.testing.builders import experiment_document

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TRIAL = TrialFound(
    TrialStatus(id=3, state="Succeeded", started_at=AT),
    validations=(Point(10, {"accuracy": 0.5, "loss": 1e300}), Point(20, {"accuracy": 0.75})),
    training=(Point(300, {"loss": -0.25}),),
)


def cdl(*words):
    return CliRunner().invoke(main, ["exp", *map(str, words)])


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    store = LocalStore(tmp_path / "resources.db")
    store.create(Experiment.read(experiment_document("news")))
    yield tmp_path
    store.close()


def records(content):
    """Take a file of records apart, checksums compared by the definition and not by our table."""
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert content[8:12] == masked(content[:8])
        yield content[12 : 12 + length]
        assert content[12 + length : 16 + length] == masked(content[12 : 12 + length])
        content = content[16 + length :]


def masked(content):
    crc = castagnoli(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def castagnoli(content):
    """CRC-32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        for bit in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * ((crc ^ byte >> bit) & 1))
    return crc ^ 0xFFFFFFFF


def message(content):
    """Take a message of protobuf apart: number and content of each field."""
    found = []
    while content:
        key, content = number(content)
        kind = key & 7
        if kind == 0:
            value, content = number(content)
        else:
            length, content = (8, content) if kind == 1 else (4, content) if kind == 5 else number(content)
            value, content = content[:length], content[length:]
        found.append((key >> 3, value))
    return found


def number(content):
    value = shift = 0
    for n, byte in enumerate(content):
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, content[n + 1 :]
    raise AssertionError("cut off")


def test_the_checksum_is_the_one_that_the_form_asks_for():
    assert castagnoli(b"123456789") == 0xE3069283
    assert events._checked(b"123456789") == masked(b"123456789")


def test_events_hold_every_figure_at_its_batch(tmp_path):
    assert events.write((TRIAL, TrialFound(TrialStatus(id=4, state="Failed"))), tmp_path) == 1
    (place,) = tmp_path.rglob("events.out.tfevents.*")
    assert place.parent.name == "trial-3"
    first, *rest = (dict(message(record)) for record in records(place.read_bytes()))
    assert first[3] == b"brain.Event:2"
    said = {}
    for event in rest:
        for _, value in message(event[5]):
            parts = dict(message(value))
            said[parts[1].decode(), event[2]] = struct.unpack("<f", parts[2])[0]
    assert said == {
        ("training/loss", 300): -0.25,
        ("validation/accuracy", 10): 0.5,
        ("validation/accuracy", 20): 0.75,
        ("validation/loss", 10): pytest.approx(3.4e38),
    }


def test_written_again_it_is_the_same_file(tmp_path):
    events.write((TRIAL,), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    events.write((TRIAL,), tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_without_a_validation_there_is_a_sentence_and_no_file(home):
    answer = cdl("plot", "news")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.strip().endswith("no trial has reported a validation yet, so there is no curve")
    for words in (("plot", "news", "--svg", home / "x.svg"), ("tensorboard", "news", "--out", home / "events")):
        answer = cdl(*words)
        assert (answer.exit_code, "so there is no curve" in answer.stderr) == (1, True)
    assert not (home / "x.svg").exists()
    assert not (home / "events").exists()


def test_a_page_of_what_is_known_is_written_all_the_same(home):
    answer = cdl("plot", "news", "--html", home / "x.html")
    assert answer.exit_code == 0, answer.output
    assert "Trials of news" in (home / "x.html").read_text()
    assert cdl("plot", "news", "--html", home / "no" / "x.html").stderr.startswith("Error: --html: cannot write")
    assert cdl("plot", "olds").stderr == "Error: Experiment olds: not found in namespace default, there are: news\n"
