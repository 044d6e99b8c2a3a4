"""Asynchronous successive halving, the stopping variant of Determined 0.38."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from cdl.embedded.determined.fields import Tree, as_number, items, section, text, texts, whole
from cdl.embedded.determined.search.method import Action, Exit, NewTrial, Stop, UnusableMetricError

WORST = sys.float_info.max
OVERHEAD = 1.2  # more trials start than the plain count; progress leaves room for them


@dataclass(frozen=True)
class Ranking:
    """By what trials are compared, and how often."""

    metric: str
    time_metric: str
    smaller_is_better: bool
    divisor: float


def rung_units(num_rungs: int, divisor: float, max_time: int) -> list[int]:
    """Return how far a trial must train for each rung."""
    return [max(int(max_time / divisor ** (num_rungs - 1 - rung)), 1) for rung in range(num_rungs)]


class Halving:
    """One bracket: a trial that is not among the best of its rung is stopped and replaced."""

    def __init__(self, ranking: Ranking, units: list[int], max_trials: int, max_concurrent: int) -> None:
        """Zero concurrency means as many as bring one trial to the top rung."""
        self.ranking = ranking
        self.units = units
        self.max_trials = max_trials
        if max_concurrent > 0:
            self.first = min(max_concurrent, max_trials)
        else:
            self.first = max(min(int(ranking.divisor ** (len(units) - 1)), max_trials), 1)
        self.rungs: list[list[tuple[float, str]]] = [[] for _ in units]
        self.at: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.closed = self.invalid = 0

    def begin(self, new: NewTrial) -> list[Action]:
        """Fill the lanes."""
        return [self._create(new) for _ in range(self.first)]

    def validated(self, request_id: str, metrics: Mapping[str, object], new: NewTrial) -> list[Action]:
        """Stop the trial and start another unless it may climb.

        A trial already told to stop is not judged again: its late reports would create more
        trials than were asked for.
        """
        if request_id in self.stopped:
            return []
        value, time = self._read(metrics)
        if not self._climbs(request_id, value, time):
            self.stopped.add(request_id)
            return [Stop(request_id), *self._replacement(new)]
        return []

    def exited(self, request_id: str, why: Exit, new: NewTrial) -> list[Action]:
        """Rank a failed trial worst and replace it; forget an invalid one and replace it."""
        already = request_id in self.stopped
        self.stopped.add(request_id)
        self.closed += 1
        match why:
            case Exit.INVALID_HP:
                self.invalid += 1
                self.rungs = [[e for e in rung if e[1] != request_id] for rung in self.rungs]
                return [self._create(new)]
            case Exit.ERRORED | Exit.CANCELED if not already:
                self._insert(self.at[request_id], WORST, request_id)
                return self._replacement(new)
            case _:
                return []

    def progress(self) -> float:
        """Count what reached the first rung, then what is closed."""
        entered = len(self.rungs[0])
        share = entered / (OVERHEAD * self.max_trials)
        if entered == self.max_trials:
            share = max(share, (self.closed - self.invalid) / self.max_trials)
        return min(share, 1.0)

    def state(self) -> Tree:
        """Return rungs, positions, the stopped and the counters."""
        return {
            "rungs": [[[value, who] for value, who in rung] for rung in self.rungs],
            "at": dict(self.at),
            "stopped": sorted(self.stopped),
            "closed": self.closed,
            "invalid": self.invalid,
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Take all of it back."""
        self.rungs = [_entries(rung) for rung in items(state, "rungs")]
        self.at = {key: whole(section(state, "at"), key) for key in section(state, "at")}
        self.stopped = set(texts(state, "stopped"))
        self.closed = whole(state, "closed")
        self.invalid = whole(state, "invalid")

    def _read(self, metrics: Mapping[str, object]) -> tuple[float, int]:
        value = as_number(metrics.get(self.ranking.metric))
        time = as_number(metrics.get(self.ranking.time_metric))
        if value is None:
            raise UnusableMetricError(_lacking("searcher.metric", self.ranking.metric, metrics))
        if time is None or math.isnan(time) or math.isinf(time):
            raise UnusableMetricError(_lacking("searcher.time_metric", self.ranking.time_metric, metrics))
        if math.isnan(value):
            return WORST, int(time)
        return (value if self.ranking.smaller_is_better else -value), int(time)

    def _climbs(self, request_id: str, value: float, time: int) -> bool:
        for rung in range(self.at[request_id], len(self.units)):
            self.at[request_id] = rung
            if time < self.units[rung]:
                return True
            rank = self._insert(rung, value, request_id)
            keep = max(int(len(self.rungs[rung]) / self.ranking.divisor), 1)
            if rung == len(self.units) - 1 or rank >= keep:
                return False
        return True

    def _insert(self, rung: int, value: float, request_id: str) -> int:
        """Insert before equals and return the place."""
        entries = self.rungs[rung]
        place = sum(1 for other, _ in entries if other < value)
        entries.insert(place, (value, request_id))
        return place

    def _replacement(self, new: NewTrial) -> list[Action]:
        return [self._create(new)] if len(self.at) - self.invalid < self.max_trials else []

    def _create(self, new: NewTrial) -> Action:
        create = new(None)
        self.at[create.request_id] = 0
        return create


def _lacking(field: str, name: str, metrics: Mapping[str, object]) -> str:
    reported = ", ".join(sorted(metrics)) or "nothing"
    return f"{field} {name!r} is not a number in the reported validation metrics ({reported})"


def _entries(rung: object) -> list[tuple[float, str]]:
    pairs = rung if isinstance(rung, list) else []
    return [(float(pair[0]), text({"who": pair[1]}, "who")) for pair in pairs]
