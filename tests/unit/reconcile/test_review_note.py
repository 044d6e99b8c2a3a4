"""The note of a merge request: what a person needs, first things first, the same text for the same state."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cdl.api.conditions import Reason
from cdl.reconcile.gitops import State
from cdl.reconcile.plan import Change, Estimate, Plan, ResourcePlan, Stage, Verdict
from cdl.reconcile.release.significance import Judge
from cdl.reconcile.review import Ending, View, ended, note, part_of, rest
from cdl.reconcile.review.figures import compared, of_release
from cdl.reconcile.review.text import LONGEST
from cdl.reconcile.summary import settled, stalled
from tests.unit.reconcile.every_status import EVERY, NAMES, written
from tests.unit.reconcile.review_rig import BEFORE, NOW, SHA, SPACE, experiment, facts, report, trial, view

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = re.compile(r"</?(?:details|summary)>")
MENTION = re.compile(r"[@#!~%$^&\[{][^\s\u2060]")
NASTY = st.text(
    st.sampled_from(list("\\`*_[]<>|#~&@!$%^{}()-+=/:.'\"x1 \n\r\t\u202e")) | st.characters(max_codepoint=0x2FFF),
    max_size=60,
)


def stage(name, verdict, *reasons, **more):
    return Stage(name=name, verdict=verdict, reasons=reasons, **more)


def plan(*stages, kind="Experiment", **more):
    resource = ResourcePlan(kind=kind, namespace="production", name="news", change=Change.CONFIGURED, stages=stages)
    fields = {"runs": True, "over_budget": False, "estimate": Estimate(basis=""), "resources": (resource,)}
    return Plan(**(fields | more))


def assert_harmless(text):
    """Only our own tags, no picture, nobody mentioned, nothing that is a command."""
    for token in READER.parse(text):
        if token.type == "html_block":
            assert not OURS.sub("", token.content).strip("\n -`*_").startswith("<"), token.content
        for child in token.children or ():
            assert child.type not in {"html_inline", "link_open", "image"}, child
            if child.type == "text":
                assert not MENTION.search(child.content), child.content
    assert "<!--" not in text
    assert not any(line.startswith("/") for line in text.splitlines())


def test_it_says_everything_about_a_candidate():
    told = note(view(plan=plan(stage("train", Verdict.RUN, "code changed"))))
    for piece in (
        "### `news-2` waits for a validator's approval",
        "**Production trains again.**",
        "| Experiment `news` | configured | train runs: code changed |",
        "#### Measured on 444 items of the test side",
        "| `accuracy` | 0.973 | 0.9505 | +0.02252 |",
        "| `sport` | 0.9903 (+0.00971) |",
        "| 4 `sport` | 0 | 0 | 0 | 102 | 0 |",
        "| `accuracy` | 0.973 | 0.5 | - | passed |",
        "#### Trials: 13 (13 completed)",
        "and 3 more",
        "8 added, 3 changed (40 → 48 files)",
        "312 slot-seconds",
        "nobody decided about it yet",
        "cdl lineage news-2 -n news-mr-7",
    ):
        assert piece in told
    assert re.search(r"\| 13 \| 0\.926 .*\n\| 12 \| 0\.924 ", told)
    assert_harmless(told)


def test_the_same_state_is_the_same_text():
    assert note(view()) == note(view())


def test_before_anything_trained_it_is_short():
    parts = (part_of({**experiment(trials=[]).plain(), "status": {}}),)
    assert len(note(View(SHA, SPACE, State.APPLIED, "applied", parts))) < 700


def test_on_the_same_test_files_the_difference_has_an_interval():
    mine, other = facts(2, report(NOW), data="e"), facts(1, report(BEFORE))
    accuracy, _ = compared(of_release(mine), of_release(other))
    assert accuracy.test is Judge.PAIRED
    low, high = accuracy.interval
    assert low < accuracy.difference < high
    assert f"{low:+.4f} to {high:+.4f}" in note(view())
    told = note(view(candidate=False))
    assert "different test commits: not comparable" in told, "nobody knows the files of what made no Release"


def test_what_nobody_could_read_of_the_report_the_status_says():
    whole = view()
    (one,) = whole.candidates
    unread = replace(one.release, report=None, why={"report": "the | store does not answer"})
    told = note(replace(whole, candidates=(replace(one, release=unread),)))
    assert "| `sport` | 0.9903 (+0.00971) |" in told
    assert "#### Measured on 444 items" in told
    assert "could not be read: the &#124;" in told
    assert "What was taken for what" not in told


def test_without_production_it_says_that_there_is_nothing_to_compare_with():
    assert "Nothing answers in production to compare it with." in note(view(production=False))


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((stage("adopt", Verdict.RUN, "news-1 of news-mr-7 was made from exactly this"),), "adopts the Release"),
        ((stage("train", Verdict.RUN, "code"),), "Production trains again."),
        ((stage("train", Verdict.UNKNOWN, "data may change"),), "Production may train again."),
        ((stage("train", Verdict.RUN, "data", sure=False),), "Production may train again."),
        ((stage("train", Verdict.REUSE), stage("evaluate", Verdict.RUN)), "measures or releases again"),
        ((stage("rollout", Verdict.ROLLOUT, "replicas: 1 -> 2"),), "only serves otherwise"),
        ((stage("ingest", Verdict.RUN, "sources"),), "works on its data"),
        ((stage("approve", Verdict.WAIT, "a validator"),), "once the Release is approved"),
        ((stage("ingest", Verdict.WAIT, "nothing was pushed"),), "Nothing runs in production: it waits."),
        ((stage("train", Verdict.REUSE, "nothing changed"),), "Nothing changes in production."),
    ],
)
def test_it_says_in_a_sentence_what_merging_does(stages, said):
    assert said in note(view(plan=plan(*stages)))


def test_a_plan_that_could_not_be_made_is_said():
    assert "could not be planned: the data engine | does not answer".replace("|", "&#124;") in note(
        view(plan="the data engine | does not answer")
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason.BELOW_GATE, "does not pass its gates"),
        (Reason.REJECTED, "its Release was rejected"),
        (Reason.RUN_FAILED, "`cdl logs experiment news -n news-mr-7` shows what was printed."),
    ],
)
def test_what_failed_is_the_headline(reason, said):
    failed = experiment(conditions=settled((stalled(reason, "it was so"),), 1, Reason.SUCCEEDED))
    assert said in note(view(failed, candidate=False)).split("| In")[0]


def test_a_merge_request_s_validator_is_asked_at_a_commit():
    asked = experiment(approval={"policy": "MergeRequest"})
    assert note(view(asked)).startswith(f"### `news-2` waits for a validator's approval at `{SHA[:12]}`")


def test_what_was_known_stays_below_the_last_word():
    before = rest(view())
    told = ended(Ending("c" * 40, "c" * 40, view().parts), before)
    assert told.startswith(f"### Merged as `{'c' * 12}`")
    assert before in told
    assert ended(Ending(), "").startswith("### Closed without merging")
    assert "has not taken it up" in ended(Ending("c" * 40), "")


def test_many_resources_trials_and_classes_stay_within_the_limit():
    names = tuple(f"class {'x' * 50} {n}" for n in range(60))
    counts = [[100 if x == y else 1 for x in range(60)] for y in range(60)]
    rows = [trial(n, n / 1000, n, hparams={f"p{i}": n * i for i in range(40)}) for n in range(300)]
    plain = experiment(report(counts, names), trials=rows).plain()
    many = tuple(part_of({**plain, "metadata": {**plain["metadata"], "name": f"n{n}"}}) for n in range(40))
    told = note(view(parts=many))
    assert len(told) < LONGEST
    assert "The rest is left out" in told


@pytest.mark.parametrize(("resource", "told", "reason", "reading"), EVERY, ids=NAMES)
def test_whatever_a_resource_says_there_is_a_note(resource, told, reason, reading):
    text = note(View(SHA, SPACE, State.APPLIED, "applied", (part_of(written(resource, told)),)))
    assert text.startswith("### ")
    assert_harmless(text)


@settings(max_examples=60, deadline=None)
@given(nasty=NASTY, name=NASTY, role=st.just("validator"))
def test_whatever_people_write_it_stays_text(nasty, name, role):
    evaluation = report(NOW, tuple(f"{name}{n}" for n in range(5)))
    evaluation["metrics"] |= {name or "m": 0.5}
    hparams = {name or "p": nasty}
    one = experiment(
        evaluation,
        settled((stalled(Reason.RUN_FAILED, nasty),), 1, Reason.SUCCEEDED),
        [trial(1, 0.5, 1, state=nasty, hparams=hparams), trial(2, 0.6, 2, hparams={name: name})],
        config={"searcher": {"metric": nasty or "m"}},
    )
    shown = view(one, plan=plan(stage("train", Verdict.RUN, nasty)))
    for text in (note(shown), note(view(one, candidate=False, plan=nasty)), ended(Ending("a" * 40, trouble=nasty), "")):
        assert_harmless(text)
    sentence = View(SHA, SPACE, State.REFUSED, nasty)
    assert_harmless(note(sentence))
