"""Adaptive ASHA: several halving brackets side by side, each with its share of the trials."""

import math
from collections.abc import Mapping

from cdl.embedded.determined.fields import Tree, items, section, whole
from cdl.embedded.determined.search.method import Action, Create, Exit, Method, NewTrial


def bracket_rungs(mode: str, max_rungs: int, divisor: float, max_time: int, max_trials: int) -> list[int]:
    """Return the rung count of each bracket, deepest first.

    The logarithms are divided as floats and truncated, exactly as a real master does:
    log(1000)/log(10) is just below 3.
    """
    deepest = min(
        max_rungs,
        int(math.log(max_time) / math.log(divisor)) + 1,
        int(math.log(max_trials) / math.log(divisor)) + 1,
    )
    match mode:
        case "aggressive":
            return [deepest]
        case "conservative":
            return list(range(deepest, 0, -1))
        case _:
            return list(range(deepest, (deepest - 1) // 2, -1))


def bracket_trials(max_trials: int, divisor: float, rungs: list[int]) -> list[int]:
    """Share the trials so that each bracket gets about the same training time."""
    weights = [divisor ** (count - 1) / count for count in rungs]
    shares = [max(int(weight / sum(weights) * max_trials), 1) for weight in weights]
    left = max(max_trials - sum(shares), 0)
    return [shares[0] + left, *shares[1:]]


def bracket_lanes(max_concurrent: int, divisor: float, trials: list[int]) -> list[int]:
    """Share the concurrency, the rest going to the first brackets."""
    if max_concurrent == 0:
        return [max(trials[-1], int(divisor))] * len(trials)
    lanes, rest = divmod(max(max_concurrent, len(trials)), len(trials))
    return [lanes + (1 if index < rest else 0) for index in range(len(trials))]


class Tournament:
    """Methods side by side; each trial belongs to the one that asked for it."""

    def __init__(self, methods: list[Method]) -> None:
        """Keep the methods in order."""
        self.methods = methods
        self.owner: dict[str, int] = {}

    def begin(self, new: NewTrial) -> list[Action]:
        """Ask every method in order."""
        found: list[Action] = []
        for index, method in enumerate(self.methods):
            found += self._own(index, method.begin(new))
        return found

    def validated(self, request_id: str, metrics: Mapping[str, object], new: NewTrial) -> list[Action]:
        """Ask the owner."""
        index = self.owner[request_id]
        return self._own(index, self.methods[index].validated(request_id, metrics, new))

    def exited(self, request_id: str, why: Exit, new: NewTrial) -> list[Action]:
        """Tell the owner."""
        index = self.owner[request_id]
        return self._own(index, self.methods[index].exited(request_id, why, new))

    def progress(self) -> float:
        """Average over the methods."""
        return sum(method.progress() for method in self.methods) / len(self.methods)

    def state(self) -> Tree:
        """Return each method's state and who owns which trial."""
        return {"methods": [method.state() for method in self.methods], "owner": dict(self.owner)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take all of it back."""
        for method, inner in zip(self.methods, items(state, "methods"), strict=True):
            method.restore(section({"inner": inner}, "inner"))
        self.owner = {key: whole(section(state, "owner"), key) for key in section(state, "owner")}

    def _own(self, index: int, actions: list[Action]) -> list[Action]:
        self.owner |= {action.request_id: index for action in actions if isinstance(action, Create)}
        return actions
