"""The walk from an answer to its sources: what is on it, where it is drawn, and that the picture stands by itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.canonical import digest
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, ReleaseStatus
from cdl.reconcile.lineage import Behind, Edge, Graph, Node, graph, page, release_named_by, svg
from cdl.reconcile.lineage.layout import GAP, WIDTH, layout
from cdl.reconcile.lineage.svg import shortened
from cdl.testing.builders import deployment, experiment, pipeline, release
from tests.unit.reconcile.facts import changed, dataset

D = {
    name: digest(name) for name in ("version", "labels", "transforms", "weights", "model", "serve", "config", "report")
}
MEMBERS = {
    "git": {"commit": "c0ffee" * 6, "authors": ["ada@example.test"]},
    "code": {
        "model": {"digest": D["model"], "uri": "file:///model.tar.gz"},
        "serve": {"digest": D["serve"], "uri": "file:///serve.tar.gz", "entrypoint": "serve:Model"},
    },
    "data": {
        "pipeline": "news",
        "version": D["version"],
        "train": {"repo": "news-clean-train", "commit": "1" * 32},
        "test": {"repo": "news-clean-test", "commit": "2" * 32},
    },
    "labels": {"snapshot": D["labels"], "rows": 24},
    "transforms": {"digest": D["transforms"]},
    "experiment": {
        "key": "abc",
        "run": "7",
        "trial": 3,
        "seed": 11,
        "metric": 0.9,
        "hparams": {"rate": 0.1},
        "config": {"digest": D["config"], "uri": "file:///config.json"},
    },
    "checkpoint": {"uuid": "u-u-i-d", "uri": "file:///weights", "digest": D["weights"], "files": {"w": D["weights"]}},
    "evaluation": {
        "run": "8",
        "entrypoint": "evaluate:evaluate",
        "metrics": {"accuracy": 0.93},
        "report": {"digest": D["report"], "uri": "file:///report.json"},
    },
    "environment": {
        "python": "3.11.7",
        "packages": {"torch": "2.9"},
        "lock": {"digest": D["report"], "uri": "file:///l"},
    },
}
APPROVAL = ApprovalStatus(
    state=ApprovalState.APPROVED,
    by="vera",
    at=datetime(2026, 1, 2, tzinfo=UTC),
    reason="it is <good> & quick",
    attestation="file:///approval.json",
)
RELEASE = changed(release("news", 4, **MEMBERS), status=ReleaseStatus(approval=APPROVAL, provenance="file:///p.json"))
SHOP = deployment("shop", model={"name": "news"})
PREDICTION = f"{RELEASE.spec.digest[7:19]}-0a1b"
TODAY = pipeline("news")
MADE = changed(
    TODAY, status=TODAY.status.model_copy(update={"dataset": dataset().model_copy(update={"version": D["version"]})})
)
WHOLE = Behind(RELEASE, (SHOP,), experiment(), MADE, PREDICTION)


def reached(walk, start):
    found, open_ = set(), [start]
    while open_:
        name = open_.pop()
        found.add(name)
        open_ += [e.target for e in walk.edges if e.source == name and e.target not in found]
    return found


def test_everything_is_reached_from_the_answer():
    walk = graph(WHOLE)
    assert walk.nodes[0] == Node(f"prediction/{PREDICTION}", "prediction", PREDICTION)
    assert reached(walk, walk.nodes[0].id) == {node.id for node in walk.nodes}
    assert {node.kind for node in walk.nodes} >= {*MEMBERS, "deployment", "release", "approval", "provenance", "source"}


def test_every_value_of_the_members_is_on_the_walk():
    told = {value for node in graph(WHOLE).nodes for _, value in node.facts}
    wanted = {*D.values(), "1" * 32, "2" * 32, "c0ffee" * 6, "ada@example.test", "news-clean-test", "0.93", "0.1", "11"}
    assert wanted <= told


@pytest.mark.parametrize(
    ("source", "target", "relation"),
    [
        ("prediction", "deployment", "answered by"),
        ("deployment", "release", "serves"),
        ("release", "approval", "decided in"),
        ("release", "evaluation", "measured in"),
        ("evaluation", "checkpoint", "of"),
        ("checkpoint", "trial", "saved by"),
        ("trial", "experiment", "asked for by"),
        ("trial", "code", "ran"),
        ("trial", "environment", "ran in"),
        ("trial", "data", "learned from"),
        ("evaluation", "data", "measured on"),
        ("code", "git", "comes from"),
        ("data", "transforms", "made by"),
        ("data", "labels", "labelled by"),
        ("labels", "source", "taken from"),
    ],
)
def test_each_thing_leads_to_what_it_came_from(source, target, relation):
    walk = graph(WHOLE)
    kinds = {node.id: node.kind for node in walk.nodes}
    assert (source, target, relation) in {(kinds[e.source], kinds[e.target], e.relation) for e in walk.edges}


def test_a_release_alone_still_tells_what_it_is_made_of():
    walk = graph(Behind(RELEASE))
    assert walk.nodes[0].kind == "release"
    assert {node.kind for node in walk.nodes} >= set(MEMBERS)
    assert not [node for node in walk.nodes if node.kind == "source"]
    (transforms,) = (node for node in walk.nodes if node.kind == "transforms")
    assert dict(transforms.facts)["steps"] == "the DataPipeline says others by now, or is gone"


def test_sources_of_a_pipeline_that_was_changed_since_are_said_to_be_todays():
    (source,) = (n for n in graph(Behind(RELEASE, pipeline=TODAY)).nodes if n.kind == "source")
    assert "as the DataPipeline says now" in dict(source.facts)["note"]
    (source,) = (n for n in graph(WHOLE).nodes if n.kind == "source")
    assert "note" not in dict(source.facts)


def test_a_release_of_nothing_is_walked_too():
    assert graph(Behind(release())).nodes[0].title == "news-1"


@pytest.mark.parametrize("name", ["news-4", "", "0123456789ab", "0123456789ag-x", "X123456789ab-x"])
def test_what_is_no_id_of_an_answer_is_none(name):
    assert release_named_by(name, [RELEASE]) is None


def test_an_answer_is_found_by_the_first_digits_of_its_release():
    assert release_named_by(PREDICTION, [release(), RELEASE]) == (RELEASE,)
    assert release_named_by("0123456789ab-x", [release(), RELEASE]) == ()
    assert release_named_by(PREDICTION, [RELEASE, RELEASE]) == (RELEASE, RELEASE)


def test_as_json_it_is_nodes_and_edges_by_name():
    plain = graph(WHOLE).plain()
    names = [node["id"] for node in plain["nodes"]]
    assert len(names) == len(set(names))
    assert {name for edge in plain["edges"] for name in (edge["from"], edge["to"])} <= set(names)
    assert set(plain["nodes"][1]) == {"id", "kind", "title", "facts"}


def text_of(picture):
    return " ".join("".join(element.itertext()) for element in picture.iter())


def test_the_picture_is_one_file_that_asks_nobody_and_says_everything():
    drawn = svg(graph(WHOLE), "Lineage of <shop>")
    picture = ET.fromstring(drawn)  # noqa: S314 - our own picture
    assert not re.search(r'(href|src)="|url\((?!#)|@import|<script', drawn)
    assert "prefers-color-scheme:dark" in drawn
    said = text_of(picture)
    assert "Lineage of <shop>" in said
    assert "it is <good> & quick" in said
    for value in D.values():
        assert value in said or value == D["version"]


def test_the_page_has_the_picture_and_every_value_in_full():
    made = page(graph(WHOLE), "Lineage", "Release <news-4>")
    assert made.count("<svg") == 1
    assert "Release &lt;news-4&gt;" in made
    for _, value in [fact for node in graph(WHOLE).nodes for fact in node.facts]:
        assert value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in made
    assert not re.search(r'(src|href)="', made)


def boxes_of(walk):
    placed = layout(walk, dict.fromkeys((n.id for n in walk.nodes), 60.0))
    return placed, list(placed.boxes.values())


def crossed(a, b):
    return a.x < b.x + WIDTH and b.x < a.x + WIDTH and a.y < b.y + b.height and b.y < a.y + a.height


@st.composite
def walks(draw):
    """Graphs without a circle: edges lead from lower to higher numbers."""
    count = draw(st.integers(1, 12))
    numbers = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(numbers, numbers), max_size=20))
    edges = {Edge(str(a), str(b), "r") for a, b in pairs if a < b}
    return Graph(tuple(Node(str(n), "k", str(n)) for n in range(count)), tuple(sorted(edges, key=str)))


@given(walks())
def test_no_box_covers_another_and_every_edge_leads_to_the_right(walk):
    placed, boxes = boxes_of(walk)
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if crossed(a, b)]
    for edge, points in placed.routes:
        assert points[0][0] == placed.boxes[edge.source].x + WIDTH
        assert points[-1][0] == placed.boxes[edge.target].x
        assert list(points) == sorted(points, key=lambda point: point[0])
        for box in boxes:
            assert not [
                p for p in points[1:-1] if box.x < p[0] < box.x + WIDTH and box.y - GAP / 4 < p[1] < box.y + box.height
            ]
    assert min(min(b.x, b.y) for b in boxes) >= 0
    assert all(b.x + WIDTH <= placed.width and b.y + 60 <= placed.height for b in boxes)


def test_a_circle_is_no_walk():
    nodes = (Node("a", "k", "a"), Node("b", "k", "b"))
    with pytest.raises(ValueError, match="circle"):
        layout(Graph(nodes, (Edge("a", "b", "r"), Edge("b", "a", "r"))), {"a": 1.0, "b": 1.0})


@pytest.mark.parametrize(("text", "cut"), [("abcdefgh", "abcdefgh"), ("abcdefghi", "abcd…ghi"), ("a" * 40, "aaaa…aaa")])
def test_a_long_text_loses_its_middle(text, cut):
    assert shortened(text, 8) == cut
