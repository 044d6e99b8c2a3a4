"""The model card: everything that is known is on it, nothing in a Release can break it, and it needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from cdl.api.v1alpha1.release import ApprovalState, MergeRequestRef
from cdl.reconcile.release.card import model_card
from cdl.reconcile.release.card_page import page
from cdl.reconcile.release.card_text import markdown
from tests.unit.reconcile.paper_trail import MEMBERS, bare, papers, pending

NASTY = "<script>alert(1)</script> | `x` *bold* [a](javascript:b) </style> & \n# title"

REQUEST = MergeRequestRef(url="https://gitlab.example.test/team/news/-/merge_requests/3", number=3, sha="a" * 40)


class Reader(HTMLParser):
    """What a browser would see: elements, texts, and every address it would ask."""

    VOID = frozenset({"meta", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts, self.addresses = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "action", "data"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open[-1] != "style":
            self.texts.append(data.strip())


def seen(found):
    reader = Reader()
    reader.feed(page(model_card(found)))
    reader.close()
    assert reader.open == []
    return reader


def told(found):
    """The Markdown as another program shows it."""
    return MarkdownIt("commonmark").enable("table").render(markdown(model_card(found)))


def with_approval(found, **changes):
    approval = found.release.status.approval.model_copy(update=changes)
    status = found.release.status.model_copy(update={"approval": approval})
    return replace(found, release=found.release.model_copy(update={"status": status}))


@pytest.mark.parametrize(
    "fact",
    [
        "bbc-news, version 3",
        "Approved by maria at 2026-03-04 05:06:07 UTC: better than version 2.",
        "0.9753",
        "bbc-news-train-clean@" + "1" * 32,
        "2225 rows",
        "learning_rate",
        "[64, 32]",
        "On 220 items of the test side alone, which training never saw.",
        "It is weakest for the class tech: recall 0.95.",
        "119",
        "+0.0153",
        "2 packages",
        "serve:News",
        "file:///shelf/approval.dsse.json",
    ],
)
def test_what_is_known_is_on_the_card(fact):
    found = papers()
    assert fact in seen(found).texts or any(fact in text for text in seen(found).texts)
    plain = re.sub(r"<[^>]+>", "", told(found))
    assert fact in plain


def test_every_digest_of_a_member_is_on_the_card():
    written = markdown(model_card(papers()))
    for said in (MEMBERS["code"]["model"], MEMBERS["experiment"]["config"], MEMBERS["environment"]["lock"]):
        assert said["digest"] in written
        assert said["uri"] in written
    assert papers().release.spec.digest in written


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (pending(papers()), "Nobody has approved it yet. It must not be used."),
        (with_approval(papers(), state=ApprovalState.REJECTED, reason="too slow"), "Rejected by maria at"),
        (
            with_approval(papers(), reason="", merge_request=REQUEST),
            f"Approved by maria at 2026-03-04 05:06:07 UTC: merge request {REQUEST.url}, head {REQUEST.sha}.",
        ),
        (with_approval(papers(), state=ApprovalState.VOID, reason="it was changed"), "Not approved any more"),
    ],
)
def test_the_first_sentence_says_whether_it_may_be_used(found, sentence):
    first = seen(found).texts[2]  # after the page's title and the card's
    assert first.startswith(sentence)
    assert ("must not be used" in first) or "Approved" in first


def test_a_release_about_which_little_is_known_has_a_card_too():
    texts = seen(bare()).texts
    assert "No gate is known: the Experiment has none, is gone, or has measured something else since." in texts
    assert "The evaluation reports no figures per class, so a weak class would not show." in texts
    assert "None" not in " ".join(texts)


def test_the_page_asks_nobody_for_anything_and_runs_nothing():
    reader = seen(papers())
    assert reader.addresses == []
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert "url(" not in page(model_card(papers()))


def nasty():
    """A Release whose every text tries to be something else."""
    experiment = MEMBERS["experiment"] | {"hparams": {NASTY: NASTY}}
    evaluation = MEMBERS["evaluation"] | {"metrics": {NASTY: 1.0}}
    found = papers(experiment=experiment, evaluation=evaluation, git={"commit": NASTY, "authors": []})
    report = {"perClass": {NASTY: {NASTY: 1.0}}, "classes": [NASTY], "confusion": [[3]], "n": 3}
    return with_approval(replace(found, report=report), by=NASTY, reason=NASTY)


def test_what_stands_in_a_release_is_never_a_tag():
    reader = seen(nasty())
    assert "script" not in reader.tags
    assert reader.tags.count("h1") == 1
    assert any("<script>alert(1)</script>" in text for text in reader.texts)


def test_what_stands_in_a_release_is_never_a_mark():
    shown = told(nasty())
    assert not re.search(r"<(script|em|strong|a)\b", shown)
    assert shown.count("<h1>") == 1
    rows = re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    assert {len(re.findall(r"<t[hd]", row)) for row in rows} <= {2, 3, 5}  # no bar made a column of its own
    assert "<script>alert(1)</script> | `x` *bold*" in shown.replace("&lt;", "<").replace("&gt;", ">")


@pytest.mark.parametrize(
    "report",
    [
        {"confusion": [[1, 2]], "classes": ["a", "b"]},
        {"confusion": [[1], [2]], "classes": ["a", "b"]},
        {"confusion": [[1, "x"], [2, 3]], "classes": ["a", "b"]},
        {"confusion": "no", "classes": ["a"]},
        {"confusion": [[0.5, 1], [1, 1]], "classes": ["a", "b"]},
        {"confusion": [], "classes": []},
        {"perClass": "no", "n": "many"},
        {"perClass": {"a": 3}, "n": True},
    ],
)
def test_a_report_of_another_shape_is_left_out_and_breaks_nothing(report):
    found = replace(papers(), report=report)
    assert found.confusion is None
    assert "What was taken for what" not in seen(found).texts
    assert told(found)


def test_canonical_numbers_are_whole_again():
    found = replace(papers(), report={"confusion": [[3.0, 0.0], [0.0, 4.0]], "classes": ["a", "b"], "n": 7.0})
    assert found.confusion == (("a", "b"), ((3, 0), (0, 4)))
    assert found.measured == 7


def test_a_card_tells_intervals_costs_and_how_the_gates_went_that_it_was_written_with():
    gate = {"metric": "accuracy", "against": "news-2", "passed": True, "words": "0.98 here, 0.95 in news-2"}
    found = papers(evaluation={**MEMBERS["evaluation"], "gates": [gate]})
    report = {**found.report, "intervals": {"accuracy": [0.96, 0.99]}, "costs": {"size_bytes": 2048.0}}
    text = markdown(model_card(replace(found, experiment=None, report=report)))
    assert "0.96 to 0.99" in text
    assert "| size\\_bytes | 2048 |" in text or "| size_bytes | 2048 |" in text
    assert "0.98 here, 0.95 in news-2." in text
