"""How experiments and trials move; every method changes the store inside one transaction.

Nothing here starts or signals a process: ``engine`` looks at the result and does that.
"""

import logging
import time
from collections.abc import Mapping

from cdl.embedded.determined.errors import refused
from cdl.embedded.determined.fields import Tree, text, whole
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.records import Allocation, Experiment, Trial
from cdl.embedded.determined.search.method import Action, Create, Exit, UnusableMetricError
from cdl.embedded.determined.search.searcher import Searcher
from cdl.embedded.determined.states import (
    ACTIVE,
    CANCELED,
    COMPLETED,
    ENDS,
    ERROR,
    PAUSED,
    STOPPING_COMPLETED,
    STOPPING_ERROR,
    STOPPING_KILLED,
    TERMINATED,
    escalate,
)
from cdl.embedded.determined.store import Value, dump
from cdl.embedded.determined.webhooks import announce

LOG = logging.getLogger(__name__)
EXITS = {COMPLETED: Exit.COMPLETED, CANCELED: Exit.CANCELED, ERROR: Exit.ERRORED}


class Lifecycle:
    """The rules of contract 5.7 and 4.4."""

    def __init__(self, ledger: Ledger) -> None:
        """Work on this ledger's store; ``notes`` collects lines for trial logs."""
        self.ledger = ledger
        self.store = ledger.store
        self.notes: list[tuple[int, int, str]] = []

    def create(
        self,
        config: Tree,
        original: str,
        model_def: str,
        user_id: int,
        *,
        parent: int | None,
        paused: bool,
        project: int = 1,
    ) -> int:
        """Write a new experiment with its first trials and return its id."""
        with self.store.transaction():
            searcher = Searcher(config)
            experiment_id = self.store.insert(
                "experiments",
                state=PAUSED if paused else ACTIVE,
                config=dump(config),
                original=original,
                search=dump(searcher.snapshot()),
                model_def=model_def,
                user_id=user_id,
                start_time=time.time(),
                parent_id=parent,
                project_id=project,
            )
            experiment = self.ledger.experiment(experiment_id)
            self._take(experiment, searcher, searcher.begin())
            if not paused:
                announce(self.ledger, experiment)
        return experiment_id

    def reopen(self, experiment_id: int, config: Tree, *, again: bool) -> None:
        """Search an ended experiment once more from the same seed, so that its trials are found again.

        Those that completed count as they are, unless they shall go on ``again``; the others
        continue from their latest checkpoint, their failures forgiven.
        """
        with self.store.transaction():
            searcher = Searcher(config)
            changed = {"config": dump(config), "search": dump(searcher.snapshot())}
            self._move(experiment_id, ACTIVE, end_time=None, progress=0.0, tidied=0, **changed)
            experiment = self.ledger.experiment(experiment_id)
            known = {trial.request_id: trial for trial in self.ledger.trials(experiment_id)}
            actions = searcher.begin()
            while actions:
                action = actions.pop(0)
                trial = known.get(action.request_id)
                if trial is None and isinstance(action, Create):
                    self._add_trial(experiment, action)
                elif trial is not None and trial.state == COMPLETED and not again:
                    actions += searcher.exited(trial.request_id, Exit.COMPLETED)
                elif trial is not None and isinstance(action, Create):
                    self._revive(trial, action)
            self._take(experiment, searcher, [])

    def _revive(self, trial: Trial, create: Create) -> None:
        fresh = {"restarts": 0, "invalid_hp": 0, "progress": 0.0, "queued_at": time.time()}
        self.store.update("trials", trial.id, state=ACTIVE, end_time=None, hparams=dump(create.hparams), **fresh)

    def _move(self, experiment_id: int, state: str, **columns: Value) -> None:
        """Change the state of an experiment, and tell whom it concerns if it is another one."""
        before = self.ledger.experiment(experiment_id).state
        self.store.update("experiments", experiment_id, state=state, **columns)
        if state != before:
            LOG.info("experiment %d is %s", experiment_id, state)
            announce(self.ledger, self.ledger.experiment(experiment_id))

    def pause(self, experiment_id: int, *, paused: bool) -> None:
        """Pause or activate; again is a success, outside both is refused."""
        with self.store.transaction():
            experiment = self.ledger.experiment(experiment_id)
            if experiment.state not in (ACTIVE, PAUSED):
                verb = "pause" if paused else "activate"
                raise refused(f"cannot {verb} experiment {experiment_id} in state {experiment.state}")
            self._move(experiment_id, PAUSED if paused else ACTIVE)
            if not paused and experiment.state == PAUSED:
                self.store.run(
                    "UPDATE trials SET queued_at = ? WHERE experiment_id = ? AND state = 'ACTIVE'",
                    time.time(),
                    experiment_id,
                )

    def stop(self, experiment_id: int, wish: str) -> None:
        """Wish for a stopping state; on an ended experiment nothing happens."""
        with self.store.transaction():
            experiment = self.ledger.experiment(experiment_id)
            self._move(experiment_id, escalate(experiment.state, wish))

    def stop_trial(self, trial_id: int, wish: str = STOPPING_KILLED) -> None:
        """Wish for a trial's stop."""
        trial = self.ledger.trial(trial_id)
        self.store.update("trials", trial_id, state=escalate(trial.state, wish))

    def validated(self, trial: Trial, metrics: Mapping[str, object]) -> None:
        """Let the searcher judge a validation."""
        experiment = self.ledger.experiment(trial.experiment_id)
        if experiment.state not in (ACTIVE, PAUSED) or not trial.waiting:
            return
        searcher = Searcher(experiment.config, experiment.search)
        try:
            self._take(experiment, searcher, searcher.validated(trial.request_id, metrics))
        except UnusableMetricError as error:
            self._note(trial, f"experiment {experiment.id} stopped with an error: {error}")
            self.stop(experiment.id, STOPPING_ERROR)

    def ended(self, allocation: Allocation, code: int | None) -> None:
        """Record that no process of an allocation is left, and what follows for its trial.

        A code of None means the run was lost or taken down with the master: it starts again
        from its latest checkpoint and is not counted as a failure.
        """
        with self.store.transaction():
            trial = self.ledger.trial(allocation.trial_id)
            reason = self._follow(trial, allocation, code)
            self.store.update(
                "allocations",
                allocation.id,
                state=TERMINATED,
                end_time=time.time(),
                exit_code=code,
                exit_reason=reason,
            )

    def settle(self) -> None:
        """Carry stops down to trials and ends up to experiments until nothing moves."""
        with self.store.transaction():
            busy = {allocation.trial_id for allocation in self.ledger.live_allocations()}
            for experiment in self.ledger.live_experiments():
                self._settle(experiment, busy)

    def _settle(self, experiment: Experiment, busy: set[int]) -> None:
        for trial in self.ledger.trials(experiment.id):
            if not trial.live:
                continue
            state = trial.state
            if experiment.state in ENDS:
                state = escalate(state, experiment.state)
                self.store.update("trials", trial.id, state=state)
            if state in ENDS and trial.id not in busy:
                self._close(trial, ENDS[state])
        experiment = self.ledger.experiment(experiment.id)
        if any(trial.live for trial in self.ledger.trials(experiment.id)):
            return
        end = ENDS.get(experiment.state) or Searcher(experiment.config, experiment.search).outcome()
        if end is None:
            return
        done = {"progress": 1.0} if end == COMPLETED else {}
        self._move(experiment.id, end, end_time=time.time(), **done)

    def _follow(self, trial: Trial, allocation: Allocation, code: int | None) -> str:
        """Apply the exit rules and return the reason to keep with the allocation."""
        experiment = self.ledger.experiment(trial.experiment_id)
        stopping = trial.state in ENDS or experiment.state in ENDS
        if trial.invalid_hp:
            self._close(trial, COMPLETED)
            return "invalid hyperparameters"
        if allocation.killed or code is None:
            self.store.update("trials", trial.id, queued_at=time.time())
            return "killed" if allocation.killed else "lost"
        if code == 0 and not allocation.acked:
            self._close(trial, ENDS.get(trial.state, COMPLETED))
            return ""
        if code == 0:
            self.store.update("trials", trial.id, queued_at=time.time())
            return "preempted"
        self._fail(trial, experiment, code, final=stopping)
        return f"exited with code {code}"

    def _fail(self, trial: Trial, experiment: Experiment, code: int, *, final: bool) -> None:
        restarts, limit = trial.restarts + 1, whole(experiment.config, "max_restarts")
        if final or restarts > limit:
            counted = min(restarts, limit) if not final else trial.restarts
            self.store.update("trials", trial.id, restarts=counted)
            self._note(trial, f"trial {trial.id} failed with exit code {code} and is given up")
            self._close(trial, ERROR)
            return
        self._note(
            trial,
            f"trial {trial.id} failed with exit code {code}; restart {restarts} of {limit}",
        )
        self.store.update("trials", trial.id, restarts=restarts, queued_at=time.time())

    def _close(self, trial: Trial, end: str) -> None:
        """End a trial and let the searcher answer, unless the whole experiment is ending."""
        now, done = time.time(), {"progress": 1.0} if end == COMPLETED else {}
        self.store.update("trials", trial.id, state=end, end_time=now, runner_state="", **done)
        experiment = self.ledger.experiment(trial.experiment_id)
        if experiment.state in (ACTIVE, PAUSED):
            searcher = Searcher(experiment.config, experiment.search)
            why = Exit.INVALID_HP if trial.invalid_hp else EXITS[end]
            self._take(experiment, searcher, searcher.exited(trial.request_id, why))

    def _take(self, experiment: Experiment, searcher: Searcher, actions: list[Action]) -> None:
        """Do what the searcher asked and keep its new memory."""
        for action in actions:
            if isinstance(action, Create):
                self._add_trial(experiment, action)
            else:
                trial = self.ledger.trial_of_request(experiment.id, action.request_id)
                self._note(trial, f"trial {trial.id} stopped early by the searcher")
                self.stop_trial(trial.id, STOPPING_COMPLETED)
        self.store.update(
            "experiments",
            experiment.id,
            search=dump(searcher.snapshot()),
            progress=searcher.progress(),
        )

    def _add_trial(self, experiment: Experiment, create: Create) -> None:
        now = time.time()
        self.store.insert(
            "trials",
            experiment_id=experiment.id,
            request_id=create.request_id,
            task_id=f"{experiment.id}.{create.request_id}",
            seed=create.seed,
            hparams=dump(create.hparams),
            state=ACTIVE,
            start_time=now,
            queued_at=now,
            warm_start=self._warm_start(experiment),
        )

    def _warm_start(self, experiment: Experiment) -> str | None:
        """Return the checkpoint every first run begins with."""
        given = text(experiment.config, "searcher", "source_checkpoint_uuid")
        source = whole(experiment.config, "searcher", "source_trial_id")
        if given or not source:
            return given or None
        found = self.ledger.latest_checkpoint(source)
        return found.uuid if found else None

    def _note(self, trial: Trial, line: str) -> None:
        self.notes.append((trial.id, max(trial.run_id, 1), line))
