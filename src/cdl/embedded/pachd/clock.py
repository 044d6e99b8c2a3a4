"""Schedules as Pachyderm reads them: five fields in UTC, `@every 1h30m`, `@daily` and its kin, and `@never`."""

import calendar
import functools
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cdl.embedded.pachd.refusals import RefusedError

SECOND = 10**9
_KIN = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_PART = re.compile(r"(?:(?P<all>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_HORIZON = 5 * 366  # days after which a date such as the 30th of February will not come


class Schedule(NamedTuple):
    """When something is due: every so many seconds, at what five fields allow, or never."""

    every: float = 0.0
    fields: tuple[frozenset[int], ...] = ()
    either_day: bool = False

    def after(self, nanoseconds: int) -> int | None:
        """Tell the first moment that comes after one; None when there is none."""
        if self.every:
            return (nanoseconds // SECOND) * SECOND + int(self.every * SECOND)
        if not self.fields:
            return None
        at = datetime.fromtimestamp(nanoseconds // SECOND, UTC).replace(second=0) + timedelta(minutes=1)
        minutes, hours, _, _, _ = self.fields
        for _ in range(_HORIZON):
            if self._has_day(at):
                for hour in range(at.hour, 24):
                    first = at.minute if hour == at.hour else 0
                    minute = min((m for m in minutes if m >= first), default=None) if hour in hours else None
                    if minute is not None:
                        return int(at.replace(hour=hour, minute=minute).timestamp()) * SECOND
            at = at.replace(hour=0, minute=0) + timedelta(days=1)
        return None

    def _has_day(self, at: datetime) -> bool:
        _, _, days, months, weekdays = self.fields
        if at.month not in months:
            return False
        fits = (at.day in days, at.isoweekday() % 7 in weekdays)
        return any(fits) if self.either_day else all(fits)


@functools.lru_cache(maxsize=128)
def schedule(text: str) -> Schedule:
    """Read a schedule, or refuse it in one sentence."""
    spec = _KIN.get(text.strip().lower(), text.strip())
    if spec.lower() == "@never":
        return Schedule()
    if spec.lower().startswith("@every "):
        return Schedule(every=_length(text, spec.split(None, 1)[1]))
    words = spec.split()
    if len(words) != len(_FIELDS):
        raise RefusedError(
            f"the schedule {text!r} cannot be read: write five fields, @every with a time as in 1h30m, "
            "@hourly, @daily, @weekly, @monthly, @yearly or @never"
        )
    fields = [_field(text, word, *about) for word, about in zip(words, _FIELDS, strict=True)]
    fields[4] = frozenset(day % 7 for day in fields[4])
    # Where both days are given, either is enough; a star says nothing.
    either = all(words[n][0] not in "*?" for n in (2, 4))
    return Schedule(fields=tuple(fields), either_day=either)


def _length(text: str, body: str) -> float:
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _LENGTH.findall(body))
    if _LENGTH.sub("", body) or seconds <= 0:
        raise RefusedError(f"the schedule {text!r} cannot be read: {body!r} is not a time as in 1h30m")
    return max(1.0, float(int(seconds)))  # whole seconds, as upstream rounds them


def _field(text: str, word: str, name: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        parsed = _PART.fullmatch(part)
        if parsed is None:
            raise _unread(text, name, part, low, high)
        start, end = low, high
        if not parsed["all"]:
            start = _number(parsed["low"], words)
            end = _number(parsed["high"], words) if parsed["high"] else high if parsed["step"] else start
        step = int(parsed["step"] or 1)
        if not (low <= start <= end <= high and step):
            raise _unread(text, name, part, low, high)
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(word: str, words: dict[str, int]) -> int:
    return int(word) if word.isdecimal() else words.get(word.lower(), -1)


def _unread(text: str, name: str, part: str, low: int, high: int) -> RefusedError:
    return RefusedError(
        f"the schedule {text!r} cannot be read: {part!r} is no {name}; {low} to {high} are allowed, "
        "also as ranges, lists and steps"
    )
