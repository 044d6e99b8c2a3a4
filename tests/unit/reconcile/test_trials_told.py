"""Trials side by side: the best first, why each ended, and a page that nothing in an Experiment can break."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from cdl.api.v1alpha1 import Experiment
from cdl.api.v1alpha1.experiment import (
    BestTrial,
    EvaluationStatus,
    ExperimentStatus,
    GateStatus,
    RunStatus,
    TrialCounts,
    TrialStatus,
)
from cdl.reconcile.experiment import Point, TrialFound
from cdl.reconcile.release.card_page import page
from cdl.reconcile.trials import SearchFacts, SearchTold, compare, tell
from cdl.reconcile.trials.page import report
from cdl.reconcile.trials.pencil import Scale
from cdl.testing.builders import experiment_document
from tests.unit.reconcile.paper_trail import REPORT, papers

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SEARCH = {"name": "adaptive_asha", "metric": "accuracy", "smaller_is_better": False, "time_metric": "epochs"}
NASTY = "</title><script>alert(1)</script>\"'&<b>"


def trial(number, figures, *, state="Succeeded", stopped=False, restarts=0, **hparams):
    points = tuple(Point(e * 10, {"accuracy": v, "epochs": float(e)}) for e, v in enumerate(figures, start=1))
    status = TrialStatus(
        id=number,
        state=state,
        hparams=hparams or {"rate": 0.1 * number},
        metric=max(figures, default=None),
        steps=len(figures) * 10,
        stopped_early=stopped,
        started_at=AT,
        finished_at=AT + timedelta(seconds=3 * number),
    )
    return TrialFound(status, restarts, points)


TRIALS = (
    trial(1, (0.5, 0.6, 0.7, 0.8), restarts=2),
    trial(2, (0.3,), stopped=True),
    trial(3, (0.6, 0.7, 0.8, 0.9)),
    trial(4, (), state="Failed"),
    trial(5, (0.4, 0.45), stopped=True),
)


def facts(trials=TRIALS, name="news", search=SEARCH, notes=(), **status):
    told = {
        "run": RunStatus(key="k", id="7", state="Succeeded", started_at=AT, finished_at=AT),
        "trials": TrialCounts(total=len(trials), stopped=2),
        "trial_table": tuple(t.status for t in trials),
        "best_trial": BestTrial(id=3, metric=0.9),
    }
    made = Experiment.read(experiment_document(name, config={"searcher": search, "hyperparameters": {}}))
    made = made.model_copy(update={"status": ExperimentStatus(**told | status)})
    return SearchFacts(made, tuple(trials), {"searcher": search}, notes=notes)


def test_the_best_comes_first_and_who_said_nothing_last():
    told = tell(facts())
    assert [(t.rank, t.id) for t in told.trials] == [(1, 3), (2, 1), (3, 5), (4, 2), (5, 4)]
    assert [t.id for t in told.trials if t.best] == [3]


def test_less_may_be_better_as_the_engine_has_it_where_nothing_is_said():
    losses = tuple(trial(n, (v,)) for n, v in ((1, 0.4), (2, 0.2), (3, 0.3)))
    told = tell(facts(losses, search={"name": "random", "metric": "accuracy"}))
    assert told.smaller_is_better
    assert [t.id for t in told.trials] == [2, 3, 1]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (3, "ran to its end"),
        (1, "ran to its end after 2 restarts"),
        (4, "failed; its log says why"),
        (2, "stopped by the searcher: after 1 epochs its accuracy of 0.3 was place 4 of 4"),
        (5, "stopped by the searcher: after 2 epochs its accuracy of 0.45 was place 3 of 3"),
    ],
)
def test_each_trial_has_its_reason(number, words):
    assert next(t.why for t in tell(facts()).trials if t.id == number) == words


def test_programs_get_all_of_it():
    told = tell(facts())
    assert SearchTold.model_validate_json(told.model_dump_json(by_alias=True)) == told
    plain = json.loads(told.model_dump_json(by_alias=True, exclude_none=True))
    first = plain["trials"][0]
    assert (plain["schema"], plain["metric"], plain["clock"]) == ("cdl.dev/trials/v1", "accuracy", "epochs")
    assert (first["last"]["steps"], first["seconds"], first["restarts"]) == (40, 9.0, 0)
    assert [p["metrics"]["accuracy"] for p in first["curve"]] == [0.6, 0.7, 0.8, 0.9]


def test_two_experiments_are_compared_by_what_was_asked_and_what_came_of_it():
    measured = EvaluationStatus(metrics={"accuracy": 0.9})
    less = EvaluationStatus(metrics={"accuracy": 0.7})
    other = facts(TRIALS[:2], "other", SEARCH | {"max_trials": 2}, ("nobody answered",), evaluation=less)
    told = compare(facts(evaluation=measured), other)
    assert (told.a.best.id, told.b.best.id, told.a.stopped, told.b.trials) == (3, 1, 2, 2)
    assert "config.searcher.max_trials: added, 2" in [c.words for c in told.config]
    assert [(m.a, m.b) for m in told.metrics] == [(0.9, 0.7)]
    assert not told.same_data
    assert told.notes == ("other: nobody answered",)


class Reader(HTMLParser):
    """What a browser would see: elements, texts, and every address it would ask."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.addresses, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "action", "data", "xlink:href"}]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip() and "style" not in self.open[-1:]:
            self.texts.append(data.strip())


