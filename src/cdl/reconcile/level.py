"""How far a project is automated: the lecture's three levels as a checklist, and what of it is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Spec = Mapping[str, Any]
HIGHEST = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a project. None: it cannot be seen from where one looks."""

    pipelines: tuple[Spec, ...] = ()
    """The specs of its DataPipelines, as documents."""
    experiments: tuple[Spec, ...] = ()
    deployments: tuple[Spec, ...] = ()
    committed: bool | None = None
    """It lies in a git repository, or says which commit it was applied from."""
    built: bool | None = None
    """Something tests it at every commit."""
    delivered: bool | None = None
    """Something applies it when it was tested."""
    ledger: bool | None = None
    """Somewhere it is written down what happens to it."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing the lecture asks for."""

    level: int
    name: str
    asks: str
    """The lecture's words, shortened."""
    holds: Callable[[Facts], bool | None]
    missing: str
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Score:
    """The level that is reached, and what is missing for each that is not."""

    level: int | None
    """None: not even a model is served by hand."""
    held: tuple[Point, ...]
    missing: tuple[Point, ...]
    unknown: tuple[Point, ...] = field(default=())

    def lacks(self, level: int) -> tuple[Point, ...]:
        """Give what keeps a project from a level."""
        return tuple(point for point in (*self.missing, *self.unknown) if point.level == level)


def score(facts: Facts) -> Score:
    """Hold a project against the checklist. What cannot be seen does not count as done."""
    answers = [(point, point.holds(facts)) for point in POINTS]
    held = tuple(point for point, answer in answers if answer)
    open_levels = [point.level for point, answer in answers if not answer]
    reached = min(open_levels, default=HIGHEST + 1) - 1
    return Score(
        level=reached if reached >= 0 else None,
        held=held,
        missing=tuple(point for point, answer in answers if answer is False),
        unknown=tuple(point for point, answer in answers if answer is None),
    )


def at(spec: object, place: str) -> Any:  # noqa: ANN401 - whatever a document holds there
    """Read a place in a document, as in `evaluation.gates`."""
    for name in place.split("."):
        spec = spec.get(name) if isinstance(spec, Mapping) else None
    return spec


def _all(specs: Sequence[Spec], *places: str) -> bool:
    """Every one of them says something at one of these places, and there is one."""
    return bool(specs) and all(any(at(spec, place) for place in places) for spec in specs)


def _connected(facts: Facts) -> bool:
    """Data leads to a model and the model to its users."""
    models = {at(spec, "model.name") for spec in facts.experiments}
    served = {at(spec, "model.name") for spec in facts.deployments}
    return bool(facts.pipelines) and bool(models) and models <= served


def _checked(facts: Facts) -> bool:
    def fails(spec: Spec) -> bool:
        return any(at(check, "onFail") == "fail" for check in at(spec, "checks") or ())

    return bool(facts.pipelines) and all(fails(spec) for spec in facts.pipelines)


def _latest(facts: Facts) -> bool:
    return bool(facts.deployments) and all(
        at(spec, "model.policy") in {None, "LatestApproved"} and not at(spec, "suspend") for spec in facts.deployments
    )


def _retrained(facts: Facts) -> bool:
    """New data starts a run unless somebody said no."""
    return bool(facts.experiments) and all(
        at(spec, "retrain.onData") is not False or at(spec, "retrain.schedule") for spec in facts.experiments
    )


POINTS = (
    Point(
        0,
        "served",
        "deployment: typically a service with a REST interface",
        lambda f: bool(f.deployments),
        "add a ModelDeployment to resources/",
    ),
    Point(
        1,
        "experiments",
        "rapid experimentation: experiments are orchestrated and done automatically",
        lambda f: _all(f.experiments, "config.searcher", "config.entrypoint"),
        "add an Experiment whose spec.config says what to run",
    ),
    Point(
        1,
        "continuous-training",
        "continuous training, with triggers: new data, a schedule, degradation, a shift of the distribution",
        _retrained,
        "set spec.retrain.onData of the Experiment to true",
    ),
    Point(
        1,
        "data-validation",
        "automated validation of new data",
        _checked,
        "give each DataPipeline spec.checks, at least one with `onFail: fail`",
    ),
    Point(
        1,
        "model-validation",
        "automated validation of updated models",
        lambda f: _all(f.experiments, "evaluation.gates"),
        "give each Experiment spec.evaluation.gates",
    ),
    Point(
        1,
        "modular-code",
        "modularized code for pipelines",
        lambda f: _all(f.experiments, "code.archive") and _all(f.experiments, "code.serve"),
        "keep training and serving code in folders of their own: spec.code.archive and spec.code.serve",
    ),
    Point(
        1,
        "continuous-delivery",
        "continuous delivery of models: deploying the validated model is automated",
        _latest,
        "let spec.model.policy of each ModelDeployment be LatestApproved",
    ),
    Point(
        1,
        "pipeline-deployment",
        "the whole pipeline is deployed, not a trained model",
        _connected,
        "declare DataPipeline, Experiment and ModelDeployment of the model in one project",
    ),
    Point(
        2,
        "source-control",
        "source control: code, data and models are versioned",
        lambda f: f.committed,
        "put the project into a git repository",
    ),
    Point(
        2,
        "pipeline-ci",
        "test and build services: every commit is built and tested",
        lambda f: f.built,
        "let CI run `cdl validate` and the tests at every commit (.gitlab-ci.yml)",
    ),
    Point(
        2,
        "pipeline-cd",
        "deployment services: what was tested is deployed to its environment",
        lambda f: f.delivered,
        "let CI run `cdl apply` after the tests",
    ),
    Point(
        2,
        "triggers",
        "automated triggering: by a schedule or in response to a trigger",
        lambda f: _all(f.experiments, "retrain.schedule", "retrain.onDrift") or _retrained(f),
        "set spec.retrain of the Experiment",
    ),
    Point(
        2,
        "metadata-store",
        "ML metadata store: parameters, data, metrics and results of every training",
        lambda f: f.ledger,
        "name a PostgreSQL in CDL_DATABASE, or use `cdl run` or `cdl up`, which bring one",
    ),
    Point(
        2,
        "registry",
        "model registry",
        lambda f: _all(f.experiments, "model.name"),
        "give each Experiment spec.model.name: its Releases are the registry",
    ),
    Point(
        2,
        "feature-store",
        "feature store: features are defined once, for training and serving",
        lambda f: _all(f.pipelines, "features"),
        "cdl has none yet",
    ),
    Point(
        2,
        "orchestrator",
        "pipeline orchestrator",
        _connected,
        "declare DataPipeline, Experiment and ModelDeployment of the model in one project",
    ),
    Point(
        2,
        "monitoring",
        "monitoring: the model's performance on live data",
        lambda f: _all(f.deployments, "monitoring.log", "monitoring.drift"),
        "set spec.monitoring of each ModelDeployment; this version of cdl does not take it yet",
    ),
)
"""The checklist, in the lecture's order."""
