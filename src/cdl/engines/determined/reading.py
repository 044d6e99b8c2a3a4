"""Read runs, trials, logs and metrics; remembers what cannot change."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from determined.common import api
from determined.common.api import bindings, logs
from determined.common.api import errors as sdk

from cdl.reconcile.experiment import CheckpointSeen, Measurement, RunPhase, RunSeen
from cdl.reconcile.release import RunFound

from .config import EVALUATION, key_of
from .door import there
from .translate import (
    GONE,
    PHASE_OF,
    asked_for,
    checkpoint_seen,
    commit_of,
    last_words,
    measurement_of,
    moment,
    searcher_of,
    seed_of,
    slot_seconds,
    trial_status,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = "evaluation"
TAIL = 300
REMEMBERED = 512
LAST_WORDS_SECONDS = 60.0
"""How long after its end a run may still say something."""


class Reader:
    """What there is at one master. A run that ended does not change, until somebody continues it."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._over: dict[tuple[int, str], RunSeen] = {}
        self._unsaid: dict[int, float] = {}

    def runs(self, session: api.Session, labels: Sequence[str]) -> list[bindings.v1Experiment]:
        """Give the runs that carry all of the labels, oldest first; archived and deleted ones are left out."""

        def page(offset: int) -> bindings.v1GetExperimentsResponse:
            return bindings.get_GetExperiments(
                session,
                labels=labels,
                archived=False,
                offset=offset,
                sortBy=bindings.v1GetExperimentsRequestSortBy.ID,
                orderBy=bindings.v1OrderBy.ASC,
            )

        found = [e for answer in api.read_paginated(page) for e in answer.experiments]
        # The filter is the server's; what it means by `all of` has changed before.
        return [e for e in found if set(labels) <= set(e.labels or ()) and not e.archived and e.state not in GONE]

    def seen(self, session: api.Session, run: bindings.v1Experiment) -> RunSeen:
        """Read one run with its trials."""
        phase = PHASE_OF[run.state]
        remembered = (run.id, str(run.endTime))
        if phase.over and remembered in self._over:
            return self._over[remembered]
        searcher, now = searcher_of(run.config), datetime.now(UTC)
        trials = self.trials(session, run.id)
        held = {trial.id: allocations(session, trial) for trial in trials}
        measures = EVALUATION in (run.labels or ())
        seen = RunSeen(
            key=key_of(run.labels),
            id=str(run.id),
            phase=phase,
            started_at=moment(run.startTime),
            finished_at=moment(run.endTime) if phase.over else None,
            trials=tuple(trial_status(trial, searcher, held[trial.id]) for trial in trials),
            best=_best(session, run.id) if phase is RunPhase.SUCCEEDED and not measures else None,
            measurement=_measurement(session, trials) if phase is RunPhase.SUCCEEDED and measures else None,
            slot_seconds=sum(slot_seconds(used, now) for used in held.values()),
            seed=seed_of(run.config),
            failure=_failure(session, trials) if phase is RunPhase.FAILED else "",
            looked_at=commit_of(run.config) if measures else "",
        )
        if _is_complete(seen, measures=measures):
            while len(self._over) >= REMEMBERED:
                self._over.pop(next(iter(self._over)), None)
            self._over[remembered] = seen
            self._unsaid.pop(run.id, None)
        elif phase.over:
            while len(self._unsaid) >= REMEMBERED:
                self._unsaid.pop(next(iter(self._unsaid)), None)
            self._unsaid.setdefault(run.id, time.monotonic())
        return seen

    def one(self, session: api.Session, run: str) -> bindings.v1Experiment | None:
        """Give a run, archived or not; None: it is not there, or somebody is deleting it."""
        if not run.isdecimal():
            return None
        answer = there(partial(bindings.get_GetExperiment, session, experimentId=int(run)))
        return None if answer is None or answer.experiment.state in GONE else answer.experiment

    def run(self, session: api.Session, run: str) -> RunFound | None:
        """Read one run afresh, archived or not; None: it is not there, or somebody is deleting it."""
        found = self.one(session, run)
        if found is None:
            return None
        measures = EVALUATION in (found.labels or ())
        measured = _measurement(session, self.trials(session, found.id)) if measures else None
        report = measured.raw if measured is not None else None
        return RunFound(key_of(found.labels), seed_of(found.config), asked_for(found.originalConfig), report)

    def awaits_words(self, run: int) -> bool:
        """Say whether a run has just ended and its last words, or its measurement, may still be on their way."""
        since = self._unsaid.get(run)
        return since is not None and time.monotonic() - since < LAST_WORDS_SECONDS

    def trials(self, session: api.Session, run: int) -> list[bindings.trialv1Trial]:
        """Give the trials of a run, oldest first; one that its search has stopped is told so."""

        def page(offset: int) -> bindings.v1GetExperimentTrialsResponse:
            return bindings.get_GetExperimentTrials(
                session,
                experimentId=run,
                offset=offset,
                sortBy=bindings.v1GetExperimentTrialsRequestSortBy.ID,
                orderBy=bindings.v1OrderBy.ASC,
            )

        trials = [t for answer in api.read_paginated(page) for t in answer.trials]
        for trial in trials:
            if trial.state is bindings.trialv1State.STOPPING_COMPLETED:
                _tell(session, trial)
        return trials


