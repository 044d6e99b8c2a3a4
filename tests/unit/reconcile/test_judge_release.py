"""One thing is not what it was: exactly its member is named, whichever thing it is."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdl.api.canonical import digest
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import MEMBERS
from cdl.reconcile.release import (
    CheckpointFound,
    Evidence,
    RunFound,
    SideFound,
    Silence,
    State,
    VersionFound,
    addresses,
    differs,
    judge,
    overall,
)
from cdl.testing.builders import release as built

SHELF = "file:///shelf/"
SHAS = st.text("0123456789abcdef", min_size=64, max_size=64)
OTHER = SHAS.map(lambda sha: f"x{sha[1:]}")
"""What no SHAS draws."""
WORDS = st.text("abcdefgh", min_size=1, max_size=8)
HPARAMS = st.dictionaries(WORDS, st.floats(0, 1) | st.integers(0, 99) | WORDS, max_size=3)
DOWN = Silence("the Determined master does not answer")


def kept(document):
    found = digest(document)
    return {"digest": found, "uri": f"{SHELF}{found[7:]}.json"}


def part(sha, **more):
    return {"digest": f"sha256:{sha}", "uri": f"{SHELF}{sha}.tar.gz", **more}


@st.composite
def sets(draw):
    """A Release, and the evidence of a world in which nothing has changed."""
    train, test = (SideFound(draw(SHAS), draw(SHAS), draw(st.integers(0, 9)), ("p1", "p2")) for _ in "ab")
    snapshot, transform = digest([train.labels, test.labels]), digest(["p1", "p2"])
    version = digest([train.digest, test.digest, snapshot, transform])
    hparams, metric = draw(HPARAMS), draw(st.floats(0, 1))
    config = {"hyperparameters": hparams, "searcher": {"metric": "accuracy"}, "labels": ["mine"]}
    dataset = {"repo": "news-clean-train", "commit": "c1", "branch": "master"}
    asked = config | {"labels": ["mine", "cdl"], "name": "n", "integrations": {"pachyderm": {"dataset": dataset}}}
    report, lock = {"metrics": {"accuracy": metric}}, {"packages": {"numpy": "1"}}
    model, serve = draw(st.lists(SHAS, min_size=2, max_size=2, unique=True))
    files = draw(st.dictionaries(WORDS, SHAS, min_size=1, max_size=3))
    members = {
        "git": {"commit": draw(SHAS)[:40], "authors": []},
        "code": {"model": part(model), "serve": part(serve, entrypoint="s:S")},
        "data": {
            "pipeline": "news",
            "version": version,
            "train": {"repo": "news-clean-train", "commit": "c1"},
            "test": {"repo": "news-clean-test", "commit": "c2"},
        },
        "labels": {"snapshot": snapshot, "rows": train.rows + test.rows},
        "transforms": {"digest": transform},
        "experiment": {
            "key": draw(WORDS),
            "run": "7",
            "trial": 3,
            "seed": draw(st.integers(0, 2**31)),
            "metric": metric,
            "hparams": hparams,
            "config": kept(config),
        },
        "checkpoint": {
            "uuid": "u",
            "uri": "file:///checkpoints/u",
            "digest": "",
            "files": {n: f"sha256:{s}" for n, s in files.items()},
        },
        "evaluation": {"run": "8", "entrypoint": "e:e", "metrics": {}, "report": kept(report)},
        "environment": {"python": "3.11", "lock": kept(lock)},
    }
    release = built("news", 1, **members)
    uris = addresses(release)
    contents = {uri: uri.removeprefix(SHELF).partition(".")[0] for uri in uris}
    experiment = members["experiment"]
    evidence = Evidence(
        commit=True,
        contents=contents,
        config=config,
        files=files,
        train=train,
        test=test,
        run=RunFound(experiment["key"], experiment["seed"], asked),
        measured=RunFound("e", None, {}, report),
        checkpoint=CheckpointFound("file:///checkpoints/u", "7", 3, metric, hparams),
        version=VersionFound("u", release.spec.digest),
    )
    return release, evidence


def with_content(member, *path):
    def mutate(release, evidence, sha):
        place = release.spec.members[member]
        for name in path:
            place = place[name]
        return dataclasses.replace(evidence, contents={**evidence.contents, place["uri"]: sha})

    return mutate


def with_parts(name, **parts):
    def mutate(_, evidence, sha):
        changed = {key: value(sha) if callable(value) else value for key, value in parts.items()}
        return dataclasses.replace(evidence, **{name: dataclasses.replace(getattr(evidence, name), **changed)})

    return mutate


def with_whole(name, value):
    return lambda _release, evidence, _sha: dataclasses.replace(evidence, **{name: value})


def first_file(changed):
    def mutate(_, evidence, sha):
        name = min(evidence.files)
        rest = {n: s for n, s in evidence.files.items() if n != name}
        return dataclasses.replace(evidence, files=rest | ({name: sha} if changed else {}))

    return mutate


CHANGES = {
    "git commit gone": (with_whole("commit", value=False), "git"),
    "model archive": (with_content("code", "model"), "code"),
    "serve archive": (with_content("code", "serve"), "code"),
    "train files": (with_parts("train", digest=lambda sha: sha), "data"),
    "test files": (with_parts("test", digest=lambda sha: sha), "data"),
    "train commit gone": (with_whole("train", None), "data"),
    "test commit gone": (with_whole("test", None), "data"),
    "train labels": (with_parts("train", labels=lambda sha: sha, digest=lambda sha: sha), "labels"),
    "test labels": (with_parts("test", labels=lambda sha: sha, digest=lambda sha: sha), "labels"),
    "files and rows": (with_parts("train", labels=lambda sha: sha, rows=99, digest=lambda sha: sha), "data"),
    "train programs": (with_parts("train", programs=lambda sha: (sha,)), "transforms"),
    "test programs": (with_parts("test", programs=("p2", "p1")), "transforms"),
    "programs not known": (with_parts("train", programs=None), "transforms"),
    "configuration": (with_content("experiment", "config"), "experiment"),
    "run gone": (with_whole("run", None), "experiment"),
    "run key": (with_parts("run", key=lambda sha: sha), "experiment"),
    "run seed": (with_parts("run", seed=-1), "experiment"),
    "run config": (with_parts("run", config={}), "experiment"),
    "trial": (with_parts("checkpoint", trial=9), "experiment"),
    "metric": (with_parts("checkpoint", metric=2.0), "experiment"),
    "hparams": (with_parts("checkpoint", hparams={"other": 1}), "experiment"),
    "checkpoint file": (first_file(changed=True), "checkpoint"),
    "checkpoint file gone": (first_file(changed=False), "checkpoint"),
    "checkpoint gone": (with_whole("checkpoint", None), "checkpoint"),
    "checkpoint elsewhere": (with_parts("checkpoint", uri="file:///elsewhere"), "checkpoint"),
    "version gone": (with_whole("version", None), "checkpoint"),
    "version digest": (with_parts("version", digest=lambda sha: f"sha256:{sha}"), "checkpoint"),
    "version checkpoint": (with_parts("version", checkpoint=lambda sha: sha), "checkpoint"),
    "report": (with_content("evaluation", "report"), "evaluation"),
    "evaluation gone": (with_whole("measured", None), "evaluation"),
    "measured otherwise": (with_parts("measured", report=lambda sha: {"metrics": {"accuracy": sha}}), "evaluation"),
    "reported nothing": (with_parts("measured", report=None), "evaluation"),
    "measured what JSON cannot say": (with_parts("measured", report={"n": float("nan")}), "evaluation"),
    "metric that JSON cannot say": (with_parts("checkpoint", metric=float("inf")), "experiment"),
    "lock": (with_content("environment", "lock"), "environment"),
}


def broken(findings):
    return {f.member for f in findings if f.state.broken}


@given(sets())
def test_an_untouched_set_is_intact_in_every_member(made):
    findings = judge(*made)
    assert {f.state for f in findings} == {State.INTACT}
    assert {f.member for f in findings} == {*MEMBERS, "release"}


@pytest.mark.parametrize(("mutate", "member"), CHANGES.values(), ids=CHANGES)
@settings(max_examples=20)
@given(made=sets(), sha=OTHER)
def test_one_change_names_exactly_its_member(made, sha, mutate, member):
    findings = judge(made[0], mutate(*made, sha))
    assert broken(findings) == {member}
    assert overall(findings).broken


@given(sets(), OTHER)
def test_a_lost_content_is_missing_not_changed(made, sha):
    release, evidence = made
    lost = {uri: None if n == 0 else sha for n, (uri, sha) in enumerate(evidence.contents.items())}
    findings = judge(release, dataclasses.replace(evidence, contents=lost))
    assert [f.state for f in findings if f.state is not State.INTACT] == [State.MISSING]


@given(sets())
def test_who_does_not_answer_breaks_nothing(made):
    release, evidence = made
    silent = dict.fromkeys(("train", "test", "run", "measured", "checkpoint", "version"), DOWN)
    findings = judge(release, dataclasses.replace(evidence, **silent))
    assert broken(findings) == set()
    assert overall(findings) is State.UNREACHABLE
    told = {f.member for f in findings if f.state is State.UNREACHABLE}
    assert told == {"data", "labels", "transforms", "experiment", "checkpoint", "evaluation"}
    assert all("does not answer" in f.sentence for f in findings if f.state is State.UNREACHABLE)


@given(sets())
def test_who_was_not_asked_is_not_in_the_way(made):
    release, evidence = made
    unasked = Silence("no repository is at hand", asked=False)
    findings = judge(release, dataclasses.replace(evidence, commit=unasked))
    assert overall(findings) is State.INTACT
    assert [f.sentence for f in findings if f.state is State.UNASKED] == [
        "git commit was not asked: no repository is at hand"
    ]


@given(sets(), st.sampled_from(MEMBERS))
def test_a_member_the_release_says_nothing_of_is_said_to_be_so(made, member):
    release, evidence = made
    empty = Release.read(built("news", 1, **(release.spec.members | {member: None})).plain())
    found = [f for f in judge(empty, evidence) if f.member == member]
    assert [f.state for f in found] == [State.UNASKED]


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"a": {"b": 1, "c": 2}, "d": [1]}, ""),
        ({"a": {"b": 1.0}, "d": [1, 2], "more": True}, ""),
        ({"a": {"b": 2}, "d": [1]}, "a.b"),
        ({"a": {}, "d": [1]}, "a.b"),
        ({"a": {"b": 1}, "d": [2, 1]}, "d"),
        ({"a": {"b": 1}, "d": []}, "d"),
        ({"a": [], "d": [1]}, "a"),
        ({}, "a"),
    ],
)
def test_what_was_asked_for_may_add_but_not_change(asked, place):
    assert differs({"a": {"b": 1}, "d": [1]}, asked) == place
