"""A raw pipeline that cannot run is refused before it is sent: one sentence, with the field."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cdl.api.refusal import explain
from cdl.api.v1alpha1 import DataPipeline
from cdl.reconcile.datapipeline import raw_wishes
from cdl.testing.builders import pipeline_document

GOOD = {
    "pipeline": {"name": "word-count"},
    "transform": {"image": "python:3.11", "cmd": ["wc"]},
    "input": {"pfs": {"repo": "news-train", "glob": "/*"}},
}


def refused(*specs):
    with pytest.raises(ValidationError) as refusal:
        DataPipeline.read(pipeline_document(pachyderm=list(specs)))
    return explain(refusal.value)


def without(field):
    return {key: value for key, value in GOOD.items() if key != field}


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        ([without("transform")], "spec.pachyderm[0].transform: missing, and required"),
        ([GOOD | {"transfrom": {}}], "spec.pachyderm[0].transfrom: unknown field; it is called transform"),
        (
            [GOOD | {"parallelismSpecs": {}}],
            "spec.pachyderm[0].parallelismSpecs: unknown field; it is called parallelism_spec",
        ),
        ([GOOD | {"transform": "wc"}], "spec.pachyderm[0].transform: allowed: a mapping"),
        (
            [GOOD | {"pipeline": {"name": "-x"}}],
            "spec.pachyderm[0].pipeline.name: found '-x'; allowed: up to 51 letters, digits, _ and -, no sign first",
        ),
        (
            [GOOD | {"pipeline": {}}],
            "spec.pachyderm[0].pipeline.name: missing; allowed: up to 51 letters, digits, _ and -, no sign first",
        ),
        (
            [GOOD | {"spout": {}}],
            "spec.pachyderm[0].spout: not taken here: it has no jobs, so it never gets ready",
        ),
        (
            [GOOD | {"dryRun": True}],
            "spec.pachyderm[0].dryRun: not taken here: leave it out; `cdl plan` says what would happen",
        ),
        ([GOOD | {"input": {"pfs": {}}}], "spec.pachyderm[0].input.pfs.repo: missing, and required"),
        (
            [GOOD | {"input": {}}],
            "spec.pachyderm[0].input: found 0 inputs, allowed: one of pfs, cron, cross, union, join, group",
        ),
        (
            [GOOD, GOOD | {"pipeline": {"name": "x"}, "input": {"cross": [GOOD["input"], {"pfs": {"glob": "/"}}]}}],
            "spec.pachyderm[1].input.cross[1].pfs.repo: missing, and required",
        ),
        ([GOOD, GOOD], "spec: pachyderm: names of pipelines must differ from one another"),
        (
            [GOOD | {"input": {"pfs": {"repo": "word-count", "glob": "/"}}}],
            "spec: pachyderm: word-count reads itself",
        ),
        (
            [GOOD | {"pipeline": {"name": "news-test"}}],
            "spec.pachyderm[0].pipeline.name: found 'news-test', a repository or step of this DataPipeline",
        ),
        (
            [GOOD | {"pipeline": {"name": "news-clean-test"}}],
            "spec.pachyderm[0].pipeline.name: found 'news-clean-test', a repository or step of this DataPipeline",
        ),
        (
            [GOOD | {"pipeline": {"name": "x", "project": {"name": "other"}}}],
            "spec.pachyderm[0].pipeline.project: found 'other', allowed: the namespace of the DataPipeline, default",
        ),
    ],
)
def test_a_wrong_one_is_refused_with_its_field(specs, sentence):
    assert [each.removeprefix("the document") for each in refused(*specs)] == [sentence]


def test_both_cases_and_both_ages_are_taken_and_readers_come_last():
    reader = GOOD | {"pipeline": {"name": "a"}, "input": {"pfs": {"repo": "word-count", "glob": "/"}}}
    old = GOOD | {"standby": True, "parallelismSpec": {"constant": "2"}, "resource_requests": {}, "datumTries": 1}
    resource = DataPipeline.read(pipeline_document(pachyderm=[reader, old]))
    wishes = raw_wishes(resource.spec)
    assert [w.name for w in wishes] == ["word-count", "a"]
    assert wishes[0].spec == old
