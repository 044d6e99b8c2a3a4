"""Read what there is to tell of an Experiment; who does not answer leaves a note, and what the resource itself says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import Release
from cdl.ports.errors import PortError
from cdl.reconcile.experiment import TrialFound
from cdl.reconcile.release import Silence
from cdl.reconcile.trials import SearchFacts

from .papers import document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Experiment
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.resources import ResourceStore
    from cdl.ports.training import TrainingHistory


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom to ask."""

    resources: ResourceStore
    artifacts: ArtifactStore
    training: TrainingHistory | Silence


def search(asked: Sources, experiment: Experiment) -> SearchFacts:
    """Read the newest run of an Experiment, what was measured of it and the Release it made."""
    notes: list[str] = []
    release = _release(asked, experiment)
    config, trials = _run(asked.training, experiment, notes)
    return SearchFacts(
        experiment,
        trials,
        config or experiment.spec.config,
        _report(asked, experiment, release, notes),
        release,
        tuple(notes),
    )


def _run(
    training: TrainingHistory | Silence, experiment: Experiment, notes: list[str]
) -> tuple[Mapping[str, JsonValue] | None, tuple[TrialFound, ...]]:
    """Ask the engine; where it does not know, the table in the status is what is known."""
    run = experiment.status.run
    written = tuple(TrialFound(trial) for trial in experiment.status.trial_table)
    if run is None or not run.id:
        return None, written
    told = "; curves and restarts are not known, the rest is as the Experiment says"
    if isinstance(training, Silence):
        notes.append(f"the training engine was not asked: {training.why}{told}")
        return None, written
    try:
        found, trials = training.run(run.id), training.trials(run.id)
    except PortError as error:
        notes.append(f"{error}{told}")
        return None, written
    if found is None or trials is None:
        notes.append(f"run {run.id} is not at the training engine any more{told}")
        return None, written
    return found.config, trials


def _release(asked: Sources, experiment: Experiment) -> Release | None:
    """Give the Release that it made; of what it has measured since, that says nothing."""
    name = experiment.status.release
    return asked.resources.get(Release, experiment.metadata.namespace, name) if name else None


def _report(
    asked: Sources, experiment: Experiment, release: Release | None, notes: list[str]
) -> Mapping[str, JsonValue]:
    """Give what the evaluator reported: of the kept document, or of the engine where no Release was made of it."""
    evaluation = experiment.status.evaluation
    if evaluation is None or not evaluation.run:
        return {}
    try:
        if release is not None and _measured_by(release) == evaluation.run:
            return document(asked.artifacts, release, "evaluation", "report")
        found = asked.training.run(evaluation.run) if not isinstance(asked.training, Silence) else None
    except PortError as error:
        notes.append(f"the report of the evaluation: {error}")
        return {}
    return (found.report if found is not None else None) or {}


def _measured_by(release: Release) -> str:
    found = release.spec.members.get("evaluation")
    return str(found.get("run") or "") if isinstance(found, dict) else ""
