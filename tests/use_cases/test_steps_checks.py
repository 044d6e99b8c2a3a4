"""checks: what a DataPipeline asks of its files is what the output holds."""

import json

import pytest

LONG = b"a text that is long enough to be one\n"


def checked(run_step, files, *checks):
    return run_step("checks", files, CDL_CHECKS=json.dumps(checks))


@pytest.mark.parametrize(
    ("check", "refused"),
    [
        ({"field": "text", "minLength": 20}, "tech/short.txt"),
        ({"field": "text", "maxLength": 20}, "tech/long.txt"),
        ({"field": "label", "oneOf": ["tech"]}, "sport/short2.txt"),
        ({"field": "file", "extension": [".txt"]}, "tech/notes.TXT"),
        ({"field": "file", "extension": "txt"}, "tech/notes.TXT"),
        ({"field": "file", "regex": "[a-z]+/[a-z0-9]+[.]txt"}, "tech/notes.TXT"),
        ({"notNull": ["text"]}, "tech/empty.txt"),
        ({"notNull": ["label"]}, "top.txt"),
    ],
)
def test_a_check_refuses_exactly_the_files_that_break_it(run_step, check, refused):
    files = {"tech/ok.txt": b"twenty characters ok"}
    files[refused] = {"tech/short.txt": b"hi", "tech/long.txt": LONG, "tech/empty.txt": b" \n "}.get(
        refused, b"twenty characters ok"
    )
    outcome = checked(run_step, files, {"name": "rule", **check, "onFail": "reject"})
    assert outcome.status == 0
    assert list(outcome.files) == ["tech/ok.txt"]
    assert outcome.report["rejected"] == {"rule": 1}
    assert outcome.report["examples"][0]["path"] == f"/{refused}"


def test_a_file_is_counted_under_the_first_check_it_breaks(run_step):
    outcome = checked(
        run_step,
        {"README.TXT": b"hi", "tech/1.txt": LONG, "tech/2.txt": b"hi"},
        {"name": "text-file", "field": "file", "extension": [".txt"]},
        {"name": "enough-text", "field": "text", "minLength": 20},
    )
    assert outcome.report["rejected"] == {"text-file": 1, "enough-text": 1}
    assert outcome.report["accepted"] == 1
    assert outcome.report["labels"] == {"rows": 1}
    assert outcome.files == {"tech/1.txt": LONG}


def test_a_failing_check_stops_the_job_in_one_sentence(run_step):
    rule = {"name": "known-label", "field": "label", "oneOf": ["sport", "tech"], "onFail": "fail"}
    outcome = checked(run_step, {"cooking/1.txt": LONG}, rule)
    assert outcome.status == 1
    assert outcome.stderr == 'cooking/1.txt: check known-label found label "cooking", allowed is one of sport, tech\n'
    assert not outcome.files


def test_a_warning_lets_the_file_through(run_step):
    outcome = checked(
        run_step, {"tech/1.txt": b"hi"}, {"name": "short", "field": "text", "minLength": 9, "onFail": "warn"}
    )
    assert outcome.files == {"tech/1.txt": b"hi"}
    assert outcome.report["warned"] == {"short": 1}
    assert outcome.report["rejected"] == {}


def test_checks_on_the_whole_dataset_are_left_to_the_operator(run_step):
    outcome = checked(run_step, {"tech/1.txt": LONG}, {"name": "rows", "rows": {"min": 99}, "onFail": "fail"})
    assert outcome.status == 0
    assert outcome.report["accepted"] == 1


def test_what_a_check_leaves_open_asks_for_nothing(run_step):
    rule = {"name": "short", "field": "text", "minLength": 9, "maxLength": None, "notNull": None, "rows": None}
    outcome = checked(run_step, {"tech/1.txt": b"hi", "tech/2.txt": LONG}, rule)
    assert outcome.report["rejected"] == {"short": 1}
    assert list(outcome.files) == ["tech/2.txt"]


def test_counts_stay_complete_when_the_examples_do_not(run_step):
    files = {f"tech/{number}.txt": b"hi" for number in range(30)}
    report = checked(run_step, files, {"name": "short", "field": "text", "minLength": 9}).report
    assert report["rejected"] == {"short": 30}
    assert len(report["examples"]) == 20


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        (None, "CDL_CHECKS is not set"),
        ("{", "CDL_CHECKS is no JSON"),
        ("{}", "CDL_CHECKS must be a JSON list"),
        ('[{"name": "x", "minLenght": 3}]', "check x: unknown word minLenght"),
        ('[{"name": "x", "field": "txt", "minLength": 3}]', "check x: field txt is unknown here"),
        ('[{"name": "x", "field": "text", "minLength": 3, "onFail": "explode"}]', "onFail is explode"),
        ('[{"name": "x", "field": "text", "minLength": "3"}]', "minLength is '3'"),
        ('[{"name": "x", "field": "text", "regex": "("}]', "regex '(' cannot be compiled"),
    ],
)
def test_a_wrong_wish_is_answered_in_one_sentence(run_step, checks, sentence):
    outcome = run_step("checks", {"tech/1.txt": LONG}, **({} if checks is None else {"CDL_CHECKS": checks}))
    assert outcome.status == 1
    assert sentence in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not outcome.files
