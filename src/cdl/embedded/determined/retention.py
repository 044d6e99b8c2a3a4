"""Which checkpoints of an ended experiment go, by its ``checkpoint_storage.save_*`` numbers."""

from collections.abc import Iterable

from cdl.embedded.determined import views
from cdl.embedded.determined.fields import whole
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.records import Checkpoint, Experiment


def superfluous(ledger: Ledger, found: Experiment) -> list[Checkpoint]:
    """Return the completed checkpoints that are neither good nor late enough to keep.

    One that is registered as a model version, or that other trials begin with, is always kept.
    """
    by_trial = [ledger.checkpoints(trial.id) for trial in ledger.trials(found.id)]
    by_trial = [[c for c in saved if c.state == "COMPLETED"] for saved in by_trial]
    kept = _best(ledger, found, (c for saved in by_trial for c in saved), "save_experiment_best")
    for saved in by_trial:
        kept |= _best(ledger, found, saved, "save_trial_best")
        latest = sorted(saved, key=lambda c: c.steps, reverse=True)
        kept |= {c.uuid for c in latest[: whole(found.storage, "save_trial_latest")]}
    kept |= _in_use(ledger)
    return [c for saved in by_trial for c in saved if c.uuid not in kept]


def _best(ledger: Ledger, parent: Experiment, saved: Iterable[Checkpoint], limit: str) -> set[str]:
    sign = 1 if parent.smaller_is_better else -1
    """Equal scores keep the order of the listing, so that the one that leads it is the one that stays."""
    scored = [(sign * score, c.uuid) for c in saved if (score := views.checkpoint_score(ledger, parent, c)) is not None]
    return {uuid for _, uuid in sorted(scored, key=lambda pair: pair[0])[: whole(parent.storage, limit)]}


def _in_use(ledger: Ledger) -> set[str]:
    rows = ledger.store.rows(
        "SELECT checkpoint FROM model_versions UNION SELECT warm_start FROM trials WHERE warm_start IS NOT NULL"
    )
    return {str(row["checkpoint"]) for row in rows}
