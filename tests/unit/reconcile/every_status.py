"""Every status a decision or a trouble can lead to, by kind and by the reason that `Ready` gives.

A row: the resource it was decided for, the status, and what a kstatus reader has to make of it.
"""

from __future__ import annotations

import dataclasses

from cdl.api.canonical import digest
from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile import datapipeline, experiment, modeldeployment
from cdl.reconcile.datapipeline.asking import tasks_key
from cdl.reconcile.experiment import RunPhase
from cdl.reconcile.modeldeployment import ReleaseSeen, ServingPhase, ServingSeen, ServingWish
from cdl.reconcile.release import REASON
from cdl.reconcile.summary import busy, stalled, troubled
from cdl.testing.builders import deployment, pipeline
from cdl.testing.builders import experiment as an_experiment
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import AT, BEST, PROGRAMS, data_seen, measurement, run, training_seen
from tests.unit.reconcile.kstatus import CURRENT, FAILED, IN_PROGRESS

DATA = facts.dataset()
ONE = ReleaseSeen("news-1", 1, "sha256:1", approved=True, document="file:///1.json", attestation="file:///1.dsse")
PINNED = {"name": "news", "policy": "Pinned", "version": 1}


def of_pipeline():
    plain = pipeline()
    (wish,) = datapipeline.wishes(plain.spec, PROGRAMS)
    empty = datapipeline.Seen(at=AT, programs=PROGRAMS)
    pushed = pipeline(sources=[])
    nothing = (facts.side(Side.TRAIN), facts.side(Side.TEST, head=None))
    strict = pipeline(checks=[{"name": "enough", "onFail": "fail", "rows": {"min": 99}}])
    failed = (facts.step(wish, Side.TRAIN, failure="ended with 1"),)
    asking = {"template": "text-classification", "choices": ["tech", "sport"]}
    people = pipeline(labels={"from": "labelStudio", "labelStudio": asking})
    wanted, first = people.spec.labels.label_studio, (facts.manifest(Side.TRAIN),)
    unlabelled = datapipeline.LabellingSeen(project="7", tasks_for=tasks_key(wanted, first))
    torn = (facts.manifest(Side.TRAIN), facts.manifest(Side.TEST, label_fault="/a.csv row 1: item '1' has no label"))
    for resource, seen, reason, reading in (
        (plain, empty, Reason.FETCHING_SOURCES, IN_PROGRESS),
        (plain, dataclasses.replace(empty, sources=(facts.SOURCE,)), Reason.INGESTING, IN_PROGRESS),
        (pushed, data_seen(pushed, sides=nothing), Reason.WAITING_FOR_DATA, IN_PROGRESS),
        (plain, data_seen(plain, steps=()), Reason.TRANSFORMING, IN_PROGRESS),
        (plain, data_seen(plain, steps=failed), Reason.STEP_FAILED, FAILED),
        (plain, data_seen(plain, manifests=()), Reason.TRANSFORMING, IN_PROGRESS),
        (strict, data_seen(strict), Reason.CHECKS_FAILED, FAILED),
        (plain, data_seen(plain, manifests=torn), Reason.LABELS_UNUSABLE, FAILED),
        (people, data_seen(people, labelling=unlabelled), Reason.WAITING_FOR_LABELS, IN_PROGRESS),
        (plain, data_seen(plain), Reason.SUCCEEDED, CURRENT),
        (pipeline(suspend=True), empty, Reason.SUSPENDED, CURRENT),
        (pipeline(steps=[{"name": "a", "uses": "text/shine"}]), empty, Reason.INVALID_SPEC, FAILED),
    ):
        yield resource, datapipeline.decide(resource, seen).status, reason, reading
    yield from in_trouble(plain, datapipeline.decide(plain, data_seen(plain)).status)


