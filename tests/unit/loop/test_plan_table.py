"""The table of commits: what a plan says of each, and what the loop then really does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.reconcile.plan import Verdict
from cdl.testing.builders import source_document
from cdl.testing.memory import archive
from cdl.testing.world import NEWS

from .plan_project import (
    CODE,
    PIPELINE,
    ROLLOUT,
    RUN,
    SERVE,
    SILENT,
    STEPS,
    Project,
    reasons,
    replaced,
    running,
    unsure,
    verdicts,
)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_an_empty_home_runs_everything(project):
    plan = project.plan()
    assert plan.runs
    assert set(verdicts(plan).values()) == {RUN, ROLLOUT}
    assert running(plan) == project.apply()


TRAIN_AND_BELOW = {"train", "evaluate", "release", "rollout"}
CLEAN = {"clean (train)", "clean (test)", "again (train)", "again (test)"}
MORE = NEWS | {"sport/99.txt": "a late result that nobody expected"}
ROWS = {
    "a README beside the code": (None, {}, set(), ""),
    "a comment in a model file": (
        Experiment,
        {"code": {"archive": {**CODE, "sha256": "b" * 64}, "serve": SERVE}},
        TRAIN_AND_BELOW,
        "code.archive: sha256 aaaaaaaa… -> bbbbbbbb…",
    ),
    "a comment in a serving file": (
        Experiment,
        {"code": {"archive": CODE, "serve": {**SERVE, "sha256": "b" * 64}}},
        {"release", "rollout"},
        "code.serve.sha256: aaaaaaaa… -> bbbbbbbb…",
    ),
    "a hyperparameter": (
        Experiment,
        {"config": {"hyperparameters": {"learning_rate": 0.05}}},
        TRAIN_AND_BELOW,
        "hyperparameters.learning_rate: 0.1 -> 0.05",
    ),
    "a gate": (Experiment, {"evaluation": {"gates": [{"metric": "accuracy", "min": 0.6}]}}, set(), ""),
    "the evaluation's entrypoint": (
        Experiment,
        {"evaluation": {"entrypoint": "evaluate:other"}},
        {"evaluate", "release", "rollout"},
        "evaluation.entrypoint: evaluate:evaluate -> evaluate:other",
    ),
    "a step's environment": (
        DataPipeline,
        {"steps": [{**STEPS[0], "env": {"WORDS": "few"}}, STEPS[1]]},
        CLEAN - {"again (train)", "again (test)"} | TRAIN_AND_BELOW,
        "env.WORDS: added, few",
    ),
    "a step's workers": (
        DataPipeline,
        {"steps": [{**STEPS[0], "parallelism": 3}, STEPS[1]]},
        {"release", "rollout"},
        "parallelism: 1 -> 3",
    ),
    "a check of the rows": (
        DataPipeline,
        {"checks": [{"name": "few", "rows": {"min": 2}, "onFail": "fail"}]},
        set(),
        "",
    ),
    "replicas": (ModelDeployment, {"predictor": {"replicas": 2}}, {"rollout"}, "predictor.replicas: 1 -> 2"),
    "how often to look": (ModelDeployment, {"interval": "5m"}, set(), ""),
}


@pytest.mark.parametrize("asked", [True, False], ids=["engines asked", "from statuses"])
@pytest.mark.parametrize(("kind", "edit", "expected", "reason"), ROWS.values(), ids=ROWS)
def test_a_commit_runs_what_its_row_says_and_the_plan_says_so_before(project, kind, edit, expected, reason, asked):
    project.apply()
    project.revision = "2"
    if kind is not None:
        project.edit(kind, **edit)
    plan = project.plan(() if asked else SILENT)
    said = running(plan)
    ran = project.apply()
    assert ran == expected
    assert ran <= said
    assert said - ran <= unsure(plan) | replaced(plan)
    assert reason in "; ".join(r for p in plan.resources for s in p.stages for r in s.reasons)
    assert not project.plan(() if asked else SILENT).runs


ONE_MORE = NEWS | {"sport/99.txt": "a late result that nobody expected"}
RELABELLED = {("tech" + name[5:] if name == "sport/3.txt" else name): text for name, text in NEWS.items()}


@pytest.mark.parametrize("asked", [True, False], ids=["engines asked", "from statuses"])
@pytest.mark.parametrize("files", [ONE_MORE, RELABELLED], ids=["one more document", "a label"])
def test_other_data_runs_its_datums_and_what_is_below_them(project, files, asked):
    project.apply()
    project.publish(NEWS)  # the same bytes under a checksum
    project.apply()
    project.publish(files)
    plan = project.plan(() if asked else SILENT)
    datums, said = project.world.data.processed(PIPELINE), verdicts(plan)
    ran = project.apply()
    assert TRAIN_AND_BELOW | {"ingest (train)", "ingest (test)"} < ran <= running(plan)
    assert running(plan) - ran <= unsure(plan)
    assert said["train"] is RUN
    assert "sources[0].sha256: " in reasons(plan)
    assert "data will change: ingest runs" in reasons(plan)
    assert sum((project.world.data.processed(PIPELINE) - datums).values()) <= 4, "every datum was processed again"


def test_the_same_bytes_from_elsewhere_run_nothing(project):
    project.apply()
    project.publish(NEWS)
    plan, guessed = project.plan(), project.plan(SILENT)
    assert not plan.runs
    assert "ingest (train)" in running(guessed) & unsure(guessed), "what there was is not known by its checksum"
    assert project.apply() == set()


def test_what_only_a_fetch_can_tell_is_unknown(project):
    project.apply()
    project.world.sources.places["https://example.test/moved.tar"] = archive(NEWS)
    project.edit(DataPipeline, sources=[source_document(uri="https://example.test/moved.tar")])
    plan = project.plan()
    assert verdicts(plan)["ingest (train)"] is Verdict.UNKNOWN
    assert "names no sha256 and is not at hand" in reasons(plan)
    assert verdicts(plan)["train"] is RUN
    assert "train" in unsure(plan)
    assert project.apply() == set()


ORDER = ("train", "evaluate", "release", "rollout")
DOCUMENTED = re.compile(r"^\| (?P<commit>[^|`]+) \| (?P<runs>[^|`]+) \|$", re.MULTILINE)
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "plan.md"


def documented():
    """The table of commits, as people read it."""
    table = PAGE.read_text().partition("| a commit that changes | runs |")[2].partition("\n\n")[0]
    return {row["commit"]: row["runs"] for row in DOCUMENTED.finditer(table) if "---" not in row["commit"]}


def test_the_page_has_the_rows_that_are_tested():
    rows = documented()
    assert len(rows) == 11
    for commit, (_, _, expected, _) in ROWS.items():
        if commit in rows:
            said = {stage for stage in ORDER if re.search(rf"\b{stage}\b", rows[commit])}
            assert said == expected & set(ORDER), commit
    assert rows.keys() - ROWS.keys() == {"one more document", "a label"}
