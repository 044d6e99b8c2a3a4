"""Hostile exports of Label Studio: what can be no label is passed over with its reason, and the rest is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from cdl.engines.labelstudio import TEMPLATES, interface
from cdl.engines.labelstudio.reading import Question, key_of, people, question, said
from cdl.ports.labelling import Annotation

SHA = "ab" * 32
KEY = {"cdl": {"item": "/a.txt", "sha256": SHA}}
NOW = "2026-11-22T04:23:28.986663Z"
ASKED = Question("label", "text", frozenset({"sport", "tech"}))
PEOPLE = {1: "ann@example.test"}
DEEP = json.loads("[" * 900 + "]" * 900)


def chosen(*choices, **changes):
    return {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": list(choices)}} | changes


def annotation(**changes):
    one = {"id": 5, "task": 7, "completed_by": 1, "was_cancelled": False, "updated_at": NOW}
    return one | {"result": [chosen("sport")]} | changes


def task(*annotations, **changes):
    return {"id": 7, "meta": KEY, "annotations": list(annotations)} | changes


def without(document, *names):
    return {name: value for name, value in document.items() if name not in names}


GOOD = task(annotation(id=6, task=8), id=8, meta={"cdl": {"item": "/good.txt", "sha256": SHA}})
READ = Annotation(
    "/good.txt", SHA, "sport", "ann@example.test", datetime(2026, 11, 22, 4, 23, 28, 986663, tzinfo=UTC), "8", "6"
)

HOSTILE = {
    # what is listed is no task, or none of ours
    "a number": (5, "what is listed as 5 is no task"),
    "nothing": (None, "what is listed as None is no task"),
    "a list": ([task(annotation())], "is no task"),
    "no id": (without(task(annotation()), "id"), "is no task"),
    "an id of text": (task(annotation(), id="7"), "is no task"),
    "an id that is true": (task(annotation(), id=True), "is no task"),
    "no meta": (without(task(annotation()), "meta"), "task 7 is none of ours"),
    "meta of text": (task(annotation(), meta="cdl"), "task 7 is none of ours"),
    "meta of another": (task(annotation(), meta={"cdl": "x"}), "task 7 is none of ours"),
    "no digest": (task(annotation(), meta={"cdl": {"item": "/a.txt"}}), "task 7 is none of ours"),
    "a wrong digest": (task(annotation(), meta={"cdl": {"item": "/a", "sha256": "AB"}}), "task 7 is none of ours"),
    "an item of a number": (task(annotation(), meta={"cdl": {"item": 5, "sha256": SHA}}), "task 7 is none of ours"),
    "no annotations": (without(task(), "annotations"), "task 7 has None instead of annotations"),
    "annotations by number": (task(annotations={"5": annotation()}), "instead of annotations"),
    # what is said is no annotation
    "an annotation of text": (task("sport"), "annotation 'sport' of task 7 (/a.txt) is no annotation"),
    "an annotation by its id alone": (task(5), "annotation 5 of task 7 (/a.txt) is no annotation"),
    "no number": (task(without(annotation(), "id")), "annotation None of task 7 (/a.txt) has no number"),
    "a negative number": (task(annotation(id=-1)), "has no number"),
    "an unknown task": (task(annotation(task=99)), "annotation 5 of task 7 (/a.txt) is about task 99"),
    "the same twice": (task(annotation(id=6)), "annotation 6 of task 8 (/good.txt) is listed twice"),
    "a prediction": (
        task(without(annotation(model_version="m", score=0.9), "completed_by")),
        "annotation 5 of task 7 (/a.txt) is what a model predicts",
    ),
    "skipped": (task(annotation(was_cancelled=True)), "annotation 5 of task 7 (/a.txt) was skipped"),
    "skipped or not": (task(annotation(was_cancelled=None)), "was skipped"),
    "by nobody": (task(without(annotation(), "completed_by")), "is by nobody"),
    "by a text": (task(annotation(completed_by="ann")), "is by nobody"),
    "no result": (task(without(annotation(), "result")), "has None as its result"),
    "a result of text": (task(annotation(result="sport")), "has 'sport' as its result"),
    "an empty result": (task(annotation(result=[])), "makes no choice"),
    "a result of numbers": (task(annotation(result=[5, None, "x"])), "makes no choice"),
    "an answer to something else": (task(annotation(result=[chosen("sport", from_name="mood")])), "makes no choice"),
    "a rectangle": (task(annotation(result=[chosen("sport", type="rectanglelabels")])), "makes no choice"),
    "no value": (task(annotation(result=[without(chosen("sport"), "value")])), "has None as its choices"),
    "choices of text": (task(annotation(result=[chosen(value={"choices": "sport"})])), "has 'sport' as its choices"),
    "a choice of NaN": (task(annotation(result=[chosen(float("nan"))])), "chooses nan, which is no text"),
    "a choice in a choice": (task(annotation(result=[chosen(["sport"])])), "chooses ['sport'], which is no text"),
    "an empty choice": (task(annotation(result=[chosen("sport", " ")])), "a label says something"),
    "control characters": (task(annotation(result=[chosen("spo\x00rt\x1b[2J")])), "has no control characters"),
    "half a character": (task(annotation(result=[chosen("\ud800")])), "has no control characters"),
    "a huge choice": (task(annotation(result=[chosen("x" * 5_000_000)])), "has at most 500 characters"),
    "a semicolon": (task(annotation(result=[chosen("sport;tech")])), "a semicolon parts several labels"),
    "an unknown choice": (task(annotation(result=[chosen("war")])), "'war', which is not among the project's choices"),
    "no moment": (task(without(annotation(), "updated_at")), "has None as its moment"),
    "a moment without a zone": (task(annotation(updated_at="2026-11-22T04:23:28")), "as its moment"),
    "a moment that is none": (task(annotation(updated_at="yesterday")), "has 'yesterday' as its moment"),
    "a moment of NaN": (task(annotation(updated_at=float("nan"))), "has nan as its moment"),
    "a deep one": (task(annotation(result=[chosen(DEEP)])), "which is no text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_annotation_has_a_reason_and_costs_nobody_elses(name):
    export, reason = HOSTILE[name]
    for tasks in ([GOOD, export], [export, GOOD]):
        found = said(tasks, ASKED, PEOPLE)
        assert len(found.annotations) == 1
        if name != "the same twice":
            assert found.annotations == [READ]
            (told,) = found.unusable
            assert reason in told
            assert len(told) < 400
            assert told.isprintable()
    found = said([GOOD, export], ASKED, PEOPLE)
    assert found.annotations == [READ]


def test_of_the_same_annotation_twice_the_first_is_read():
    found = said([GOOD, GOOD], ASKED, PEOPLE)
    assert found.annotations == [READ]
    assert found.unusable == ["annotation 6 of task 8 (/good.txt) is listed twice"]


def test_predictions_and_drafts_beside_annotations_say_nothing():
    guess = {"id": 9, "model_version": "m", "result": [chosen("tech")], "score": 0.9}
    found = said([task(predictions=[guess], drafts=[annotation()]), GOOD], ASKED, PEOPLE)
    assert (found.annotations, found.unusable) == ([READ], [])


@pytest.mark.parametrize(
    ("by", "annotator"),
    [
        (1, "ann@example.test"),
        (2, "user 2"),
        ({"id": 2, "email": "bob@example.test"}, "bob@example.test"),
        ({"id": 1}, "ann@example.test"),
    ],
)
def test_whoever_said_it_is_named(by, annotator):
    (found,) = said([task(annotation(completed_by=by))], ASKED, PEOPLE).annotations
    assert found.annotator == annotator


def test_what_was_imported_without_a_change_has_the_moment_it_was_made():
    (found,) = said([task(annotation(updated_at=None, created_at=NOW))], ASKED, PEOPLE).annotations
    assert found.at == READ.at


def test_several_questions_need_one_of_our_name():
    two = [chosen("sport", from_name="topic"), chosen("tech", from_name="mood")]
    found = said([task(annotation(result=two))], Question(), PEOPLE)
    assert found.annotations == []
    assert found.unusable[0].endswith("answers mood, topic; call the question that counts label")
    (read,) = said([task(annotation(result=[*two, chosen("tech")]))], Question(), PEOPLE).annotations
    assert read.label == "tech"


@pytest.mark.parametrize(
    ("parsed", "asked"),
    [
        ({"label": {"type": "Choices", "to_name": ["text"], "labels": ["a", "b"]}}, ("label", "text", {"a", "b"})),
        ({"q": {"type": "Choices", "to_name": ["text"], "labels": ["a"]}}, ("q", "text", {"a"})),
        ({"q": {"type": "Choices"}, "label": {"type": "Choices"}}, ("label", "", set())),
        ({"q": {"type": "Choices"}, "r": {"type": "Choices"}}, ("", "", set())),
        ({"q": {"type": "Rating"}}, ("", "", set())),
        ({"label": {"type": "Choices", "to_name": "text", "labels": {"a": 1}}}, ("label", "", set())),
        ([], ("", "", set())),
        (None, ("", "", set())),
    ],
)
def test_the_question_is_found_in_whatever_a_project_says(parsed, asked):
    found = question({"parsed_label_config": parsed})
    assert (found.name, found.about, set(found.choices)) == asked


def test_people_who_are_none_are_passed_over():
    listed = [
        {"id": 1, "email": "a@example.test"},
        {"id": "2", "email": "b"},
        {"id": 3},
        {"id": 4, "email": 5},
        None,
        6,
    ]
    assert people(listed) == {1: "a@example.test"}
    assert people({"detail": "no"}) == {}
    assert question(None) == Question()
    assert key_of(None) is None


def test_a_template_is_made_of_choices():
    assert interface("text-classification", ["a < b", 'say "no"']) == (
        '<View>\n  <Text name="text" value="$text"/>\n'
        '  <Choices name="label" toName="text" choice="single" showInLine="true">\n'
        '    <Choice value="a &lt; b"/>\n    <Choice value=\'say "no"\'/>\n  </Choices>\n</View>'
    )
    assert '<Image name="image" value="$image"/>' in interface("image-classification", ["cat", "dog"])


@pytest.mark.parametrize(
    ("template", "choices", "sentence"),
    [
        ("video", ["a", "b"], f"template: found 'video', allowed: {', '.join(TEMPLATES)}"),
        ("text-classification", ["a"], "choices: found 1, allowed: two or more"),
        ("text-classification", ["a", "a"], "choices[1]: found 'a' a second time"),
        ("text-classification", ["a", ""], "choices[1]: found '', and a label says something"),
        ("text-classification", ["a ", "b"], "choices[0]: found 'a ', and a label has no blanks around it"),
        ("text-classification", ["a;b", "b"], "choices[0]: found 'a;b', and a semicolon parts several labels"),
        ("text-classification", ["a\nb", "b"], "choices[0]: found 'a\\nb', and a label has no control characters"),
    ],
)
def test_choices_that_are_none_are_refused(template, choices, sentence):
    with pytest.raises(ValueError, match="found") as refused:
        interface(template, choices)
    assert str(refused.value) == sentence
