"""Label rows, as folders and tables say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.v1alpha1.datapipeline import Column
from cdl.reconcile.datapipeline import LabelRow, UnusableLabelsError, in_folders, in_tables, matching

COLUMN = Column()
GOOD = b"id,text,label\n2,a phone,tech\n1,a goal,sport\n"


def rows(*tables, column=COLUMN):
    return [(row.item, row.label) for row in in_tables(tables, column)]


def refusal(*tables, column=COLUMN):
    with pytest.raises(UnusableLabelsError) as error:
        in_tables(tables, column)
    return str(error.value)


def test_folders_label_what_lies_in_them():
    assert in_folders(["/a/b/1.txt", "/top.txt"]) == (LabelRow("/a/b/1.txt", "b"),)


def test_rows_are_ordered_by_item_wherever_they_stand():
    assert rows(("/a.csv", GOOD)) == [("1", "sport"), ("2", "tech")]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/a.tsv", b"id\tlabel\n1\tsport\n2\t tech \n"),
        ("/a.jsonl", b'{"id": 1, "label": "sport"}\n{"label": "tech", "id": "2", "more": [1]}\n'),
        ("/A.NDJSON", b'{"id": 1, "label": "sport"}\n\n{"label": "tech", "id": "2"}\n'),
        ("/bom.csv", b'\xef\xbb\xbfid,label\r\n1,"sport"\r\n2,tech\r\n'),
    ],
)
def test_every_kind_of_table_says_the_same(path, content):
    assert rows((path, content)) == [("1", "sport"), ("2", "tech")]


def test_other_names_and_other_values_are_read():
    column = Column(id="path", label="is_spam")
    assert rows(("/a.jsonl", b'{"path": "/x.txt", "is_spam": true}\n'), column=column) == [("/x.txt", "true")]


def test_the_same_said_twice_is_said_once():
    assert rows(("/a.csv", GOOD), ("/b.csv", b"id,label\n1,sport\n")) == [("1", "sport"), ("2", "tech")]


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ([], "labels.column.files: found '*.csv': there is no such file"),
        ([("/a.csv", b"id,label\n")], "labels.column.files: found '*.csv': the tables have no rows"),
        ([("/a.csv", b"")], "labels.column.files: found '*.csv': the tables have no rows"),
        (
            [("/a.csv", GOOD), ("/b.csv", b"id,label\n1,tech\n")],
            "/b.csv row 1: item '1' has the label 'tech', and 'sport' in /a.csv row 2",
        ),
        (
            [("/a.csv", b"id,class\n1,x\n")],
            "/a.csv: has no column 'label', which labels.column.label names; columns: 'id', 'class'",
        ),
        (
            [("/a.csv", b"no,label\n1,x\n")],
            "/a.csv: has no column 'id', which labels.column.id names; columns: 'no', 'label'",
        ),
        ([("/a.csv", b"id,label\n1, \n")], "/a.csv row 1: item '1' has no label: column 'label' is empty"),
        (
            [("/a.csv", b"id,label\n,tech\n")],
            "/a.csv row 1: column 'id' is empty, so nobody knows which item its label is of",
        ),
        ([("/a.csv", b"id,label\n1\n")], "/a.csv: line 2: 1 cells, the heading has 2"),
        ([("/a.csv", b"id,label\n\xff,x\n")], "/a.csv: holds bytes at 9 that are no UTF-8"),
        (
            [("/a.txt", b"id,label\n")],
            "/a.txt: matches labels.column.files and is no table, allowed: .csv, .tsv, .jsonl, .ndjson",
        ),
        ([("/a.jsonl", b'{"id": 1, "label": [1]}')], "/a.jsonl row 1: column 'label' holds a list, not one value"),
        (
            [("/a.jsonl", b'{"id": "\\ud800", "label": "x"}')],
            "/a.jsonl row 1: column 'id' holds '\\ud800', with characters that are no text",
        ),
        (
            [("/a.jsonl", b'{"id": 1, "label": "a\\u0000b"}')],
            "/a.jsonl row 1: column 'label' holds 'a\\x00b', with characters that are no text",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(tables, sentence):
    assert refusal(*tables) == sentence


def test_patterns_are_about_the_path_or_its_last_part():
    paths = ["/b/labels.csv", "/a/labels.csv", "/labels.tsv"]
    assert matching(paths, "*.csv") == ["/a/labels.csv", "/b/labels.csv"]
    assert matching(paths, "b/*") == ["/b/labels.csv"]


@given(st.binary(max_size=200), st.sampled_from(["/x.csv", "/x.tsv", "/x.jsonl", "/x.txt"]))
def test_whatever_lies_there_is_read_or_refused(content, path):
    said = []
    try:
        found = in_tables([(path, b"id,label\n" + content)], COLUMN)
    except UnusableLabelsError as error:
        found, said = (), str(error).split("\n")
    assert all(row.item and row.label for row in found)
    assert len(found) > 0 or len(said) == 1
