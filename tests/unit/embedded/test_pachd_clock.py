"""Schedules: what is due next, and which sentence refuses what cannot be read."""

from datetime import UTC, datetime

import pytest

from cdl.embedded.pachd import clock
from cdl.embedded.pachd.refusals import RefusedError


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * clock.SECOND


@pytest.mark.parametrize(
    ("spec", "now", "then"),
    [
        ("* * * * *", "2026-01-01 00:00:30", "2026-01-01 00:01"),
        ("*/15 * * * *", "2026-01-01 00:15", "2026-01-01 00:30"),
        ("5,35 9-17 * * MON-FRI", "2026-01-02 17:40", "2026-01-05 09:05"),
        ("0 0 1 jan ?", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("0 12 29 2 *", "2026-01-01 00:00", "2028-02-29 12:00"),
        ("0 0 13 * 5", "2026-01-01 00:00", "2026-01-02 00:00"),  # either day is enough
        ("30 2 * * 7", "2026-01-01 00:00", "2026-01-04 02:30"),
        ("10/20 * * * *", "2026-01-01 00:10", "2026-01-01 00:30"),
        ("@hourly", "2026-01-01 00:00", "2026-01-01 01:00"),
        ("@daily", "2026-12-31 00:00", "2027-01-01 00:00"),
        ("@weekly", "2026-01-01 00:00", "2026-01-04 00:00"),
        ("@monthly", "2026-01-31 00:00", "2026-02-01 00:00"),
        ("@yearly", "2026-06-01 00:00", "2027-01-01 00:00"),
        ("@every 1h30m", "2026-01-01 00:00:10", "2026-01-01 01:30:10"),
        ("@every 90s", "2026-01-01 00:00", "2026-01-01 00:01:30"),
        ("@every 10ms", "2026-01-01 00:00", "2026-01-01 00:00:01"),
    ],
)
def test_what_is_due_next(spec, now, then):
    assert clock.schedule(spec).after(at(now)) == at(then)


@pytest.mark.parametrize("spec", ["@never", "0 0 30 2 *"])
def test_what_is_never_due(spec):
    assert clock.schedule(spec).after(at("2026-01-01 00:00")) is None


@pytest.mark.parametrize(
    "spec", ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "*/0 * * * *", "5-3 * * * *", "@often", "@every x"]
)
def test_a_schedule_that_cannot_be_read_is_quoted(spec):
    with pytest.raises(RefusedError) as caught:
        clock.schedule(spec)
    assert (repr(spec) in caught.value.text, "\n" in caught.value.text) == (True, False)
