"""What `cdl run` tells while it waits, and when it stops waiting; nothing of an older spec or request counts."""

from __future__ import annotations

import re
import shutil
import time

import pytest

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.meta import REQUESTED_AT_ANNOTATION, Key
from cdl.api.v1alpha1 import KINDS
from cdl.api.v1alpha1.datapipeline import JobStatus, Side
from cdl.api.v1alpha1.experiment import TrialStatus
from cdl.cli.watch import Watch
from cdl.local import LocalStore
from cdl.reconcile.summary import busy, settled, stalled
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document

DATA = Key("DataPipeline", "default", "news")
LEARN = Key("Experiment", "default", "news")
SERVE = Key("ModelDeployment", "default", "news")
DOCUMENTS = {DATA: pipeline_document(), LEARN: experiment_document(), SERVE: deployment_document()}


class Project:
    """Resources in a store, and a watch over them that began just now."""

    def __init__(self, folder, *keys):
        self.folder = folder
        self.store = LocalStore(folder / "resources.db")
        for key in keys:
            self.store.apply(DOCUMENTS[key])
        self.watch = Watch(self.store, keys, time.monotonic(), folder)

    def say(self, key, *conditions, generation=1, success=Reason.SUCCEEDED, message="", **more):
        there = self.store.get(KINDS[key.kind], key.namespace, key.name)
        told = settled(conditions, generation, success, message)
        update = {"conditions": told, "observed_generation": generation, **more}
        self.store.write_status(key, there.status.model_copy(update=update), there.metadata.resource_version)


@pytest.fixture
def project(tmp_path):
    made = []

    def make(*keys):
        made.append(Project(tmp_path, *keys))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


@pytest.fixture
def between(monkeypatch):
    """Do something between two looks, in order; nobody waits."""
    steps = []
    monkeypatch.setattr("cdl.cli.watch.time.sleep", lambda _: steps.pop(0)() if steps else None)
    return steps


def told(capsys):
    return [re.sub(r"^\[ *\d+\.\d s\] ", "", line) for line in capsys.readouterr().out.splitlines()]


def test_it_waits_for_every_resource(project, between, capsys):
    one = project(DATA, SERVE)
    one.say(DATA, message="12 files")
    between += [lambda: None] * 4 + [lambda: one.say(SERVE, success=Reason.AVAILABLE, message="news-1 answers")]
    assert one.watch.until_settled(3600)
    assert one.watch.ready
    assert between == []
    assert told(capsys) == [
        "DataPipeline     Succeeded        12 files",
        "ModelDeployment  Available        news-1 answers",
    ]


def test_what_is_ready_for_a_moment_is_not_yet_the_end(project, between):
    one = project(DATA)
    one.say(DATA)
    between += [
        lambda: None,
        lambda: one.say(DATA, busy(Reason.TRANSFORMING, "again")),
        lambda: one.say(DATA),
        lambda: None,
    ]
    assert one.watch.until_settled(3600)
    assert between == []


def test_a_resource_that_is_gone_is_not_ready(project, between, capsys):
    one = project(DATA, LEARN)
    one.say(DATA)
    one.store.delete(LEARN)
    between += [lambda: None] * 5
    assert not one.watch.until_settled(3600)
    assert not one.watch.ready
    assert told(capsys)[-1] == "Experiment default/news: deleted meanwhile; `cdl run` makes it anew"


def test_a_decision_that_a_person_owes_ends_the_wait(project, capsys):
    one = project(DATA, LEARN)
    one.say(LEARN, busy(Reason.WAITING_FOR_APPROVAL, "cdl approve news-1"))
    assert one.watch.until_settled(3600)
    assert not one.watch.ready
    assert told(capsys) == ["Experiment       WaitingForApproval cdl approve news-1"]


def test_what_a_person_must_mend_ends_the_wait(project, capsys):
    one = project(DATA, LEARN)
    one.say(DATA, stalled(Reason.STEP_FAILED, "step clean fell over"))
    assert not one.watch.until_settled(3600)
    assert told(capsys) == ["DataPipeline     StepFailed       step clean fell over"]


def test_the_trouble_of_an_older_spec_is_not_told_and_ends_nothing(project, between, capsys):
    one = project(DATA)
    one.say(DATA, stalled(Reason.STEP_FAILED, "long ago"), generation=0)
    between.append(lambda: one.say(DATA))
    assert one.watch.until_settled(3600)
    assert told(capsys) == ["DataPipeline     Succeeded"]


