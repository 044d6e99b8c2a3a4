"""Facts for decisions, in few words."""

from __future__ import annotations

from datetime import UTC, datetime

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.datapipeline import Dataset, JobStatus, LabelStatus, Side, SideStatus
from cdl.api.v1alpha1.experiment import TrialStatus
from cdl.reconcile import datapipeline, experiment

AT = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAMS = {"text/clean": "sha256:clean-1", "checks": "sha256:checks-1"}
SOURCE = datapipeline.SourceSeen("articles", "ab" * 32)


def condition(decision, kind=ConditionType.READY):
    return decision.status.condition(kind)


def said(decision):
    """Ready's answer and reason, the shortest true summary of a decision."""
    ready = condition(decision)
    return ready.status, ready.reason.value


def changed(resource, **parts):
    return resource.model_copy(update=parts)


def deleting(resource):
    metadata = resource.metadata.model_copy(update={"deletion_timestamp": AT})
    return changed(resource, metadata=metadata)


def noted(resource):
    """The resource after a commit that changed nothing of its spec."""
    notes = {"annotations": {"cdl.dev/revision": "abc"}, "labels": {"team": "news"}, "generation": 9}
    return changed(resource, metadata=resource.metadata.model_copy(update=notes))


def side(which, **parts):
    return datapipeline.SideSeen(which, f"news-{which}", **({"head": f"c-{which}", "files": 3, "size": 30} | parts))


def step(wish, which, /, **parts):
    job = JobStatus(step=wish.step.name, side=which, id="j1", state="SUCCESS")
    read = f"o-{which}" if wish.reads else f"c-{which}"
    given = {"input": read, "head": f"o-{which}", "job": job, "done": True} | parts
    return datapipeline.StepSeen(wish.step.name, which, given.pop("wish", wish.digest), **given)


def manifest(which, **parts):
    given = {
        "digest": digest(f"files-{which}"),
        "files": 3,
        "label_digest": digest(f"l-{which}"),
        "label_rows": 3,
    } | parts
    return datapipeline.ManifestSeen(which, f"news-clean-{which}", f"o-{which}", **given)


def data_seen(resource, **parts):
    """What is seen when everything is as the spec wants it."""
    spec = resource.spec
    key = datapipeline.ingest_key(spec, (SOURCE,))
    given = {
        "sides": tuple(side(s, ingest=key if spec.sources else None) for s in Side),
        "programs": PROGRAMS,
        "steps": tuple(step(w, s) for s in Side for w in datapipeline.wishes(spec, PROGRAMS)),
        "manifests": tuple(manifest(s) for s in Side),
        "sources": (SOURCE,),
    }
    return datapipeline.Seen(at=AT, **(given | parts))


def dataset(version="one", **parts):
    given = {
        "version": digest(version),
        "train": SideStatus(repo="news-clean-train", commit=f"train-{version}", files=3),
        "test": SideStatus(repo="news-clean-test", commit=f"test-{version}", files=1),
        "labels": LabelStatus(snapshot=digest("labels"), rows=4),
        "transform": digest("transform"),
    }
    return Dataset(**(given | parts))


BEST = experiment.CheckpointSeen("ckpt-12345678", "file:///ckpt", 1, 0.9, {"learning_rate": 0.1})
TRIALS = (
    TrialStatus(id=1, state="Succeeded", metric=0.9),
    TrialStatus(id=2, state="Succeeded", metric=0.8, stopped_early=True),
    TrialStatus(id=3, state="Failed"),
    TrialStatus(id=4, state="Running"),
)


def measurement(**metrics):
    return experiment.Measurement(
        metrics or {"accuracy": 0.9}, {"tech": {"f1": 0.9}}, {"weights": "sha256:1"}, {"python": "3.11"}, {"n": 4}
    )


def run(key, phase=experiment.RunPhase.SUCCEEDED, **parts):
    succeeded = phase is experiment.RunPhase.SUCCEEDED
    given = {
        "id": "7",
        "started_at": AT,
        "finished_at": AT if phase.over else None,
        "best": BEST if succeeded else None,
    }
    return experiment.RunSeen(key, phase=phase, **(given | parts))


def training_seen(resource, *, trained=None, measured=None, releases=(), **parts):
    """What is seen when the run of the wish succeeded and was measured, unless told otherwise."""
    data = parts.pop("dataset", dataset())
    key = experiment.train_key(resource, data)
    trained = trained or run(key)
    runs = [trained]
    if trained.best:
        evaluation = experiment.evaluation_key(resource, data, trained.best.uuid)
        runs.append(measured or run(evaluation, id="8", best=None, measurement=measurement()))
    return experiment.Seen(**({"at": AT, "dataset": data, "runs": tuple(runs), "releases": tuple(releases)} | parts))
