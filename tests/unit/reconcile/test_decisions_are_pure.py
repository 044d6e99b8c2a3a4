"""Whatever is seen: a decision is a value, says when to look again exactly if something goes on, and can be kept."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1.release import ApprovalState
from cdl.reconcile import datapipeline, modeldeployment
from cdl.reconcile import experiment as experiments
from cdl.testing.builders import deployment, experiment, pipeline
from tests.unit.reconcile import facts
from tests.unit.reconcile.facts import AT, PROGRAMS

MAYBE = st.booleans()
PIPELINES = (
    pipeline(),
    pipeline(sources=[]),
    pipeline(steps=[]),
    pipeline(steps=[{"name": n, "uses": "text/clean"} for n in "ab"], checks=[{"name": "enough", "rows": {"min": 5}}]),
    pipeline(suspend=True),
    facts.deleting(pipeline()),
)
EXPERIMENTS = (
    experiment(),
    experiment(approval={"policy": "Manual"}, budget={"maxDuration": "1h"}, retrain={"onData": False}),
    experiment(evaluation={"gates": [{"metric": "f1", "min": 0.5}]}),
    experiment(suspend=True),
    facts.deleting(experiment()),
)
DEPLOYMENTS = (
    deployment(),
    deployment(model={"name": "news", "policy": "Pinned", "version": 1}),
    deployment(suspend=True),
    facts.deleting(deployment()),
)


@st.composite
def data_seen(draw, resource):
    whole = facts.data_seen(resource)
    sides = tuple(
        dataclasses.replace(
            s, head=draw(st.sampled_from([s.head, None, "x"])), ingest=draw(st.sampled_from([s.ingest, "x"]))
        )
        for s in whole.sides
    )
    steps = tuple(
        dataclasses.replace(
            s,
            wish=draw(st.sampled_from([s.wish, s.wish, None, "x"])),
            input=draw(st.sampled_from([s.input, s.input, "x"])),
            done=draw(MAYBE),
            failure=draw(st.sampled_from(["", "", "boom"])),
            report=datapipeline.Report(3, {"short": draw(st.integers(0, 2))}),
        )
        for s in whole.steps
        if draw(st.integers(0, 4))
    )
    manifests = tuple(m for m in whole.manifests if draw(st.integers(0, 3)))
    sources = whole.sources if draw(MAYBE) else ()
    programs = PROGRAMS if draw(st.integers(0, 4)) else {}
    return dataclasses.replace(whole, sides=sides, steps=steps, manifests=manifests, sources=sources, programs=programs)


@st.composite
def training_seen(draw, resource):
    dataset = draw(st.sampled_from([facts.dataset(), facts.dataset("two"), None]))
    if dataset is None:
        return experiments.Seen(at=AT, waiting_for="nothing")
    phases = st.sampled_from(list(experiments.RunPhase))
    trained = facts.run(experiments.train_key(resource, dataset), draw(phases), trials=facts.TRIALS)
    measured = facts.run(
        experiments.evaluation_key(resource, dataset, facts.BEST.uuid), draw(phases), id="8",
        best=None, measurement=draw(st.sampled_from([facts.measurement(), facts.measurement(f1=0.9), None])),
    )  # fmt: skip
    other = facts.run("other", draw(phases))
    runs = tuple(r for r in (trained, measured, other) if draw(st.integers(0, 5)))
    releases = ()
    if draw(MAYBE) and measured.measurement:
        members, _ = experiments.release_members(resource, dataset, trained, facts.BEST, measured, shelf="")
        content = experiments.members.content_digest(members)
        state = draw(st.sampled_from(list(ApprovalState)))
        releases = (
            experiments.ReleaseSeen("news-1", 1, "sha256:1", content, state, draw(st.sampled_from(["ada", ""]))),
        )
    return experiments.Seen(at=AT, dataset=dataset, runs=runs, releases=releases)


@st.composite
def released_seen(draw, number):
    standing = draw(st.sampled_from(["approved", "expired", "rejected"]))
    return modeldeployment.ReleaseSeen(
        name=f"news-{number}",
        version=number,
        digest=f"sha256:{number}",
        approved=standing == "approved",
        document=f"file:///{number}.json",
        attestation=draw(st.sampled_from(["", f"file:///{number}.dsse"])),
        expired=standing == "expired",
        standing=standing,
    )


@st.composite
def serving_seen(draw, resource):
    releases = tuple(draw(released_seen(n)) for n in range(1, draw(st.integers(1, 3))))
    serving = None
    if releases and draw(st.integers(0, 3)):
        release = draw(st.sampled_from(releases))
        key = modeldeployment.ServingWish(release, resource.spec, resource.metadata.uid).key
        phase = draw(st.sampled_from(list(modeldeployment.ServingPhase)))
        serving = modeldeployment.ServingSeen(key, release.name, phase, "http://here", 1, draw(st.integers(0, 1)))
    return modeldeployment.Seen(at=AT, releases=releases, serving=serving)


def check(decide, resource, seen):
    decision = decide(resource, seen)
    assert decide(resource, seen) == decision
    conditions = {c.type: c for c in decision.status.conditions}
    assert len(conditions) == len(decision.status.conditions)
    ready, going_on = conditions[ConditionType.READY], ConditionType.RECONCILING in conditions
    assert (decision.look_again_after is not None) is going_on
    assert not (going_on and ConditionType.STALLED in conditions)
    assert ready.status == ("Unknown" if going_on else "False" if ConditionType.STALLED in conditions else "True")
    if ready.status == "True":
        assert decision.actions == ()
    if ready.status != "True":
        assert ready.message
    # what was said once is said again: nothing in a status feeds on itself
    told = facts.changed(resource, status=decision.status)
    assert decide(told, seen).status == decision.status
    assert type(resource).read(told.plain()) == told


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(PIPELINES))
def test_a_data_pipelines_decision(data, resource):
    check(datapipeline.decide, resource, data.draw(data_seen(resource)))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(EXPERIMENTS))
def test_an_experiments_decision(data, resource):
    check(experiments.decide, resource, data.draw(training_seen(resource)))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(DEPLOYMENTS))
def test_a_model_deployments_decision(data, resource):
    seen = data.draw(serving_seen(resource))
    check(modeldeployment.decide, resource, seen)
    for action in modeldeployment.decide(resource, seen).actions:
        assert not isinstance(action, modeldeployment.Serve) or action.wish.refusal == ""
    assert not runs_the_unfit(seen) or isinstance(
        modeldeployment.decide(resource, seen).actions[0], modeldeployment.StopServing
    )


def runs_the_unfit(seen):
    unfit = {r.name for r in seen.releases if not r.approved and not r.expired}
    return seen.serving is not None and seen.serving.release in unfit
