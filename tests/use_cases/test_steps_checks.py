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


def test_a_table_keeps_the_rows_that_pass_and_counts_rows(run_step):
    files = {
        "t/a.csv": b"price,name\n1,x\n-2,y\n,z\n1,w\n",
        "t/b.jsonl": b'{"price": 3, "name": "x"}\n{"name": "q"}\n',
        "t/c.txt": LONG,
    }
    outcome = checked(
        run_step,
        files,
        {"name": "priced", "notNull": ["columns.price"]},
        {"name": "number", "field": "columns.price", "type": "number", "range": {"min": 0}},
        {"name": "once", "field": "columns.name", "unique": True, "onFail": "warn"},
    )
    assert outcome.files == {
        "t/a.csv": b"price,name\n1,x\n1,w\n",
        "t/b.jsonl": b'{"price": 3, "name": "x"}\n',
        "t/c.txt": LONG,
    }
    report = outcome.report
    assert (report["accepted"], report["items"]) == (4, 4)
    assert report["rejected"] == {"number": 1, "priced": 2}
    assert report["warned"] == {"once": 1}
    assert {"path": "/t/a.csv row 2", "reason": "number", "found": 'price "-2"'} in report["examples"]
    assert report["fields"]["columns.price"]["types"] == {"integer": 3}


def test_a_table_that_passes_whole_keeps_its_bytes(run_step):
    table = b'a,b\r\n"1",2\r\n'
    outcome = checked(run_step, {"t.csv": table}, {"name": "n", "field": "columns.a", "type": "integer"})
    assert outcome.files == {"t.csv": table}


def test_a_missing_column_is_told(run_step):
    rule = {"name": "n", "field": "columns.prize", "type": "integer"}
    missing = checked(run_step, {"t.csv": b"price\n1\n"}, rule)
    assert missing.report["rejected"] == {"n": 1}
    assert missing.report["examples"][0]["found"] == "prize no such field"


def test_a_ragged_table_stops_the_job(run_step):
    ragged = checked(run_step, {"t.csv": b"a,b\n1\n"}, {"name": "n", "field": "columns.a", "type": "integer"})
    assert ragged.stderr == "t.csv: line 2: 1 cells, the heading has 2\n"


def test_pictures_and_encodings_are_checked_by_their_bytes(run_step):
    # how a grey PNG of 2 x 1 pixels begins
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x00\x00\x00\x00"
    files = {"a/1.png": head, "a/2.png": b"broken", "a/3.txt": b"caf\xe9", "a/4.txt": "caf\u00e9".encode()}
    pictures = checked(run_step, files, {"name": "grey", "image": {"mode": ["L"], "width": {"max": 2}}})
    assert list(pictures.files) == ["a/1.png"]
    assert pictures.report["fields"]["image"]["values"] == {"2x1 L": 1}


def test_an_encoding_is_about_the_bytes_also_where_the_field_is_the_text(run_step):
    rule = {"name": "utf8", "field": "text", "encoding": "utf-8", "minLength": 1}
    outcome = checked(run_step, {"3.txt": b"caf\xe9", "4.txt": "caf\u00e9".encode()}, rule)
    assert list(outcome.files) == ["4.txt"]
    assert outcome.report["examples"][0]["found"] == "byte 0xe9 at 3"


def test_fingerprints_are_taken_where_a_check_asks_for_them(run_step):
    files = {"a/1.txt": LONG, "a/2.png": b"x"}
    prints = checked(run_step, files, {"name": "leak", "duplicates": {"near": 0.8}}).report["prints"]
    assert sorted(prints) == ["/a/1.txt", "/a/2.png"]
    assert len(prints["/a/2.png"]) == 16 < len(prints["/a/1.txt"])


def test_no_fingerprints_are_taken_where_nobody_asks(run_step):
    assert "prints" not in checked(run_step, {"a/1.txt": LONG}).report


def test_the_report_is_a_page_too_and_nothing_in_it_is_code(run_step):
    outcome = checked(run_step, {"a/<script>.txt": b"hi"}, {"name": "short", "field": "text", "minLength": 9})
    page = (outcome.out / "_reports" / "d1.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "/a/&lt;script&gt;.txt" in page
    assert [word for word in ("<script", "http:", "https:", "src=", "@import") if word in page] == []