def _is_complete(seen: RunSeen, *, measures: bool) -> bool:
    """The last log lines and metrics may arrive after the end; until they have, look again."""
    match seen.phase:
        case RunPhase.FAILED:
            return bool(seen.failure)
        case RunPhase.SUCCEEDED:
            return (seen.measurement if measures else seen.best) is not None
        case _:
            return seen.phase.over


def allocations(session: api.Session, trial: bindings.trialv1Trial) -> list[bindings.v1Allocation]:
    """Give the processes that a trial had, of all its starts."""
    tasks = trial.taskIds or ([trial.taskId] if trial.taskId else [])
    answers = [there(partial(bindings.get_GetTask, session, taskId=task)) for task in tasks]
    return [a for answer in answers if answer is not None for a in answer.task.allocations or ()]


def _tell(session: api.Session, trial: bindings.trialv1Trial) -> None:
    """Pass on to a trial what its search has already decided: to stop.

    The masters 0.38.0 and 0.38.1 decide it and then never tell the process, which would train on to its own end.
    Looking is the one thing that happens as long as a run goes on, and who is told twice stops once: so it is here.
    """
    for allocation in allocations(session, trial):
        if allocation.endTime:
            continue
        body = bindings.v1AllocationPendingPreemptionSignalRequest(allocationId=allocation.allocationId)
        try:
            bindings.post_AllocationPendingPreemptionSignal(session, allocationId=allocation.allocationId, body=body)
        except (sdk.APIException, sdk.ForbiddenException):
            continue  # it has just gone, or we may not: then it stops at its own end


def _best(session: api.Session, run: int) -> CheckpointSeen | None:
    answer = bindings.get_GetExperimentCheckpoints(
        session,
        id=run,
        limit=1,
        sortByAttr=bindings.checkpointv1SortBy.SEARCHER_METRIC,
        states=[bindings.checkpointv1State.COMPLETED],
    )
    return checkpoint_seen(answer.checkpoints[0]) if answer.checkpoints else None


def _measurement(session: api.Session, trials: Sequence[bindings.trialv1Trial]) -> Measurement | None:
    if not trials:
        return None
    answers = bindings.get_GetMetrics(session, trialIds=[t.id for t in trials], group=GROUP)
    reports = [report for answer in answers for report in answer.metrics]
    document = reports[-1].metrics.get("avg_metrics") if reports else None
    return measurement_of(document) if document else None


def _failure(session: api.Session, trials: Sequence[bindings.trialv1Trial]) -> str:
    failed = next((t for t in trials if t.state is bindings.trialv1State.ERROR), None)
    if failed is None:
        return ""
    words = last_words(line.log or line.message for line in logs.trial_logs(session, failed.id, tail=TAIL))
    return f"trial {failed.id}: {words}" if words else ""
