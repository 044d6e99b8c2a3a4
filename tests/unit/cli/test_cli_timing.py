"""Time is split between programs users wrote and the platform, never counted twice."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.meta import Metadata
from cdl.api.v1alpha1 import DataPipeline, Experiment
from cdl.api.v1alpha1.experiment import EvaluationStatus, TrialStatus
from cdl.cli.timing import stages

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return BEGUN + timedelta(seconds=seconds)


def held(kind, seconds):
    return Condition(type=kind, status="True", reason=Reason.SUCCEEDED, last_transition_time=at(seconds))


def world(trials, evaluation, data, trained, released):
    pipeline = DataPipeline.read({"metadata": {"name": "x"}, "spec": {}})
    experiment = Experiment(
        metadata=Metadata(name="x"),
        spec={"data": {"pipeline": "x"}, "code": {"archive": {"uri": "file:x"}}, "config": {}, "model": {"name": "x"}},
    )
    rows = tuple(
        TrialStatus(id=i, state="Succeeded", started_at=at(a), finished_at=at(b)) for i, (a, b) in enumerate(trials)
    )
    measured = EvaluationStatus(started_at=at(evaluation[0]), finished_at=at(evaluation[1]))
    conditions = (held(ConditionType.TRAINED, trained), held(ConditionType.RELEASED, released))
    return (
        pipeline.model_copy(
            update={
                "status": pipeline.status.model_copy(update={"conditions": (held(ConditionType.DATA_READY, data),)})
            }
        ),
        experiment.model_copy(
            update={
                "status": experiment.status.model_copy(
                    update={"trial_table": rows, "evaluation": measured, "conditions": conditions}
                )
            }
        ),
    )


def test_overlapping_trials_count_once():
    found = stages(*world([(12, 20), (15, 25)], (30, 34), data=10, trained=27, released=36), BEGUN, at(40))
    assert [(s.name, s.wall, s.user, s.platform) for s in found] == [
        ("data", 10, 0, 10),
        ("train", 17, 13, 4),
        ("evaluate, release", 9, 4, 5),
        ("serve", 4, 0, 4),
    ]


def test_what_was_done_before_this_command_takes_no_time_in_it():
    found = stages(*world([(-60, -50)], (-40, -30), data=-70, trained=-49, released=-29), BEGUN, at(2))
    assert [(s.wall, s.user) for s in found] == [(0, 0), (0, 0), (0, 0), (2, 0)]


@given(
    trials=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)).map(lambda p: (p[0], p[0] + p[1])), max_size=5),
    marks=st.lists(st.integers(0, 60), min_size=3, max_size=3).map(sorted),
)
def test_the_stages_add_up_to_the_whole(trials, marks):
    data, trained, released = marks
    found = stages(*world(trials, (0, 0), data, trained, released), BEGUN, at(60))
    assert sum(s.wall for s in found) == pytest.approx(60)
    assert all(0 <= s.user <= s.wall + 1e-9 for s in found)
