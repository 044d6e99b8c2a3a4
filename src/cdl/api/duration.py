"""Lengths of time as people write them: `90s`, `10m`, `2h`, `1h30m`, `1d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

LONGEST = timedelta(days=36_500)

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def _bounded(text: str) -> str:
    """Refuse what no clock and no calendar can be asked for."""
    if sum(int(n) * _UNITS[u] for n, u in re.findall(r"([0-9]+)([dhms])", text)) > LONGEST.total_seconds():
        raise ValueError("longer than a century")
    return text


Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]+(d|h|m|s))+$"), AfterValidator(_bounded)]


def length(text: str) -> timedelta:
    """Turn `1h30m` into a timedelta."""
    return timedelta(seconds=sum(int(n) * _UNITS[u] for n, u in re.findall(r"([0-9]+)([dhms])", text)))