def of_experiment():
    plain = an_experiment()
    key = experiment.train_key(plain, DATA)
    wish = experiment.evaluation_key(plain, DATA, BEST.uuid)

    def trained(phase, **parts):
        return training_seen(plain, trained=run(key, phase, **parts))

    def measured(phase=RunPhase.SUCCEEDED, **parts):
        found = measurement(**parts) if phase is RunPhase.SUCCEEDED else None
        return training_seen(plain, measured=run(wish, phase, id="8", best=None, measurement=found))

    def approved(state, resource=plain, **more):
        members, _ = experiment.release_members(
            resource, DATA, run(experiment.train_key(resource, DATA)), BEST, measured().runs[1], shelf=""
        )
        given = {"name": "news-1", "version": 1, "digest": digest(members)}
        release = experiment.ReleaseSeen(
            **given, content=experiment.content_digest(members), approval=state, approved_by="ada", **more
        )
        return training_seen(resource, releases=[release])

    manual = an_experiment(approval={"policy": "Manual"})
    warm = an_experiment(warmStart={"policy": "weights", "from": {"release": "base"}})
    frugal = an_experiment(budget={"maxSlotHours": 1})
    spent = {"slot_seconds": 5400}
    spending = [
        training_seen(frugal, trained=run(experiment.train_key(frugal, DATA), phase, **spent))
        for phase in (RunPhase.RUNNING, RunPhase.CANCELED)
    ]
    released = approved(ApprovalState.APPROVED)
    going_on = dataclasses.replace(released, runs=(*released.runs, run("old", RunPhase.RUNNING)))
    for resource, seen, reason, reading in (
        (plain, experiment.Seen(at=AT, waiting_for="it was not looked at yet"), Reason.WAITING_FOR_DATA, IN_PROGRESS),
        (plain, experiment.Seen(at=AT, dataset=DATA), Reason.STARTING, IN_PROGRESS),
        (plain, trained(RunPhase.QUEUED), Reason.QUEUED, IN_PROGRESS),
        (plain, trained(RunPhase.PAUSED), Reason.QUEUED, IN_PROGRESS),
        (plain, trained(RunPhase.RUNNING), Reason.TRAINING, IN_PROGRESS),
        (plain, trained(RunPhase.FAILED), Reason.RUN_FAILED, FAILED),
        (plain, trained(RunPhase.CANCELED), Reason.RUN_CANCELED, FAILED),
        (plain, trained(RunPhase.SUCCEEDED, best=None), Reason.NO_CHECKPOINT, FAILED),
        (frugal, spending[0], Reason.OVER_BUDGET, IN_PROGRESS),
        (frugal, spending[1], Reason.OVER_BUDGET, FAILED),
        (plain, measured(RunPhase.RUNNING), Reason.EVALUATING, IN_PROGRESS),
        (plain, measured(RunPhase.FAILED), Reason.EVALUATION_FAILED, FAILED),
        (plain, measured(accuracy=0.1), Reason.BELOW_GATE, FAILED),
        (plain, measured(f1=0.9), Reason.NO_METRIC, FAILED),
        (plain, measured(), Reason.RELEASING, IN_PROGRESS),
        (plain, approved(ApprovalState.PENDING), Reason.RELEASING, IN_PROGRESS),
        (manual, approved(ApprovalState.PENDING, manual), Reason.WAITING_FOR_APPROVAL, IN_PROGRESS),
        (plain, approved(ApprovalState.REJECTED), Reason.REJECTED, FAILED),
        *((plain, approved(ApprovalState.VOID, void=why), why, FAILED) for why in REASON.values()),
        (plain, going_on, Reason.STOPPING_RUNS, IN_PROGRESS),
        (plain, released, Reason.SUCCEEDED, CURRENT),
        (warm, experiment.Seen(at=AT, dataset=DATA), Reason.WAITING_FOR_WEIGHTS, IN_PROGRESS),
        (an_experiment(suspend=True), experiment.Seen(at=AT), Reason.SUSPENDED, CURRENT),
    ):
        yield resource, experiment.decide(resource, seen).status, reason, reading
    yield from in_trouble(plain, experiment.decide(plain, released).status)


def of_deployment():
    plain, pinned = deployment(), deployment(model=PINNED)

    def serving(phase):
        key = ServingWish(ONE, plain.spec, plain.metadata.uid).key
        ready = int(phase is ServingPhase.AVAILABLE)
        return ServingSeen(key, ONE.name, phase, url="http://here", desired=1, ready=ready)

    def seen(*releases, phase=None):
        there = serving(phase) if phase else None
        marked = tuple(dataclasses.replace(r, served_by=("news",) if ready(phase) else ()) for r in releases)
        return modeldeployment.Seen(at=AT, releases=marked, serving=there)

    def ready(phase):
        return phase is ServingPhase.AVAILABLE

    waiting = dataclasses.replace(ONE, approved=False)
    expired = dataclasses.replace(waiting, expired=True)
    changed = deployment(predictor={"replicas": 2})
    for resource, facts_seen, reason, reading in (
        (plain, seen(), Reason.WAITING_FOR_RELEASE, IN_PROGRESS),
        (plain, seen(waiting), Reason.WAITING_FOR_RELEASE, IN_PROGRESS),
        (pinned, seen(), Reason.NO_SUCH_VERSION, FAILED),
        (pinned, seen(waiting), Reason.NOT_APPROVED, FAILED),
        (plain, seen(ONE), Reason.DEPLOYING, IN_PROGRESS),
        (plain, seen(ONE, phase=ServingPhase.CREATING), Reason.DEPLOYING, IN_PROGRESS),
        (plain, seen(ONE, phase=ServingPhase.FAILED), Reason.DEPLOYMENT_FAILED, FAILED),
        (plain, seen(ONE, phase=ServingPhase.AVAILABLE), Reason.SUCCEEDED, CURRENT),
        (plain, seen(waiting, phase=ServingPhase.AVAILABLE), Reason.NOT_APPROVED, IN_PROGRESS),
        (changed, seen(expired, phase=ServingPhase.AVAILABLE), Reason.APPROVAL_EXPIRED, FAILED),
        (deployment(suspend=True), seen(ONE), Reason.SUSPENDED, CURRENT),
    ):
        yield resource, modeldeployment.decide(resource, facts_seen).status, reason, reading
    yield from in_trouble(plain, modeldeployment.decide(plain, seen(ONE, phase=ServingPhase.AVAILABLE)).status)


def in_trouble(resource, before):
    """What the loop writes when an attempt ends in an error, over the best status there was."""
    for trouble, reading in (
        (busy(Reason.ENGINE_UNAVAILABLE, "nobody answers"), IN_PROGRESS),
        (busy(Reason.INTERNAL_FAULT, "KeyError"), IN_PROGRESS),
        (stalled(Reason.ENGINE_REFUSED, "no"), FAILED),
        (stalled(Reason.SOURCE_UNUSABLE, "404"), FAILED),
        (stalled(Reason.NOT_PERMITTED, "who?"), FAILED),
        (stalled(Reason.INVALID_SPEC, "spec.x: unknown field"), FAILED),
    ):
        yield resource, troubled(before, 1, trouble), trouble.reason, reading


EVERY = [
    (resource, status, reason, reading)
    for rows in (of_pipeline(), of_experiment(), of_deployment())
    for resource, status, reason, reading in rows
]
NAMES = [f"{resource.kind}-{reason}-{reading}" for resource, _, reason, reading in EVERY]


def written(resource, status):
    """The document as the operator leaves it at the API server."""
    return resource.model_copy(update={"status": status}).plain()
