"""What is allowed and probably not meant is said, and nothing else is."""

from __future__ import annotations

import pytest

from cdl.api.doubts import doubts
from cdl.api.v1alpha1 import KINDS
from cdl.testing.builders import (
    A_SHA,
    deployment_document,
    experiment_document,
    pipeline_document,
    release_document,
    source_document,
)

SURE = pipeline_document(sources=[source_document(sha256=A_SHA)])
CODE = {"archive": {"uri": "https://example.test/model.tar.gz", "sha256": A_SHA}}


@pytest.mark.parametrize("document", [SURE, experiment_document(), deployment_document(), release_document()])
def test_what_is_meant_is_not_doubted(document):
    assert doubts(KINDS[document["kind"]].read(document)) == ()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            pipeline_document(),
            "spec.sources[0]: without sha256, whatever is fetched is taken for the data",
        ),
        (
            pipeline_document(sources=[source_document(sha256=A_SHA)], schedule="@daily"),
            "spec.schedule: nothing can change, because every source is pinned by its sha256 or its git commit",
        ),
        (
            pipeline_document(sources=[], schedule="@daily"),
            "spec.schedule: not used, because there are no sources to fetch again",
        ),
        (
            pipeline_document(sources=[source_document(sha256=A_SHA, side="test")]),
            "spec.split: not used, because every source names its side",
        ),
        (
            pipeline_document(sources=[], interval="9s"),
            "spec.interval: 9s asks the engines very often, and changes are noticed without it",
        ),
        (
            experiment_document(evaluation={}),
            "spec.evaluation.gates: there are none, so whatever is trained is released and approved unseen",
        ),
        (
            experiment_document(evaluation={}, approval={"policy": "Manual"}),
            "spec.evaluation.gates: there are none, so whatever is trained is released, however bad it is",
        ),
        (
            experiment_document(evaluation={"gates": [{"metric": "f1", "min": 2, "max": 1}]}),
            "spec.evaluation.gates[0]: min 2.0 is greater than max 1.0, so nothing can pass",
        ),
        (
            experiment_document(code=CODE),
            "spec.code.serve: without it a Release has nothing that answers predictions",
        ),
        (
            deployment_document(predictor={"protocols": []}),
            "spec.predictor.protocols: empty, so no client can speak to it",
        ),
        (
            deployment_document(predictor={"replicas": 2}, rollout={"strategy": "recreate"}),
            "spec.rollout.strategy: recreate stops all replicas before the new ones start",
        ),
    ],
)
def test_what_is_probably_not_meant_is_said(document, sentence):
    assert doubts(KINDS[document["kind"]].read(document)) == (sentence,)


def test_an_annotation_that_is_nearly_right_is_named():
    document = deployment_document()
    document["metadata"]["annotations"] = {"cdl.dev/requestAt": "now", "cdl.dev/dataset": "news"}
    (sentence,) = doubts(KINDS["ModelDeployment"].read(document))
    assert sentence == "metadata.annotations: nobody reads cdl.dev/requestAt; it is called cdl.dev/requestedAt"
