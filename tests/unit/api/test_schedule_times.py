"""Schedules mean what CronJobs and Pachyderm mean by them, in UTC, and a wrong one is refused in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from cdl.api.refusal import explain
from cdl.api.schedule import ALLOWED, WORDS, newest_due, next_due
from cdl.api.v1alpha1 import DataPipeline, Experiment
from cdl.embedded.pachd.clock import SECOND
from cdl.embedded.pachd.clock import schedule as pachyderms
from cdl.testing.builders import experiment_document, pipeline_document

SATURDAY = datetime(2026, 2, 28, 22, 41, 7, tzinfo=UTC)
GOOD = [
    *WORDS,
    "* * * * *",
    "*/7 * * * *",
    "0 3 * * *",
    "15,45 9-17/2 * * MON-FRI",
    "0 0 29 2 *",
    "30 6 1 jan,jul *",
    "0 12 13 * 5",
    "5 4 ? * 7",
    "@every 90s",
    "@every 1h30m",
]


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("@hourly", "2026-02-28T23:00"),
        ("@daily", "2026-03-01T00:00"),
        ("@weekly", "2026-03-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
        ("*/7 * * * *", "2026-02-28T22:42"),
        ("0 3 * * MON-FRI", "2026-03-02T03:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 12 13 * 1", "2026-03-02T12:00"),
        ("@every 90s", "2026-02-28T22:42:37"),
    ],
)
def test_a_schedule_says_when_it_is_due_next(text, first):
    assert next_due(text, SATURDAY) == at(first)


@pytest.mark.parametrize("text", GOOD)
def test_the_next_due_time_is_the_one_pachyderm_would_take(text):
    moment = SATURDAY
    for _ in range(10):
        theirs = pachyderms(text).after(int(moment.timestamp()) * SECOND)
        moment = next_due(text, moment)
        assert moment == datetime.fromtimestamp(theirs // SECOND, UTC)


@pytest.mark.parametrize("text", GOOD)
def test_of_many_that_were_missed_the_newest_is_due(text):
    every = [SATURDAY]
    for _ in range(9):
        every.append(next_due(text, every[-1]))
    instant = timedelta(microseconds=1)
    assert newest_due(text, SATURDAY, every[-1]) == every[-1]
    assert newest_due(text, SATURDAY, every[-1] + instant) == every[-1]
    assert newest_due(text, SATURDAY, every[-1] - instant) == every[-2]
    assert newest_due(text, SATURDAY, every[1] - instant) is None
    assert newest_due(text, every[-1], every[-1]) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tomorrow", "it has 1 fields"),
        ("0 3 * *", "it has 4 fields"),
        ("0 0 3 * * *", "it has 6 fields"),
        ("61 * * * *", "'61' is no minute"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 0 L * *", "'L' is no day of the month"),
        ("0 0 * foo *", "'foo' is no month"),
        ("0 0 * * 1#2", "'1#2' is no day of the week"),
        ("0 0 30 2 *", "that day never comes"),
        ("@never", "@never is not known"),
        ("@every soon", "'soon' is no time"),
        ("@every 0s", "the time is nothing, or longer than a century"),
        ("@every 99999999999999999999d", "the time is nothing, or longer than a century"),
        ("TZ=Europe/Berlin 0 3 * * *", "it has 6 fields"),
    ],
)
def test_a_wrong_schedule_is_refused_in_one_sentence(text, fault):
    with pytest.raises(ValidationError) as refusal:
        DataPipeline.read(pipeline_document(schedule=text))
    assert explain(refusal.value) == (f"spec.schedule: found {text!r}: {fault}; allowed: {ALLOWED}",)
    with pytest.raises(ValidationError) as refusal:
        Experiment.read(experiment_document(retrain={"schedule": text}))
    assert explain(refusal.value) == (f"spec.retrain.schedule: found {text!r}: {fault}; allowed: {ALLOWED}",)


def test_a_length_of_time_beyond_a_century_is_refused():
    with pytest.raises(ValidationError) as refusal:
        Experiment.read(experiment_document(retrain={"minInterval": "9" * 30 + "d"}))
    assert explain(refusal.value) == (f"spec.retrain.minInterval: found {'9' * 30 + 'd'!r}: longer than a century",)
    assert Experiment.read(experiment_document(retrain={"minInterval": "36500d"})).spec.retrain.min_interval == "36500d"
