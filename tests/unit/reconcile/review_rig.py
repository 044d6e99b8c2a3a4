"""A merge request as it may be told: resources, a Release beside production's, trials, figures."""

from datetime import UTC, datetime, timedelta

from cdl.api.conditions import Condition, ConditionType, Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1 import Experiment, Release
from cdl.reconcile.gitops import State
from cdl.reconcile.release.diff import ReleaseFacts
from cdl.reconcile.review import Candidate, View, part_of
from cdl.reconcile.summary import busy, fact, settled
from cdl.testing import builders

SHA = "ab12cd34ef" * 4
SPACE = "news-mr-7"
START = datetime(2026, 1, 1, tzinfo=UTC)
CLASSES = ("business", "entertainment", "politics", "sport", "tech")
BEFORE = ((98, 1, 2, 0, 1), (2, 70, 1, 2, 2), (3, 1, 78, 0, 1), (0, 1, 0, 101, 0), (2, 2, 1, 0, 75))
NOW = ((100, 0, 1, 0, 1), (1, 73, 1, 1, 1), (2, 0, 80, 0, 1), (0, 0, 0, 102, 0), (1, 1, 1, 0, 77))


def digest(letter):
    return f"sha256:{letter * 64}"


def report(confusion, classes=CLASSES):
    """What the evaluator of the news keeps."""
    n, right = sum(map(sum, confusion)), sum(row[i] for i, row in enumerate(confusion))
    per_class = {}
    for i, name in enumerate(classes):
        hits, said, there = confusion[i][i], sum(row[i] for row in confusion), sum(confusion[i])
        precision, recall = hits / said, hits / there
        f1 = 2 * precision * recall / (precision + recall)
        per_class[name] = {"precision": precision, "recall": recall, "f1": f1, "support": there}
    metrics = {"accuracy": right / n, "macro_f1": sum(row["f1"] for row in per_class.values()) / len(classes)}
    whole = {"metrics": metrics, "perClass": per_class, "confusion": [list(row) for row in confusion]}
    return whole | {"classes": list(classes), "n": n, "correct": "1" * right + "0" * (n - right)}


def members(evaluation, data="d", **more):
    return {
        "git": {"commit": SHA, "authors": ["ada@example.org"]},
        "code": {"model": {"digest": digest("c"), "uri": "file:///kept/c"}},
        "data": {
            "version": digest(data),
            "pipeline": "news",
            "train": {"repo": f"news-{data}-train", "commit": data * 32},
            "test": {"repo": f"news-{data}-test", "commit": data * 32},
        },
        "experiment": {"hparams": {"learning_rate": 0.1}},
        "evaluation": {"metrics": evaluation["metrics"], "run": "e1"},
        **more,
    }


def files(count, other=0):
    return {f"/{CLASSES[n % 5]}/{n:03d}.txt": f"{n + (n < other)}" for n in range(count)}


def facts(version, evaluation, *, namespace="production", data="d", count=40, **more):
    release = builders.release("news", version, **members(evaluation, data, **more))
    meta = release.metadata.model_copy(update={"namespace": namespace})
    return ReleaseFacts(
        release.model_copy(update={"metadata": meta}),
        data={"train": files(count, 3 if data != "d" else 0), "test": files(10)},
        config={"hyperparameters": {}},
        report=evaluation,
    )


def trial(number, metric, rate, state="Succeeded", **more):
    return {"id": number, "state": state, "metric": metric, "hparams": {"learning_rate": rate, "layers": 2}, **more}


def status(evaluation, conditions, trials=()):
    """The status of an Experiment that was measured."""
    ended = (START + timedelta(seconds=75)).isoformat()
    rows = [{"steps": 100, **row} for row in trials]
    return {
        "observedGeneration": 1,
        "conditions": [c.model_dump(mode="json", by_alias=True) for c in conditions],
        "run": {"key": "k", "id": "12", "state": "Succeeded", "startedAt": START.isoformat(), "finishedAt": ended},
        "trials": {"total": len(rows), "completed": len(rows)},
        "trialTable": rows,
        "evaluation": {
            "run": "e1",
            "metrics": evaluation["metrics"],
            "perClass": evaluation["perClass"],
            "gates": [{"metric": "accuracy", "value": evaluation["metrics"]["accuracy"], "min": 0.5, "passed": True}],
            "startedAt": START.isoformat(),
            "finishedAt": ended,
        },
        "release": "news-2",
        "modelVersion": 2,
        "cost": {"slotSeconds": 312.5},
    }


def waiting(message="news-2 waits for a validator: cdl approve news-2"):
    done = (
        fact(ConditionType.TRAINED, holds=True, reason=Reason.TRAINING_DONE),
        fact(ConditionType.GATES_PASSED, holds=True, reason=Reason.GATES_MET),
        fact(ConditionType.RELEASED, holds=True, reason=Reason.RELEASE_WRITTEN, message="news-2"),
    )
    return settled((busy(Reason.WAITING_FOR_APPROVAL, message), *done), 1, Reason.SUCCEEDED)


def experiment(evaluation=None, conditions=None, trials=None, **spec):
    evaluation = evaluation or report(NOW)
    rows = [trial(n, 0.9 + n / 500, 0.1 / n) for n in range(1, 14)] if trials is None else trials
    plain = builders.experiment(**({"approval": {"policy": "Manual"}} | spec)).plain()
    plain["metadata"]["namespace"] = SPACE
    plain["status"] = status(evaluation, conditions or waiting(), rows)
    return Experiment.read(plain)


def pipeline(condition=None):
    plain = builders.pipeline().plain()
    plain["metadata"]["namespace"] = SPACE
    held = condition or fact(ConditionType.DATA_READY, holds=True, reason=Reason.DATASET_READY, message="dataset 12 ab")
    told = settled((held,), 1, Reason.SUCCEEDED, held.message)
    plain["status"] = {"observedGeneration": 1, "conditions": [c.model_dump(mode="json", by_alias=True) for c in told]}
    return plain


def view(one=None, *, candidate=True, production=True, picture="", **more):
    """Everything that may be told at once."""
    one = one or experiment()
    key = Key("Experiment", SPACE, "news")
    other = facts(1, report(BEFORE)) if production else None
    evaluation = report(NOW)
    mine = facts(2, evaluation, namespace=SPACE, data="e", count=48, experiment={"hparams": {"learning_rate": 0.05}})
    made = (Candidate(key, mine, other, picture),) if candidate else ()
    parts = (part_of(pipeline()), part_of(one.plain()))
    fields = {"parts": parts, "candidates": made, "production": {"news": other} if other else {}}
    return View(SHA, SPACE, State.APPLIED, f"{SHA[:12]} is applied: 2 resources", **(fields | more))


def condition(kind, status="True", reason=Reason.SUCCEEDED, message=""):
    return Condition(type=kind, status=status, reason=reason, message=message, observed_generation=1)


__all__ = ["BEFORE", "CLASSES", "NOW", "SHA", "SPACE", "Release", "experiment", "facts", "report", "trial", "view"]
