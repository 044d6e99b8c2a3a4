"""Methods that never stop a trial early: single, random and grid."""

from collections.abc import Mapping

from cdl.embedded.determined.fields import Tree, whole
from cdl.embedded.determined.search.method import Action, Exit, NewTrial


class RandomSearch:
    """Up to max_trials fresh samples, max_concurrent at a time; ``single`` is one of one."""

    def __init__(self, max_trials: int, max_concurrent: int) -> None:
        """Zero concurrency means no limit."""
        self.max_trials = max_trials
        self.first = min(max_trials, max_concurrent) if max_concurrent > 0 else max_trials
        self.created = self.closed = self.invalid = 0

    def begin(self, new: NewTrial) -> list[Action]:
        """Fill the lanes."""
        self.created = self.first
        return [new(None) for _ in range(self.first)]

    def validated(self, request_id: str, metrics: Mapping[str, object], new: NewTrial) -> list[Action]:
        """Never judge."""
        del request_id, metrics, new
        return []

    def exited(self, request_id: str, why: Exit, new: NewTrial) -> list[Action]:
        """Put the next sample into the free lane; an invalid one does not count."""
        del request_id
        if why is Exit.INVALID_HP:
            self.invalid += 1
        else:
            self.closed += 1
        if self.created - self.invalid >= self.max_trials:
            return []
        self.created += 1
        return [new(None)]

    def progress(self) -> float:
        """Count closed trials."""
        return self.closed / self.max_trials

    def state(self) -> Tree:
        """Return the three counters."""
        return {"created": self.created, "closed": self.closed, "invalid": self.invalid}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take the counters back."""
        self.created = whole(state, "created")
        self.closed = whole(state, "closed")
        self.invalid = whole(state, "invalid")


class GridSearch:
    """Every point of the grid once, the list taken from its end."""

    def __init__(self, points: list[Tree], max_concurrent: int) -> None:
        """Zero concurrency means no limit."""
        self.points = points
        self.first = min(len(points), max_concurrent) if max_concurrent > 0 else len(points)
        self.created = self.closed = 0

    def begin(self, new: NewTrial) -> list[Action]:
        """Fill the lanes."""
        return [self._next(new) for _ in range(self.first)]

    def validated(self, request_id: str, metrics: Mapping[str, object], new: NewTrial) -> list[Action]:
        """Never judge."""
        del request_id, metrics, new
        return []

    def exited(self, request_id: str, why: Exit, new: NewTrial) -> list[Action]:
        """Take the next point; a bad point is not replaced, it is part of the grid."""
        del request_id, why
        self.closed += 1
        return [self._next(new)] if self.created < len(self.points) else []

    def progress(self) -> float:
        """Count closed points."""
        return self.closed / len(self.points) if self.points else 1.0

    def state(self) -> Tree:
        """Return the two counters."""
        return {"created": self.created, "closed": self.closed}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take the counters back."""
        self.created = whole(state, "created")
        self.closed = whole(state, "closed")

    def _next(self, new: NewTrial) -> Action:
        self.created += 1
        return new(self.points[len(self.points) - self.created])
