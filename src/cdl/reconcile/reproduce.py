"""Build a Release's model again from its members, and compare: what to run, and what the outcome means. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from cdl.api.v1alpha1.experiment import Archive

from .experiment import TrainWish
from .experiment.warm import start_behind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from .experiment import CheckpointSeen, Measurement

    Table = dict[str, JsonValue]

LEGACY = re.compile(r"[\w.]+:\w+")
"""An entrypoint that names a trial class instead of a program."""
LAUNCHER = ("python3", "-m", "determined.launch.torch_distributed", "--", "--trial")
WHOLE_SPACE = frozenset({"grid", "single"})
"""Searches that do not draw, or draw once: they are repeated as they are."""
BOOKKEEPING = frozenset({"metadata.json", "load_data.json", "trial.json", "trial_state.pkl"})
"""What a framework notes beside the weights: numbers of trials, times, versions."""


class Verdict(StrEnum):
    """How alike the model and its rebuilt twin are."""

    BIT_EQUAL = "bit-equal"
    METRIC_EQUAL = "metric-equal"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is equal and what is not."""

    verdict: Verdict
    files: Mapping[str, bool]
    """Every file of the two checkpoints: equal in each byte, or not (also when only one has it)."""
    metrics: Mapping[str, tuple[float, float | None]]
    """Each metric as released, and as measured again."""
    tolerance: float
    """The largest difference of a metric that still counts as equal."""
    reason: str
    """The verdict in one sentence."""


def training(members: Mapping[str, JsonValue], config: Table, code: Archive, repo: str, commit: str) -> TrainWish:
    """Ask for the search again with the seed it had, in which only the released trial trains."""
    experiment = _table(members["experiment"])
    searcher = _table(config.get("searcher"))
    if searcher.get("name") not in WHOLE_SPACE:
        kept = {"metric", "smaller_is_better", "max_trials", "max_concurrent_trials"}
        searcher = {"name": "random", **{name: value for name, value in searcher.items() if name in kept}}
    again: Table = {
        **config,
        "searcher": searcher,
        "entrypoint": cast("JsonValue", _only(_table(experiment.get("hparams")), config.get("entrypoint"))),
        "reproducibility": {**_table(config.get("reproducibility")), "experiment_seed": experiment.get("seed")},
    }
    name = f"reproduce-{_text(experiment, 'key')}"[:63]
    return TrainWish(name, again, code, repo, commit, start=start_behind(members))


def measuring(train: TrainWish, members: Mapping[str, JsonValue], repo: str, commit: str, checkpoint: str) -> TrainWish:
    """Ask for the evaluation that the Release was judged by."""
    entrypoint = _text(_table(members["evaluation"]), "entrypoint")
    config = {k: v for k, v in train.config.items() if k in {"environment", "checkpoint_storage"}}
    return TrainWish(f"{train.name}-evaluation"[:63], config, train.code, repo, commit, entrypoint, checkpoint)


def compare(
    members: Mapping[str, JsonValue], best: CheckpointSeen, measured: Measurement, tolerance: float
) -> Comparison:
    """Judge the rebuilt model: equal bytes of every file that holds weights, else metrics within the tolerance."""
    was = {name: str(sha) for name, sha in _table(_table(members["checkpoint"])["files"]).items()}
    files = {name: was.get(name) == measured.files.get(name) for name in sorted({*was, *measured.files})}
    released = _table(_table(members["evaluation"])["metrics"])
    metrics = {
        name: (float(value), measured.metrics.get(name))
        for name, value in released.items()
        if isinstance(value, int | float)
    }
    weights = {name: equal for name, equal in files.items() if name.rpartition("/")[2] not in BOOKKEEPING}
    differing = [name for name, equal in weights.items() if not equal]
    apart = [name for name, (then, now) in metrics.items() if now is None or abs(then - now) > tolerance]
    if best.hparams != _table(members["experiment"]).get("hparams"):
        verdict, reason = Verdict.DIFFERENT, f"another trial won, with {json.dumps(dict(best.hparams), sort_keys=True)}"
    elif weights and not differing:
        verdict, reason = Verdict.BIT_EQUAL, f"all {len(weights)} files that make the model are equal in each byte"
    elif not apart:
        verdict = Verdict.METRIC_EQUAL
        reason = f"{', '.join(differing)} differ in their bytes; every metric is within {tolerance:g}"
    else:
        verdict, reason = Verdict.DIFFERENT, f"more than {tolerance:g} apart: {', '.join(apart)}"
    return Comparison(verdict, files, metrics, tolerance, reason)


def _only(hparams: Table, entrypoint: JsonValue) -> list[str]:
    if isinstance(entrypoint, str):
        legacy = LEGACY.fullmatch(entrypoint.strip())
        program = [*LAUNCHER, entrypoint.strip()] if legacy else ["sh", "-c", entrypoint]
    else:
        program = [str(word) for word in entrypoint] if isinstance(entrypoint, list) else []
    return ["python3", "-m", "cdl.training.only", "--hparams", json.dumps(hparams, sort_keys=True), "--", *program]


def _table(value: JsonValue | None) -> Table:
    return cast("Table", dict(value)) if isinstance(value, dict) else {}


def _text(table: Table, name: str) -> str:
    return str(table.get(name) or "")