def seen(found):
    text = page(report(found))
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert "url(" not in text
    return reader


def whole():
    """An Experiment of which everything is known."""
    gates = (GateStatus(metric="accuracy", value=0.97, min=0.9, passed=True),)
    evaluation = EvaluationStatus(run="8", metrics={"accuracy": 0.97}, gates=gates)
    made = facts(evaluation=evaluation, release="bbc-news-3", notes=("the data engine was not asked",))
    return SearchFacts(made.experiment, made.trials, made.config, REPORT, papers().release, made.notes)


@pytest.mark.parametrize(
    "fact",
    [
        "Experiment news",
        "adaptive_asha",
        "accuracy, more is better",
        "stopped by the searcher: after 1 epochs its accuracy of 0.3 was place 4 of 4",
        "On 220 items of the test side alone, which training never saw.",
        "Per class",
        "119",
        "the data engine was not asked",
        papers().release.spec.members["code"]["model"]["digest"],
        "cdl verify bbc-news-3",
    ],
)
def test_what_is_known_is_on_the_page(fact):
    assert any(fact in text for text in seen(whole()).texts)


def test_there_is_a_line_for_each_trial_that_said_something():
    reader = seen(whole())
    assert reader.tags.count("svg") == 3
    tips = [text for text in reader.texts if re.match(r"trial \d, accuracy", text)]
    assert sorted({tip[6] for tip in tips}) == ["1", "2", "3", "5"]


def test_the_page_asks_nobody_for_anything_and_runs_nothing():
    reader = seen(whole())
    assert reader.addresses == []
    assert not {"script", "link", "img", "iframe", "object"} & {*reader.tags}


def test_nothing_that_an_experiment_says_is_a_tag():
    wild = (trial(1, (0.1, 0.2), **{NASTY: NASTY}), trial(2, (0.3,), **{NASTY: f"{NASTY}2"}))
    search = {"name": NASTY, "metric": "accuracy", "time_metric": NASTY}
    reader = seen(facts(wild, search=search, notes=(NASTY,), release=NASTY, evaluation=EvaluationStatus(run=NASTY)))
    assert not {"script", "b"} & {*reader.tags}
    assert reader.tags.count("h1") == 1
    assert any("<script>alert(1)</script>" in text for text in reader.texts)


@pytest.mark.parametrize("trials", [(), (trial(1, ()),), (trial(1, (0.5,)),), (trial(1, (0.5,)), trial(2, (0.5,)))])
def test_little_is_a_page_too(trials):
    reader = seen(facts(trials, best_trial=None, run=None))
    assert "None" not in " ".join(reader.texts)
    assert "nan" not in " ".join(reader.texts)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 17.9), (1e-9, 3e-9), (0.5, 0.5), (1.0, 1e6)])
def test_ticks_lie_on_the_scale(low, high):
    scale = Scale(low, high, 10.0, 110.0)
    assert scale.ticks()
    assert all(10 - 1e-6 <= scale.place(value) <= 110 + 1e-6 for value in scale.ticks())
    assert len(scale.ticks()) <= 7
