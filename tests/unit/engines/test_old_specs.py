"""Specs as people have them: JSON, YAML, several in a file, and from Pachyderm 1.x."""

import json

import pytest

from cdl.engines.pachyderm.old_specs import read
from cdl.ports.errors import Rejected

ONE = {"pipeline": {"name": "one"}, "transform": {"cmd": ["sh"]}, "input": {"pfs": {"repo": "raw", "glob": "/*"}}}
TWO = {**ONE, "pipeline": {"name": "two"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ONE) + "\n" + json.dumps(TWO, indent=2),
        json.dumps([ONE, TWO]),
        "pipeline: {name: one}\n---\npipeline:\n  name: two\n",
        "- pipeline: {name: one}\n- pipeline: {name: two}\n",
    ],
)
def test_several_specs_in_a_file(text):
    assert [found.name for found in read(text, "f")] == ["one", "two"]


def test_a_spec_of_today_goes_in_as_it_is():
    spec = {**ONE, "datumTries": 2, "reprocess_spec": "every_job", "parallelismSpec": {"constant": 2}}
    (found,) = read(json.dumps(spec), "f")
    assert (found.spec, found.changes) == (spec, ())
    assert json.loads(found.text()) == spec


def test_a_spec_of_1_is_brought_up_to_date_and_says_so():
    atom = {"atom": {"repo": "raw", "glob": "/"}}
    old = {
        **ONE,
        "input": {"cross": [atom, {"pfs": {"repo": "b", "glob": "/"}}]},
        "standby": True,
        "enableStats": True,
        "cache_size": "64M",
        "max_queue_size": 5,
        "parallelism_spec": {"coefficient": 1.0},
    }
    (found,) = read(json.dumps(old), "f")
    assert found.spec == {
        **ONE,
        "input": {"cross": [{"pfs": {"repo": "raw", "glob": "/"}}, {"pfs": {"repo": "b", "glob": "/"}}]},
        "autoscaling": True,
        "parallelism_spec": {"constant": "1"},
    }
    assert [change.split()[0] for change in found.changes] == [
        "standby",
        "enableStats",
        "cache_size",
        "max_queue_size",
        "parallelism_spec.coefficient",
        "input.atom",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing"),
        ("[1]", "found int"),
        ("just words", "found str"),
        ('{"a": 1\n "b"}', "line 2 is not JSON"),
        ("a: [1\nb: 2", "neither JSON nor YAML"),
        ('{"input": {"git": {"URL": "x"}}}', "input.git is no longer there"),
    ],
)
def test_what_is_no_spec_is_refused_in_one_sentence(text, says):
    with pytest.raises(Rejected) as caught:
        read(text, "spec.json")
    assert (says in str(caught.value), "\n" in str(caught.value)) == (True, False), str(caught.value)
