"""Documents that keep or break each rule: models, CEL in Python, admission and a current API server must agree.

A row: a name, the document's kind, its spec, where it is refused, and the rule's sentence; an empty one is accepted.
"""

from __future__ import annotations

from copy import deepcopy

from cdl.testing.builders import (
    deployment_document,
    experiment_document,
    pipeline_document,
    release_document,
    source_document,
)

STEP = "give either uses (a built-in program) or cmd (with image), not both and not neither"
CHECK = (
    "a check needs a rule: type, range, minLength, maxLength, oneOf, notNull, regex, encoding, extension, image, "
    "unique, rows, rejected, duplicates or schema"
)
SIDES = "sources without a side need spec.split"
ITEMS = "checks on items need a step with `uses: checks`"
DATA = "data.pipeline is required: the name of a DataPipeline in the same namespace"
CODE = "code.archive is required: the folder or archive that holds the training code"
GATE = "a gate needs min or max, or against: production"
PINNED = "version goes with policy: Pinned, and policy: Pinned needs a version"
PEOPLE = (
    "labelStudio goes with from: labelStudio, and from: labelStudio needs labelStudio: {template, choices} or {config}"
)
EITHER = "labelStudio needs either template and choices, or config"
ASKED = {"template": "text-classification", "choices": ["sport", "tech"]}
COLUMN = "column goes with from: column, and from: column needs column: {files, id, label}"
START = "from goes with policy: weights or freeze, and both need it"
STAY = "freeze goes with policy: freeze, which needs the names of the layers that stay as they are"
ONE = "give either release (NAME@N, or NAME for the newest approved one) or checkpoint, not both and not neither"
BASE = {"release": "base@3"}
LEAVE = "not available yet; leave it out"
RENAMED = "cannot change: Releases carry it; make another Experiment for another model"
RELEASED = "a Release never changes: what is different is another Release"

ARCHIVE = {"archive": {"uri": "https://example.test/model.tar.gz"}}
SHORT = {"name": "short", "field": "text", "minLength": 3}
CHECKS = {"name": "checked", "uses": "checks"}
RAW = {"pipeline": {"name": "x"}, "transform": {"cmd": ["wc"]}, "input": {"pfs": {"repo": "news-train", "glob": "/"}}}


def pipeline(path, message, **spec):
    return pipeline_document(**spec), path, message


def experiment(path, message, **spec):
    return experiment_document(**spec), path, message


def deployment(path, message, **spec):
    return deployment_document(**spec), path, message