def test_an_answer_from_before_the_request_ends_nothing(project, between):
    one = project(DATA)
    one.say(DATA, stalled(Reason.STEP_FAILED, "long ago"))
    one.store.annotate(DATA, REQUESTED_AT_ANNOTATION, "now")
    between.append(lambda: one.say(DATA, last_handled_requested_at="now"))
    assert one.watch.until_settled(3600)
    assert one.watch.ready


def test_a_full_disk_ends_the_wait(project, monkeypatch, capsys):
    one = project(DATA)
    least = shutil.disk_usage(one.folder)._replace(free=1000)
    monkeypatch.setattr("cdl.cli.watch.shutil.disk_usage", lambda _: least)
    assert not one.watch.until_settled(3600)
    assert told(capsys) == [f"the disk that holds {one.folder} is full (1000 bytes free)"]


@pytest.mark.parametrize(
    ("reason", "worked"),
    [(Reason.TRAINING, True), (Reason.WAITING_FOR_DATA, False), (Reason.WAITING_FOR_RELEASE, False)],
)
def test_waiting_is_no_work(project, between, reason, worked):
    one = project(LEARN)
    one.say(LEARN, busy(reason, "..."))
    between.append(lambda: one.say(LEARN))
    assert one.watch.until_settled(3600)
    assert one.watch.worked is worked


@pytest.mark.parametrize(
    ("keys", "key", "reason", "line"),
    [
        ((DATA, LEARN), LEARN, Reason.WAITING_FOR_DATA, "Experiment       WaitingForData"),
        ((LEARN,), LEARN, Reason.WAITING_FOR_DATA, "Experiment       WaitingForData   the reason"),
        ((LEARN, SERVE), SERVE, Reason.WAITING_FOR_RELEASE, "ModelDeployment  WaitingForRelease"),
        ((SERVE,), SERVE, Reason.WAITING_FOR_RELEASE, "ModelDeployment  WaitingForRelease the reason"),
        ((DATA, LEARN), LEARN, Reason.QUEUED, "Experiment       Queued           the reason"),
    ],
)
def test_what_a_neighbour_tells_itself_is_not_told_twice(project, capsys, keys, key, reason, line):
    one = project(*keys)
    one.say(key, busy(reason, "the reason"))
    one.watch.until_settled(0)
    assert told(capsys)[0] == line


def test_jobs_and_trials_are_told_once_each(project, between, capsys):
    one = project(DATA, LEARN)
    job = JobStatus(step="clean", side=Side.TRAIN, id="1", state="Running", processed=2, skipped=1, failed=0, total=4)
    one.say(DATA, busy(Reason.TRANSFORMING, "running"), jobs=(job,))
    trials = (
        TrialStatus(id=1, state="Succeeded", metric=0.75, steps=100, stopped_early=True),
        TrialStatus(id=2, state="Running", metric=0.5, steps=50),
        TrialStatus(id=3, state="Queued"),
    )
    one.say(LEARN, busy(Reason.TRAINING, "training"), trial_table=trials)
    between += [lambda: None, lambda: one.say(DATA), lambda: one.say(LEARN)]
    assert one.watch.until_settled(3600)
    assert told(capsys) == [
        "DataPipeline     step clean (train) running, datums: 2 processed, 1 skipped, 0 failed of 4",
        "DataPipeline     Transforming     running",
        "Experiment       trial 1 succeeded, stopped early: 0.7500 after 100 batches",
        "Experiment       trial 2 running: 0.5000 after 50 batches",
        "Experiment       Training         training",
        "DataPipeline     Succeeded",
        "Experiment       Succeeded",
    ]


def test_a_condition_that_is_false_is_none(project, between):
    one = project(DATA)
    free = Condition(type=ConditionType.STALLED, status="False", reason=Reason.SUCCEEDED)
    one.say(DATA, free)
    assert one.watch.until_settled(3600)


def test_what_was_deleted_is_not_waited_for(project, between, capsys):
    one = project(DATA)
    between.append(lambda: one.store.delete(DATA))
    assert not one.watch.until_settled(3600)
    assert told(capsys) == ["DataPipeline default/news: deleted meanwhile; `cdl run` makes it anew"]


def test_a_platform_that_ended_is_not_waited_for(project, between, capsys):
    one = project(DATA)
    watch = Watch(one.store, [DATA], time.monotonic(), one.folder, lambda: ("pachd",))
    assert not watch.until_settled(3600)
    assert told(capsys) == ["no longer running: pachd; `cdl run` starts it again and goes on"]
