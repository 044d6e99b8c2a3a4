"""Whatever is wrong in a document is said in one sentence: which field, what was found, what is allowed."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cdl.api.refusal import explain
from cdl.api.v1alpha1 import KINDS, DataPipeline, Experiment, ModelDeployment, Release, parse
from cdl.testing.builders import (
    deployment_document,
    experiment_document,
    pipeline_document,
    release_document,
    source_document,
)

CODE = {"archive": {"uri": "file:model"}}
STEP = {"name": "clean", "uses": "text/clean"}


def sentences(kind, document):
    with pytest.raises(ValidationError) as refusal:
        kind.read(document)
    return explain(refusal.value)


def pipeline_refused(**spec):
    return sentences(DataPipeline, pipeline_document(**spec))


def experiment_refused(**spec):
    return sentences(Experiment, experiment_document(**spec))


def deployment_refused(**spec):
    return sentences(ModelDeployment, deployment_document(**spec))


NOT_YET = [
    (
        experiment_refused,
        {"data": {"pipeline": "news", "version": "sha256:" + "0" * 64}},
        f"spec.data.version: found 'sha256:{'0' * 51}…: not available yet; leave it out",
    ),
    (experiment_refused, {"code": CODE | {"git": {"url": "x"}}}, "spec.code.git: not available yet; leave it out"),
    (
        experiment_refused,
        {"retrain": {"onDrift": True}},
        "spec.retrain.onDrift: found True: not available yet; available now: false",
    ),
    *(
        (
            deployment_refused,
            {"backend": backend},
            f"spec.backend: found '{backend}': not available yet; available now: seldon-v1, local",
        )
        for backend in ("seldon-v2", "kserve", "deployment")
    ),
    *(
        (
            deployment_refused,
            {"rollout": {"strategy": strategy}},
            f"spec.rollout.strategy: found '{strategy}': not available yet; available now: recreate, bluegreen",
        )
        for strategy in ("canary", "shadow", "abtest", "bandit")
    ),
    (
        deployment_refused,
        {"rollout": {"steps": [{"weight": 10}]}},
        "spec.rollout.steps: not available yet; leave it out",
    ),
    (
        deployment_refused,
        {"rollout": {"analysis": {"interval": "30s"}}},
        "spec.rollout.analysis: not available yet; leave it out",
    ),
    (
        deployment_refused,
        {"rollout": {"rollback": {"auto": True}}},
        "spec.rollout.rollback: not available yet; leave it out",
    ),
    (
        deployment_refused,
        {"monitoring": {"log": True}},
        "spec.monitoring.log: found True: not available yet; available now: false",
    ),
    (
        deployment_refused,
        {"monitoring": {"drift": {"every": 1}}},
        "spec.monitoring.drift: not available yet; leave it out",
    ),
    *(
        (
            deployment_refused,
            {"monitoring": {"onDrift": action}},
            f"spec.monitoring.onDrift: found '{action}': not available yet; available now: Alert",
        )
        for action in ("Retrain", "Rollback")
    ),
]


@pytest.mark.parametrize(("refused", "spec", "sentence"), NOT_YET)
def test_a_field_whose_feature_is_still_to_come_is_never_ignored(refused, spec, sentence):
    assert refused(**spec) == (sentence,)


def test_every_field_to_come_has_its_sentence_here():
    fields = {sentence.partition(":")[0].rpartition(".")[2].partition("[")[0] for _, _, sentence in NOT_YET}
    assert fields == set(not_yet_fields())


def not_yet_fields():
    """The fields of every model that are guarded by `not_yet`, by their names in a document."""
    todo, done = [kind.model_fields["spec"].annotation for kind in KINDS.values()], set()
    while todo:
        model = todo.pop()
        if model in done:
            continue
        done.add(model)
        for field in model.model_fields.values():
            if any("not_yet" in getattr(getattr(m, "func", None), "__qualname__", "") for m in field.metadata):
                yield field.alias
            todo += models_in(field.annotation)


def models_in(annotation):
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in models_in(part)]


BAD_VALUES = [
    (pipeline_refused, {"suspend": "yes"}, "spec.suspend: found 'yes', allowed: true or false"),
    (pipeline_refused, {"interval": 10}, "spec.interval: found 10, allowed: text"),
    (
        pipeline_refused,
        {"interval": "soon"},
        "spec.interval: found 'soon', allowed: text that matches ^([0-9]+(d|h|m|s))+$",
    ),
    (pipeline_refused, {"timeout": None}, "spec.timeout: found None, allowed: text"),
    (pipeline_refused, {"deletionPolicy": "Keep"}, "spec.deletionPolicy: found 'Keep', allowed: 'Delete' or 'Orphan'"),
    (pipeline_refused, {"deletion_policy": "Orphan"}, "spec.deletion_policy: unknown field"),
    (pipeline_refused, {"sources": "articles"}, "spec.sources: found 'articles', allowed: a list"),
    (pipeline_refused, {"sources": [7]}, "spec.sources[0]: found 7, allowed: a mapping"),
    (pipeline_refused, {"sources": [{"name": "a"}]}, "spec.sources[0].uri: missing, and required"),
    (
        pipeline_refused,
        {"sources": [source_document(uri="ftp://x/y")]},
        (
            "spec.sources[0].uri: found 'ftp://x/y', allowed: text that matches "
            "^(https?|file|git\\+https|git\\+file|s3|postgresql)://.+"
        ),
    ),
    (
        pipeline_refused,
        {"sources": [source_document(sha256="abc")]},
        "spec.sources[0].sha256: found 'abc', allowed: text that matches ^[0-9a-f]{64}$",
    ),
    (
        pipeline_refused,
        {"sources": [source_document(strip=-1)]},
        "spec.sources[0].strip: found -1, allowed: greater than or equal to 0",
    ),
    (
        pipeline_refused,
        {"sources": [source_document(unpack="rar")]},
        "spec.sources[0].unpack: found 'rar', allowed: 'none', 'tar', 'zip' or 'gz'",
    ),
    (
        pipeline_refused,
        {"sources": [source_document(side="dev")]},
        "spec.sources[0].side: found 'dev', allowed: 'train' or 'test'",
    ),
    (pipeline_refused, {"split": {"test": 1}}, "spec.split.test: found 1, allowed: less than 1"),
    (pipeline_refused, {"split": {"test": 0}}, "spec.split.test: found 0, allowed: greater than 0"),
    (pipeline_refused, {"split": {"by": "name"}}, "spec.split.by: found 'name', allowed: 'content'"),
    (
        pipeline_refused,
        {"split": {"stratify": "label"}},
        "spec.split.stratify: found 'label', allowed: 'parent' or 'none'",
    ),
    (pipeline_refused, {"split": None}, "spec: sources without a side need spec.split"),
    (pipeline_refused, {"steps": [STEP, STEP]}, "spec: steps: names must differ from one another"),
    (pipeline_refused, {"sources": [source_document()] * 2}, "spec: sources: names must differ from one another"),
    (
        pipeline_refused,
        {"checks": [{"name": "a", "rows": {}}] * 2},
        "spec: checks: names must differ from one another",
    ),
    (
        pipeline_refused,
        {"steps": [{"name": "Clean", "uses": "text/clean"}]},
        "spec.steps[0].name: found 'Clean', allowed: text that matches ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    ),
    (
        pipeline_refused,
        {"steps": [{"name": "a"}]},
        "spec.steps[0]: give either uses (a built-in program) or cmd (with image), not both and not neither",
    ),
    (
        pipeline_refused,
        {"steps": [STEP | {"cmd": ["x"]}]},
        "spec.steps[0]: give either uses (a built-in program) or cmd (with image), not both and not neither",
    ),
    (
        pipeline_refused,
        {"steps": [STEP | {"parallelism": 1.5}]},
        "spec.steps[0].parallelism: found 1.5, allowed: a whole number",
    ),
    (
        pipeline_refused,
        {"steps": [STEP | {"resources": {"memory": "lots"}}]},
        (
            "spec.steps[0].resources.memory: found 'lots', "
            "allowed: text that matches ^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|K|M|G)?$"
        ),
    ),
    (
        pipeline_refused,
        {"checks": [{"name": "short"}]},
        (
            "spec.checks[0]: "
            "a check needs a rule: type, range, minLength, maxLength, oneOf, notNull, regex, encoding, "
            "extension, image, unique, rows, rejected, duplicates or schema"
        ),
    ),
    (
        pipeline_refused,
        {"checks": [{"name": "short", "field": "text", "minLength": 3}]},
        "spec: checks on items need a step with `uses: checks`",
    ),
    (
        pipeline_refused,
        {"checks": [{"name": "short", "rows": {"min": 1}, "onFail": "stop"}]},
        "spec.checks[0].onFail: found 'stop', allowed: 'reject', 'fail' or 'warn'",
    ),
    (
        experiment_refused,
        {"data": {}},
        "spec.data: data.pipeline is required: the name of a DataPipeline in the same namespace",
    ),
    (
        experiment_refused,
        {"code": {}},
        "spec.code: code.archive is required: the folder or archive that holds the training code",
    ),
    (
        experiment_refused,
        {"code": CODE | {"serve": {"uri": "file:serve", "entrypoint": "serve.py"}}},
        "spec.code.serve.entrypoint: found 'serve.py', allowed: text that matches ^[A-Za-z_][\\w.]*:[A-Za-z_]\\w*$",
    ),
    (experiment_refused, {"config": "const.yaml"}, "spec.config: found 'const.yaml', allowed: a mapping"),
    (experiment_refused, {"config": {"lr": float("nan")}}, "spec.config: holds NaN or Infinity, which JSON cannot say"),
    (
        experiment_refused,
        {"config": {"name": "\ud800"}},
        "the document: holds half a character (a lone surrogate), which UTF-8 cannot say",
    ),
    (
        experiment_refused,
        {"evaluation": {"gates": [{"metric": "accuracy"}]}},
        "spec.evaluation.gates[0]: a gate needs min or max, or against: production",
    ),
    (
        experiment_refused,
        {"evaluation": {"gates": [{"metric": "accuracy", "against": "staging"}]}},
        "spec.evaluation.gates[0].against: found 'staging', allowed: 'production'",
    ),
    (
        experiment_refused,
        {"evaluation": {"gates": [{"metric": "accuracy", "against": "production", "maxDrop": -0.005}]}},
        "spec.evaluation.gates[0].maxDrop: found -0.005, allowed: greater than or equal to 0",
    ),
    (
        experiment_refused,
        {"evaluation": {"gates": [{"metric": "", "min": 0}]}},
        "spec.evaluation.gates[0].metric: found '', allowed: at least 1 character",
    ),
    (
        experiment_refused,
        {"evaluation": {"gates": [{"metric": "accuracy", "min": float("inf")}]}},
        "spec.evaluation.gates[0].min: found inf, allowed: a finite number",
    ),
    (
        experiment_refused,
        {"model": {"name": "n" * 33}},
        f"spec.model.name: found '{'n' * 33}', allowed: at most 32 characters",
    ),
    (experiment_refused, {"budget": {"maxSlotHours": 0}}, "spec.budget.maxSlotHours: found 0, allowed: greater than 0"),
    (
        deployment_refused,
        {"model": {"name": "news", "policy": "Pinned"}},
        "spec.model: version goes with policy: Pinned, and policy: Pinned needs a version",
    ),
    (
        deployment_refused,
        {"model": {"name": "news", "version": 1}},
        "spec.model: version goes with policy: Pinned, and policy: Pinned needs a version",
    ),
    (
        deployment_refused,
        {"model": {"name": "news", "policy": "Newest"}},
        "spec.model.policy: found 'Newest', allowed: 'LatestApproved' or 'Pinned'",
    ),
    (
        deployment_refused,
        {"predictor": {"replicas": 0}},
        "spec.predictor.replicas: found 0, allowed: greater than or equal to 1",
    ),
    (
        deployment_refused,
        {"predictor": {"protocols": ["grpc"]}},
        "spec.predictor.protocols[0]: found 'grpc', allowed: 'v2' or 'seldon'",
    ),
    (deployment_refused, {"surprise": 1}, "spec.surprise: unknown field"),
    (deployment_refused, {"predictor": {"replica": 1}}, "spec.predictor.replica: unknown field"),
]


@pytest.mark.parametrize(("refused", "spec", "sentence"), BAD_VALUES)
def test_a_bad_value_is_refused_in_one_sentence(refused, spec, sentence):
    assert refused(**spec) == (sentence,)


def test_every_fault_of_a_document_is_named():
    assert set(pipeline_refused(suspend=1, surprise=2, interval=3)) == {
        "spec.suspend: found 1, allowed: true or false",
        "spec.surprise: unknown field",
        "spec.interval: found 3, allowed: text",
    }


def test_a_long_value_is_shortened():
    (sentence,) = pipeline_refused(deletionPolicy="x" * 500)
    assert len(sentence) < 140
    assert "…" in sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.pop("spec"), "spec: missing, and required"),
        (lambda d: d.pop("metadata"), "metadata: missing, and required"),
        (lambda d: d.update(spec=[]), "spec: found a list, allowed: a mapping"),
        (lambda d: d.update(surprise=1), "surprise: unknown field"),
        (
            lambda d: d.update(apiVersion="cdl.dev/v2"),
            "apiVersion: found 'cdl.dev/v2', allowed: text that matches ^cdl.dev/v1alpha1$",
        ),
        (
            lambda d: d["metadata"].update(name="No Name"),
            "metadata.name: found 'No Name', allowed: text that matches ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        ),
        (lambda d: d["metadata"].update(name=2026), "metadata.name: found 2026, allowed: text"),
        (lambda d: d["metadata"].update(labels={"a": 1}), "metadata.labels.a: found 1, allowed: text"),
    ],
)
def test_the_frame_of_a_document_is_checked_too(change, sentence):
    document = pipeline_document()
    change(document)
    assert sentences(DataPipeline, document) == (sentence,)


def test_a_document_that_is_no_mapping_is_named_as_such():
    assert sentences(DataPipeline, ["x"]) == ("the document: found a list, allowed: a mapping",)


@pytest.mark.parametrize("document", [{"kind": "Pipeline"}, {"kind": None}, {"kind": ["Experiment"]}, {}])
def test_an_unknown_kind_is_refused_with_those_there_are(document):
    with pytest.raises(ValueError, match="allowed: DataPipeline, Experiment, ModelDeployment, Release") as refusal:
        parse(document, KINDS)
    assert str(refusal.value).startswith(f"kind: found {document.get('kind')!r}")


def test_a_release_that_was_tampered_with_is_refused():
    document = release_document(git={"commit": "a"})
    document["spec"]["members"]["git"] = {"commit": "b"}
    (sentence,) = sentences(Release, document)
    assert sentence.startswith("spec: digest: found sha256:")
    assert "but the members hash to sha256:" in sentence


@pytest.mark.parametrize("change", [lambda m: m.pop("git"), lambda m: m.update(more=1)])
def test_a_release_has_exactly_its_members(change):
    document = release_document()
    change(document["spec"]["members"])
    (sentence,) = sentences(Release, document)
    assert sentence.startswith("spec: members: found [")