EXAMPLES = {
    "pipeline": pipeline("", ""),
    "pipeline without anything": (pipeline_document() | {"spec": {}}, "", ""),
    "step without a program": pipeline("spec.steps[0]", STEP, steps=[{"name": "a"}]),
    "step with two programs": pipeline("spec.steps[0]", STEP, steps=[{"name": "a", "uses": "checks", "cmd": ["x"]}]),
    "second step without a program": pipeline("spec.steps[1]", STEP, steps=[CHECKS, {"name": "a", "cmd": []}]),
    "step of nothing but null": pipeline("spec.steps[0]", STEP, steps=[{"name": "a", "uses": None}]),
    "step with a command and a null": pipeline("", "", steps=[{"name": "a", "uses": None, "cmd": ["x"]}]),
    "check without a rule": pipeline("spec.checks[0]", CHECK, checks=[{"name": "a"}], steps=[CHECKS]),
    "check with a null": pipeline("spec.checks[0]", CHECK, checks=[{"name": "a", "regex": None}], steps=[CHECKS]),
    "check with each rule": pipeline(
        "",
        "",
        steps=[CHECKS],
        checks=[
            {"name": "a", "field": "text", "minLength": 0},
            {"name": "b", "field": "text", "maxLength": 1},
            {"name": "c", "field": "label", "oneOf": []},
            {"name": "d", "notNull": ["x"]},
            {"name": "e", "field": "text", "regex": ""},
            {"name": "f", "extension": [".txt"]},
            {"name": "g", "rows": {}},
            {"name": "h", "rejected": {"maxFraction": 0}},
            {"name": "i", "field": "columns.x", "type": "integer"},
            {"name": "j", "field": "columns.x", "range": {"min": 0.5}},
            {"name": "k", "encoding": "utf-8"},
            {"name": "l", "image": {"mode": ["L"], "width": {"max": 28}}},
            {"name": "m", "field": "text", "unique": True},
            {"name": "n", "duplicates": {"near": 0.8}},
            {"name": "o", "schema": "same"},
        ],
    ),
    "source without side or split": pipeline("spec", SIDES, split=None),
    "one source of two without a side": pipeline(
        "spec", SIDES, split=None, sources=[source_document(side="test"), source_document("b")]
    ),
    "sources with sides": pipeline("", "", split=None, sources=[source_document(side="test")]),
    "no sources, no split": pipeline("", "", split=None, sources=[]),
    "items checked by nobody": pipeline("spec", ITEMS, checks=[SHORT]),
    "items and rows checked by nobody": pipeline("spec", ITEMS, checks=[{"name": "a", "rows": {}}, SHORT]),
    "items checked by nobody, with a null": pipeline("spec", ITEMS, checks=[SHORT | {"rows": None}]),
    "items checked": pipeline("", "", checks=[SHORT], steps=[CHECKS]),
    "rows need no step": pipeline("", "", checks=[{"name": "a", "rows": {"min": 1}}], steps=[]),
    "schedule": pipeline("", "", schedule="@daily"),
    "a pipeline as Pachyderm has it": pipeline("", "", pachyderm=[RAW]),
    "labels from a column": pipeline("", "", labels={"from": "column", "column": {"files": "*.tsv"}}),
    "labels from a column of the usual name": pipeline("", "", labels={"from": "column", "column": {}}),
    "labels from no column": pipeline("spec.labels", COLUMN, labels={"from": "column"}),
    "labels from folders and a column": pipeline("spec.labels", COLUMN, labels={"column": {}}),
    "labels from Label Studio": pipeline("", "", labels={"from": "labelStudio", "labelStudio": ASKED}),
    "labels from an interface of one's own": pipeline(
        "", "", labels={"from": "labelStudio", "labelStudio": {"config": "<View/>"}}
    ),
    "labels from people who are asked nothing": pipeline("spec.labels", PEOPLE, labels={"from": "labelStudio"}),
    "labels from folders and from people": pipeline("spec.labels", PEOPLE, labels={"labelStudio": ASKED}),
    "people who are asked two things": pipeline(
        "spec.labels.labelStudio", EITHER, labels={"from": "labelStudio", "labelStudio": {**ASKED, "config": "<View/>"}}
    ),
    "people who have nothing to choose from": pipeline(
        "spec.labels.labelStudio",
        EITHER,
        labels={"from": "labelStudio", "labelStudio": {"template": "text-classification"}},
    ),
    "labels from files": pipeline("", "", labels={"from": "file"}),
    "experiment": experiment("", ""),
    "experiment of no data": experiment("spec.data", DATA, data={}),
    "experiment of null data": experiment("spec.data", DATA, data={"pipeline": None}),
    "one dataset version": experiment(
        "spec.data.version", LEAVE, data={"pipeline": "news", "version": "sha256:" + "0" * 64}
    ),
    "no dataset version": experiment("", "", data={"pipeline": "news", "version": None}),
    "experiment without code": experiment("spec.code", CODE, code={}),
    "experiment with code": experiment("", "", code=ARCHIVE),
    "gate without a bound": experiment(
        "spec.evaluation.gates[0]", GATE, evaluation={"gates": [{"metric": "accuracy", "min": None}]}
    ),
    "second gate without a bound": experiment(
        "spec.evaluation.gates[1]", GATE, evaluation={"gates": [{"metric": "loss", "max": 1}, {"metric": "accuracy"}]}
    ),
    "gate with two bounds": experiment("", "", evaluation={"gates": [{"metric": "accuracy", "min": 0, "max": 1}]}),
    "gate against production": experiment(
        "", "", evaluation={"gates": [{"metric": "accuracy", "against": "production", "maxDrop": 0.005}]}
    ),
    "gate against production and a bound": experiment(
        "spec.evaluation.gates[0]",
        GATE,
        evaluation={"gates": [{"metric": "accuracy", "min": 0, "against": "production"}]},
    ),
    "gate with a drop from nothing": experiment(
        "spec.evaluation.gates[0]",
        "maxDrop goes with against: production",
        evaluation={"gates": [{"metric": "accuracy", "min": 0, "maxDrop": 0.005}]},
    ),
    "gate of a class": experiment(
        "", "", evaluation={"gates": [{"metric": "recall", "class": "sport", "min": 0.9, "group": ""}]}
    ),
    "gate of a class and a group": experiment(
        "spec.evaluation.gates[0]",
        "a gate is about a class or a group, not both",
        evaluation={"gates": [{"metric": "recall", "class": "sport", "group": "light=day", "min": 0.9}]},
    ),
    "warm start": experiment("", "", warmStart={"policy": "weights", "from": BASE}),
    "warm start from a checkpoint": experiment(
        "", "", warmStart={"policy": "weights", "from": {"checkpoint": "01234567-89ab-cdef-0123-456789abcdef"}}
    ),
    "warm start with frozen layers": experiment(
        "", "", warmStart={"policy": "freeze", "from": {"release": "base"}, "freeze": ["conv*"]}
    ),
    "no warm start": experiment("", "", warmStart={"policy": "none", "from": None, "freeze": []}),
    "warm start from nothing": experiment("spec.warmStart", START, warmStart={"policy": "weights"}),
    "something to start from, and nothing to do with it": experiment("spec.warmStart", START, warmStart={"from": BASE}),
    "frozen layers of nothing": experiment("spec.warmStart", STAY, warmStart={"freeze": ["conv*"]}),
    "freeze without layers": experiment("spec.warmStart", STAY, warmStart={"policy": "freeze", "from": BASE}),
    "weights with frozen layers": experiment(
        "spec.warmStart", STAY, warmStart={"policy": "weights", "from": BASE, "freeze": ["conv*"]}
    ),
    "start from two": experiment(
        "spec.warmStart.from",
        ONE,
        warmStart={"policy": "weights", "from": {**BASE, "checkpoint": "01234567-89ab-cdef-0123-456789abcdef"}},
    ),
    "start from neither": experiment("spec.warmStart.from", ONE, warmStart={"policy": "weights", "from": {}}),
    "merge requests": experiment("", "", approval={"policy": "MergeRequest"}),
    "retrain daily": experiment("", "", retrain={"schedule": "@daily"}),
    "retrain on drift": experiment(
        "spec.retrain.onDrift", "not available yet; available now: false", retrain={"onDrift": True}
    ),
    "retrain seldom": experiment("", "", retrain={"minInterval": "10m"}),
    "deployment": deployment("", ""),
    "pinned without a version": deployment("spec.model", PINNED, model={"name": "news", "policy": "Pinned"}),
    "version without pinning": deployment("spec.model", PINNED, model={"name": "news", "version": 1}),
    "pinned to null": deployment("spec.model", PINNED, model={"name": "news", "policy": "Pinned", "version": None}),
    "not pinned, null version": deployment("", "", model={"name": "news", "version": None}),
    "pinned": deployment("", "", model={"name": "news", "policy": "Pinned", "version": 1}),
    "backend": deployment("spec.backend", "not available yet; available now: seldon-v1, local", backend="kserve"),
    "rollout": deployment(
        "spec.rollout.strategy",
        "not available yet; available now: recreate, bluegreen",
        rollout={"strategy": "canary"},
    ),
    "log": deployment("spec.monitoring.log", "not available yet; available now: false", monitoring={"log": True}),
    "drift action": deployment(
        "spec.monitoring.onDrift", "not available yet; available now: Alert", monitoring={"onDrift": "Retrain"}
    ),
    "release": (release_document(git={"commit": "a"}), "", ""),
}


def changed(document, **spec):
    made = deepcopy(document)
    made["spec"] |= spec
    return made


CHANGES = {
    "renamed model": (
        experiment_document(),
        changed(experiment_document(), model={"name": "other"}),
        "spec.model.name",
        RENAMED,
    ),
    "same model": (experiment_document(), changed(experiment_document(), suspend=True), "", ""),
    "another served model": (deployment_document(), changed(deployment_document(), model={"name": "other"}), "", ""),
    "other members": (release_document(git={"commit": "a"}), release_document(git={"commit": "b"}), "spec", RELEASED),
    "other version": (release_document(), changed(release_document(), version=2), "spec", RELEASED),
    "same release": (release_document(), release_document(), "", ""),
    "another source": (pipeline_document(), changed(pipeline_document(), sources=[source_document("b")]), "", ""),
}
