"""Two thousand DataPipelines by chance, good and bad: each is accepted, or refused in sentences; no traceback."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cdl.api.doubts import doubts
from cdl.api.refusal import explain
from cdl.api.v1alpha1 import KINDS
from cdl.api.v1alpha1.datapipeline import Side
from cdl.api.v1alpha1.resource import parse
from cdl.reconcile import datapipeline as pure
from cdl.testing.builders import pipeline_document

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAMS = {"text/clean": "sha256:clean", "checks": "sha256:checks"}
GOOD_NAME = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
BAD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
)  # fmt: skip


def often(good, bad=BAD, times=12):
    """Give what is right, and now and then something else."""
    return st.integers(0, times).flatmap(lambda n: bad if n == 0 else good)


def fields(**known):
    """Give a mapping in which each field may be missing; sometimes there is one that nobody knows."""
    stray = st.dictionaries(st.text(max_size=6), BAD, max_size=1)
    known_ones = st.fixed_dictionaries({}, optional=known)
    return st.one_of(known_ones, known_ones, known_ones, st.tuples(known_ones, stray).map(lambda t: t[1] | t[0]))


SOURCES = st.builds(
    lambda name, uri, rest: {"name": name, "uri": uri} | rest,
    often(GOOD_NAME),
    often(st.sampled_from(
        ["https://example.test/a.tar", "file://a/b.zip", "s3://data/x/", "postgresql://reader@host/db", "ftp://x/y",
         "postgresql://a:b@host/db", "git+https://h/r@" + "0" * 40, "https://[", "s3://", "file://../x"])),
    fields(
        unpack=often(st.sampled_from(["none", "tar", "zip", "gz", "rar"])),
        side=often(st.sampled_from(["train", "test", "both"])),
        strip=often(st.integers(-1, 12)),
        query=often(st.sampled_from(["SELECT 1", "", " "])),
        sha256=often(st.sampled_from(["ab" * 32, "ab"])),
        mirrors=often(st.lists(st.sampled_from(["https://m/x", "postgresql://a:b@h/d", ""]), max_size=2)),
    ),
)  # fmt: skip
STEPS = st.builds(
    lambda name, rest: {"name": name} | rest,
    often(GOOD_NAME),
    fields(
        uses=often(st.sampled_from(["text/clean", "checks", "no/such", "Bad"])),
        cmd=often(st.lists(st.text(max_size=5), max_size=2)),
        image=often(st.just("img:1")),
        env=often(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)),
        glob=often(st.sampled_from(["/*", "", "["])),
        parallelism=often(st.integers(-1, 70)),
        resources=often(fields(cpu=often(st.floats(-1, 4)), memory=often(st.sampled_from(["1Gi", "x"])))),
    ),
)
CHECKS = st.builds(
    lambda name, rest: {"name": name} | rest,
    often(GOOD_NAME),
    fields(
        field=often(st.sampled_from(["text", "label", "file"])),
        onFail=often(st.sampled_from(["reject", "fail", "warn", "shrug"])),
        minLength=often(st.integers(-1, 9)),
        oneOf=often(st.lists(st.text(max_size=3), max_size=2)),
        regex=often(st.sampled_from(["a+", "(", ""])),
        rows=often(fields(min=often(st.integers(-1, 9)), max=often(st.integers(-1, 9)))),
        rejected=often(fields(maxFraction=often(st.floats(-1, 2)))),
    ),
)
RAWS = st.builds(
    lambda name, repo, rest: {
        "pipeline": {"name": name},
        "transform": {"cmd": ["true"]},
        "input": {"pfs": {"repo": repo, "glob": "/"}},
    } | rest,
    often(st.one_of(GOOD_NAME, st.sampled_from(["news-train", "-x"]))),
    often(GOOD_NAME),
    fields(
        transform=often(st.just({"cmd": ["false"]})),
        input=often(st.sampled_from([{"cross": [{"pfs": {"repo": "a"}}]}, {"cron": {}}, {"pfs": {}}, {"union": []}])),
        datumTries=often(st.integers(0, 3)),
        standby=often(st.booleans()),
        spout=st.just({}),
    ),
)  # fmt: skip
PEOPLE = fields(
    template=often(st.sampled_from(["text-classification", "image-classification", "none"])),
    choices=often(st.lists(st.sampled_from(["a", "b", ";", ""]), max_size=3)),
    config=often(st.just("<View/>")),
    minLabels=often(st.integers(-1, 3)),
    sides=often(st.lists(st.sampled_from(["train", "test"]), max_size=3)),
    mask=often(st.lists(st.sampled_from(["a+", "("]), max_size=1)),
)
SPECS = fields(
    sources=often(st.lists(SOURCES, max_size=3)),
    split=often(
        fields(test=often(st.floats(-0.5, 1.5)), seed=often(st.integers(-1, 99)), stratify=often(st.just("none")))),
    steps=often(st.lists(STEPS, max_size=3)),
    checks=often(st.lists(CHECKS, max_size=3)),
    labels=often(
        fields(
            **{
                "from": often(st.sampled_from(["parent", "file", "column", "labelStudio"])),
                "column": often(fields(**dict.fromkeys(("files", "id", "label"), often(st.text(max_size=4))))),
                "labelStudio": often(PEOPLE),
            }
        )
    ),
    interval=often(st.sampled_from(["10m", "1s", "never"])),
    schedule=often(st.sampled_from(["", "@daily", "*/5 * * * *", "@every 90s", "0 0 30 2 *", "@never"])),
    pachyderm=often(st.lists(RAWS, max_size=2)),
    suspend=often(st.booleans()),
    deletionPolicy=often(st.sampled_from(["Delete", "Orphan", "Keep"])),
)  # fmt: skip


def judged(spec) -> str:
    """Say what becomes of a DataPipeline: refused with sentences, or accepted and decided about."""
    document = pipeline_document("news")
    served = {"uid": "u-1", "generation": 1, "resourceVersion": "1"}
    document |= {"spec": spec, "metadata": {**served, **document["metadata"]}}
    try:
        resource = parse(json.loads(json.dumps(document)), KINDS)
    except ValidationError as error:
        sentences = explain(error)
        assert sentences
        assert all(s and "\n" not in s and s.isprintable() for s in sentences), sentences
        return "refused"
    assert all("\n" not in sentence for sentence in doubts(resource))
    sides = tuple(pure.SideSeen(side, f"news-{side}", "c1", "k1") for side in Side)
    for seen in (
        pure.Seen(at=NOW, programs=PROGRAMS),
        pure.Seen(at=NOW, programs=PROGRAMS, sides=sides),
        pure.Seen(at=NOW, sources=tuple(pure.SourceSeen(s.name, "ab" * 32) for s in resource.spec.sources)),
    ):
        decision = pure.decide(resource, seen)
        assert decision.status.conditions
        assert all("\n" not in c.message for c in decision.status.conditions)
    return "accepted"


def judge_many(count) -> Counter:
    told = Counter()
    every = settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )

    @seed(20260101)
    @every
    @given(SPECS)
    def judge_each(spec):
        told[judged(spec)] += 1

    judge_each()
    assert told.total() >= count
    return told


def test_four_hundred_pipelines_are_accepted_or_refused_with_a_reason():
    told = judge_many(400)
    assert min(told["accepted"], told["refused"]) >= 20, told


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_thousand_pipelines_are_accepted_or_refused_with_a_reason():
    told = judge_many(2000)
    assert min(told["accepted"], told["refused"]) >= 100, told


def test_a_field_that_nobody_sees_is_shown_as_it_is_spelt():
    with pytest.raises(ValidationError) as caught:
        parse(pipeline_document("news", **{"\x1b[2J": 1, " ": 2}), KINDS)
    assert explain(caught.value) == (r"spec.'\x1b[2J': unknown field", "spec.' ': unknown field")
