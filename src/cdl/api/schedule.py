"""Times that come again, as CronJobs and Pachyderm's cron inputs write them; always in UTC, and no clock is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

from .duration import length

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY = "@every "
FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
ALLOWED = (
    "five fields in UTC (minute, hour, day of the month, month, day of the week), @every with a time as in 90s or "
    "1h30m, or one of @hourly, @daily, @weekly, @monthly, @yearly"
)
_PART = re.compile(r"(\*|\d+|[a-z]{3})(-(\d+|[a-z]{3}))?(/\d+)?", re.IGNORECASE)
"""What a field is a list of; the library knows words beyond these, which no CronJob takes."""
_LENGTH = re.compile(r"(\d+[dhms])+")
_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(days=36_500)


def _read(text: str) -> str:
    fault = _fault(text)
    if fault:
        raise ValueError(f"{fault}; allowed: {ALLOWED}")
    return text


Schedule = Annotated[str, AfterValidator(lambda text: _read(text) if text else text)]
"""An empty one is none."""


def next_due(text: str, since: datetime) -> datetime:
    """Give the first due time after a moment."""
    every = _every(text)
    return since + every if every else next(CronSim(_expression(text), since))


def newest_due(text: str, since: datetime, at: datetime) -> datetime | None:
    """Give the last due time after `since` that has come by `at`, however many there were; None: none has."""
    every = _every(text)
    if every:
        count = (at - since) // every
        return since + count * every if count > 0 else None
    upto = at.replace(microsecond=0) + timedelta(seconds=1)  # the library looks for what is before
    found = next(CronSim(_expression(text), upto, reverse=True))
    return found if found > since else None


def _every(text: str) -> timedelta | None:
    return length(text.strip().lower().removeprefix(EVERY)) if text.strip().lower().startswith(EVERY) else None


def _expression(text: str) -> str:
    said = text.strip()
    fields = WORDS.get(said.lower(), said).split()
    return " ".join("*" if field == "?" else field for field in fields)


def _fault(text: str) -> str:
    """Say what is wrong with a schedule; empty: nothing."""
    said = text.strip().lower()
    if said.startswith(EVERY):
        asked = said.removeprefix(EVERY)
        if not _LENGTH.fullmatch(asked):
            return f"{asked[:40]!r} is no time"
        return "" if timedelta() < _bounded(asked) <= _LONGEST else "the time is nothing, or longer than a century"
    if said.startswith("@") and said not in WORDS:
        return f"{said.split()[0][:40]} is not known"
    fields = _expression(text).split()
    if len(fields) != len(FIELDS):
        return f"it has {len(fields)} fields"
    for name, field in zip(FIELDS, fields, strict=True):
        if not all(_PART.fullmatch(part) for part in field.split(",")):
            return f"{field[:40]!r} is no {name}"
    try:
        next(CronSim(" ".join(fields), _BEGIN))
    except CronSimError:
        wrong = next((n for n, field in enumerate(fields) if not _stands_alone(field, n)), None)
        return f"{fields[wrong][:40]!r} is no {FIELDS[wrong]}" if wrong is not None else "that day never comes"
    except StopIteration:
        return "that day never comes"
    return ""


def _stands_alone(field: str, place: int) -> bool:
    try:
        CronSim(" ".join(field if n == place else "*" for n in range(len(FIELDS))), _BEGIN)
    except CronSimError:
        return False
    return True


def _bounded(text: str) -> timedelta:
    try:
        return length(text)
    except OverflowError:
        return timedelta.max
