"""What a plan says of resources that are not in the folder, are on their way out, or cannot be read."""

from __future__ import annotations

import pytest

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.loop.plan import Planner
from cdl.ports.errors import Rejected, Unavailable, Unreadable
from cdl.reconcile.plan import Change, Verdict
from cdl.testing.builders import deployment_document, experiment_document
from cdl.testing.memory import MemoryResources

from .plan_project import PIPELINE, STEPS, Project


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.apply()
    return made


def planned(project, *kinds, engines=None):
    wanted = [r for r in project.wanted() if type(r) in kinds]
    planner = Planner(engines or project.world.engines, project.world.now, project.world.data.programs)
    return planner.plan(wanted)


def told(plan):
    return {r.kind: (str(r.change), {str(s.verdict) for s in r.stages}) for r in plan.resources}


def test_who_stands_downstream_is_told_though_nobody_applies_it(project):
    project.edit(DataPipeline, steps=[{**STEPS[0], "env": {"WORDS": "few"}}, STEPS[1]])
    plan = planned(project, DataPipeline)
    assert {r.kind: r.change for r in plan.resources} == {
        "DataPipeline": Change.CONFIGURED,
        "Experiment": Change.AFFECTED,
        "ModelDeployment": Change.AFFECTED,
    }
    assert told(plan)["Experiment"] == ("affected", {"run"})
    assert plan.resources[1].stages[0].reasons == ("data will change: clean runs: env.WORDS: added, few",)


def test_who_stands_downstream_and_keeps_still_is_left_out(project):
    plan = planned(project, DataPipeline)
    assert told(plan) == {"DataPipeline": ("unchanged", {"reuse"})}


def test_what_an_experiment_reads_is_asked_though_nobody_applies_it(project):
    project.edit(Experiment, config={"hyperparameters": {"learning_rate": 0.05}})
    plan = planned(project, Experiment)
    assert [r.kind for r in plan.resources] == ["Experiment", "ModelDeployment"]
    assert told(plan)["Experiment"] == ("configured", {"run"})


def test_an_experiment_on_data_of_nobody_waits(tmp_path):
    project = Project(tmp_path)
    plan = planned(project, Experiment)
    (resource,) = plan.resources
    assert {s.verdict for s in resource.stages} == {Verdict.WAIT}
    assert resource.stages[0].reasons == ("DataPipeline news: there is no such DataPipeline",)
    assert not plan.runs


def test_a_deployment_of_a_model_of_nobody_waits(tmp_path):
    plan = planned(Project(tmp_path), ModelDeployment)
    assert plan.resources[0].stages[0].reasons == ("model news: there is no release yet",)
    assert plan.resources[0].stages[0].verdict is Verdict.WAIT


def test_two_experiments_of_one_pipeline_are_both_told(project):
    second = experiment_document("other", data={"pipeline": "news"})
    project.world.resources.put(Experiment.read(second))
    project.world.settle()
    project.edit(DataPipeline, steps=STEPS[:1])
    plan = planned(project, DataPipeline)
    assert [(r.kind, r.name) for r in plan.resources] == [
        ("DataPipeline", "news"),
        ("Experiment", "news"),
        ("Experiment", "other"),
        ("ModelDeployment", "news"),
    ]


def test_another_namespace_is_left_alone(project):
    document = deployment_document("news")
    document["metadata"]["namespace"] = "elsewhere"
    project.world.resources.put(ModelDeployment.read(document))
    project.edit(Experiment, config={"hyperparameters": {"learning_rate": 0.05}})
    assert {r.namespace for r in planned(project, Experiment).resources} == {"default"}


def test_what_is_being_deleted_starts_anew(project):
    project.world.resources.delete(PIPELINE)
    plan = planned(project, DataPipeline)
    assert plan.resources[0].change is Change.CREATED
    assert plan.resources[0].notes == ("it is being deleted; it can be applied once it is gone, and then starts anew",)


class Damaged(MemoryResources):
    """Holds one Experiment that is none."""

    def get(self, kind, namespace, name):
        if kind is Experiment:
            message = f"Experiment {namespace}/{name}: spec.config: found nothing"
            raise Unreadable(message, {})
        return super().get(kind, namespace, name)


def test_what_cannot_be_read_is_planned_as_new_and_says_so(tmp_path):
    project = Project(tmp_path)
    project.world.resources = Damaged()
    project.world.restart()
    plan = planned(project, DataPipeline, Experiment)
    experiment = plan.resources[1]
    assert experiment.change is Change.CONFIGURED
    assert experiment.notes[0].startswith("what is stored cannot be read: Experiment default/news: spec.config")


def test_what_may_never_change_is_refused_before_anything_is_planned(project):
    project.edit(Experiment, model={"name": "another"})
    with pytest.raises(Rejected, match=r"Experiment default/news: spec\.model\.name: cannot change"):
        planned(project, Experiment)


def test_an_engine_that_falls_silent_is_asked_once(project):
    world = project.world
    world.weather["data"].down = True
    plan = planned(project, DataPipeline, Experiment, ModelDeployment)
    asked = {r.kind: r.asked for r in plan.resources}
    assert asked == {"DataPipeline": False, "Experiment": True, "ModelDeployment": True}
    assert "the data engine was not asked" in plan.resources[0].notes[0]
    assert not plan.runs


def test_without_the_resources_there_is_no_plan(project):
    project.world.weather["resources"].down = True
    with pytest.raises(Unavailable):
        planned(project, DataPipeline)
