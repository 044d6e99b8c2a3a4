"""Whatever people change: the stages that a plan says will run are the stages that then run."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.testing.builders import source_document
from cdl.testing.memory import archive
from cdl.testing.world import NEWS

from .plan_project import CODE, SERVE, SILENT, Project, replaced, running, unsure, verdicts

OTHER = archive(NEWS | {"sport/99.txt": "a late result"})
PLACE = {"uri": "https://example.test/other.tar", "sha256": sha256(OTHER).hexdigest()}


def edits(kind, *specs):
    return st.sampled_from([(kind, spec) for spec in specs])


def config(rate, *, fail=False):
    return {"config": {"hyperparameters": {"learning_rate": rate, "fail": fail}}}


def steps(*names, **fields):
    return {"steps": [{"name": name, "uses": "text/clean", **fields} for name in names]}


EDITS = st.one_of(
    edits(Experiment, config(0.1), config(0.2), config(0.7), config(0.1, fail=True)),
    edits(Experiment, *({"code": {"archive": {**CODE, "sha256": c * 64}, "serve": SERVE}} for c in "ab")),
    edits(Experiment, *({"code": {"archive": CODE, "serve": {**SERVE, "sha256": c * 64}}} for c in "ab")),
    edits(Experiment, *({"evaluation": {"gates": [{"metric": "accuracy", "min": least}]}} for least in (0.5, 0.85))),
    edits(Experiment, {"evaluation": {"entrypoint": "evaluate:other"}}, {"evaluation": {}}),
    edits(Experiment, {"approval": {"policy": "Automatic"}}, {"approval": {"policy": "Manual"}}),
    edits(Experiment, {"retrain": {"onData": False}}, {"retrain": {"onData": True}}),
    edits(DataPipeline, {"sources": [source_document()]}, {"sources": [source_document(**PLACE)]}),
    edits(DataPipeline, steps(), steps("a"), steps("a", "b"), steps("b", "a"), steps("a", parallelism=3)),
    edits(DataPipeline, *({"checks": [{"name": "rows", "rows": {"min": n}, "onFail": "fail"}]} for n in (1, 1000))),
    edits(ModelDeployment, {"predictor": {"replicas": 2}}, {"predictor": {"replicas": 1}}),
    edits(ModelDeployment, {"model": {"name": "news"}}, {"model": {"name": "news", "policy": "Pinned", "version": 1}}),
    *(edits(kind, {"interval": "5m"}, {"interval": "10m"}) for kind in (DataPipeline, Experiment, ModelDeployment)),
    *(edits(kind, {"suspend": True}, {"suspend": False}) for kind in (DataPipeline, Experiment, ModelDeployment)),
)


@given(commits=st.lists(st.lists(EDITS, min_size=1, max_size=2), min_size=1, max_size=5), approves=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
def test_the_plan_says_what_the_loop_then_does(commits, approves):
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.world.sources.places[PLACE["uri"]] = OTHER
        project.apply()
        for commit in commits:
            for kind, spec in commit:
                project.edit(kind, **spec)
            asked, guessed = project.plan(), project.plan(SILENT)
            ran = project.apply()
            for plan in (asked, guessed):
                assert ran & set(verdicts(plan)) <= running(plan) | may_follow(plan), (
                    plan
                )  # a step may be on its way out
                assert running(plan) - unsure(plan) - replaced(plan) <= ran, plan
            if approves:
                project.approve_all()


def may_follow(plan):
    """Stages behind an unknown one: whether they run is not claimed."""
    return {s.label for r in plan.resources for s in r.stages if s.verdict == "unknown"}
