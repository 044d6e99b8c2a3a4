"""A search: the method, the random stream and the books, stored as one JSON snapshot."""

from collections.abc import Mapping

from cdl.embedded.determined.draws import Draws
from cdl.embedded.determined.fields import Tree, items, number, section, text, truth, whole
from cdl.embedded.determined.hyperparameters import grid, sample
from cdl.embedded.determined.search.halving import Halving, Ranking, rung_units
from cdl.embedded.determined.search.listed import GridSearch, RandomSearch
from cdl.embedded.determined.search.method import Action, Create, Exit, Method
from cdl.embedded.determined.search.tournament import (
    Tournament,
    bracket_lanes,
    bracket_rungs,
    bracket_trials,
)

TRIAL_SEEDS = 2**31


class Searcher:
    """What an experiment asks; every answer is decided by the config, the seed and the reports."""

    def __init__(self, config: Mapping[str, object], snapshot: Mapping[str, object] | None = None) -> None:
        """Start afresh, or continue from a snapshot."""
        self.hparams = section(config, "hyperparameters")
        self.method = build(section(config, "searcher"), self.hparams)
        kept = snapshot or {}
        seed = whole(config, "reproducibility", "experiment_seed")
        self.draws = Draws(seed, whole(kept, "drawn"))
        self.requested = whole(kept, "requested")
        self.closed = whole(kept, "closed")
        self.failed = whole(kept, "failed")
        self.canceled = whole(kept, "canceled")
        if snapshot:
            self.method.restore(section(kept, "method"))

    def begin(self) -> list[Action]:
        """Ask for the first trials."""
        return self.method.begin(self._new)

    def validated(self, request_id: str, metrics: Mapping[str, object]) -> list[Action]:
        """Judge a validation."""
        return self.method.validated(request_id, metrics, self._new)

    def exited(self, request_id: str, why: Exit) -> list[Action]:
        """Take note that a trial ended."""
        self.closed += 1
        self.failed += why is Exit.ERRORED
        self.canceled += why is Exit.CANCELED
        return self.method.exited(request_id, why, self._new)

    def outcome(self) -> str | None:
        """Return the experiment's end state once every requested trial is closed, else None."""
        if self.closed < self.requested:
            return None
        if self.requested and self.failed == self.requested:
            return "ERROR"
        if self.requested and self.canceled == self.requested:
            return "CANCELED"
        return "COMPLETED"

    def progress(self) -> float:
        """Say how far the search is, 0 to 1."""
        return self.method.progress()

    def snapshot(self) -> Tree:
        """Return everything needed to continue."""
        return {
            "drawn": self.draws.drawn,
            "requested": self.requested,
            "closed": self.closed,
            "failed": self.failed,
            "canceled": self.canceled,
            "method": self.method.state(),
        }

    def _new(self, hparams: Tree | None) -> Create:
        """Draw the sample, then the request id, then the trial seed: a real master's order."""
        self.requested += 1
        drawn = sample(self.hparams, self.draws) if hparams is None else hparams
        request_id = self.draws.request_id()
        return Create(request_id, drawn, self.draws.below(TRIAL_SEEDS))


def build(searcher: Mapping[str, object], hparams: Mapping[str, object]) -> Method:
    """Make the method that a complete searcher config names."""
    trials, lanes = whole(searcher, "max_trials"), whole(searcher, "max_concurrent_trials")
    match text(searcher, "name"):
        case "random":
            return RandomSearch(trials, lanes)
        case "grid":
            return GridSearch(grid(hparams), lanes)
        case "async_halving":
            ranking = _ranking(searcher)
            units = rung_units(whole(searcher, "num_rungs"), ranking.divisor, whole(searcher, "max_time"))
            return Halving(ranking, units, trials, lanes)
        case "adaptive_asha":
            return _adaptive(searcher, trials, lanes)
        case _:
            return RandomSearch(1, 1)


def _adaptive(searcher: Mapping[str, object], max_trials: int, max_concurrent: int) -> Tournament:
    ranking, max_time = _ranking(searcher), whole(searcher, "max_time")
    given = [count for count in items(searcher, "bracket_rungs") if isinstance(count, int)]
    rungs = sorted(given, reverse=True) or bracket_rungs(
        text(searcher, "mode"), whole(searcher, "max_rungs"), ranking.divisor, max_time, max_trials
    )
    trials = bracket_trials(max_trials, ranking.divisor, rungs)
    lanes = bracket_lanes(max_concurrent, ranking.divisor, trials)
    return Tournament(
        [
            Halving(ranking, rung_units(count, ranking.divisor, max_time), share, lane)
            for count, share, lane in zip(rungs, trials, lanes, strict=True)
        ]
    )


def _ranking(searcher: Mapping[str, object]) -> Ranking:
    return Ranking(
        metric=text(searcher, "metric"),
        time_metric=text(searcher, "time_metric"),
        smaller_is_better=truth(searcher, "smaller_is_better", default=True),
        divisor=number(searcher, "divisor"),
    )
