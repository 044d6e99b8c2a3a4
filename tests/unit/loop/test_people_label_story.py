"""People label what the steps left; their answers are committed, arranged, and become a dataset version."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Side
from cdl.reconcile.decision import Appointment
from cdl.testing.builders import pipeline_document
from cdl.testing.weather import Crash
from cdl.testing.world import World

ANN, BOB, EVE = "ann@example.test", "bob@example.test", "eve@example.test"
FILES = {
    Side.TRAIN: {"a.txt": b"the match", "b.txt": b"the phone", "deep/c.txt": b"the cup"},
    Side.TEST: {"d.txt": b"a goal"},
}
ENOUGH = 14
STRIDE = 7
"""Moments between those at which an operator dies: each of them is a minute of tests."""


class Asking(World):
    """A world with one DataPipeline whose labels people give."""

    keeps_labels = True

    def __init__(self, folder, **more):
        super().__init__(folder)
        self.key = self.want(**more).key
        for side, files in FILES.items():
            self.data.push(self.key, side, files)

    def want(self, **more):
        asked = {"template": "text-classification", "choices": ["sport", "tech"], "sides": ["train", "test"]}
        labels = {"from": "labelStudio", "labelStudio": {**asked, "settle": "0s", **more}}
        steps = [{"name": "clean", "uses": "text/clean"}]
        wanted = pipeline_document(sources=[], steps=steps, checks=[], suspend=False, labels=labels)
        return self.resources.put(DataPipeline.read(wanted))

    @property
    def status(self):
        return self.resources.get(DataPipeline, "default", "news").status

    def said(self, kind="Ready"):
        found = next(c for c in self.status.conditions if c.type == kind)
        return found.status, found.reason.value, found.message

    @property
    def project(self):
        (found,) = [name for name, one in self.people.projects.items() if one.owner == self.key]
        return found

    @property
    def tasks(self):
        return {one.item: dict(one.fields) for one in self.people.projects[self.project].tasks.values()}

    def work(self, rounds=ENOUGH):
        for _ in range(rounds):
            again = self.turn(self.key)
            self.data.advance()
        return again

    def answer(self, who=ANN, **labels):
        for name, label in labels.items():
            self.people.answer(self.project, self.item(name), label, who=who)

    def item(self, name):
        return {"c": "/deep/c.txt"}.get(name, f"/{name}.txt")

    def commits(self, repo):
        return self.labelled.commits(self.key, repo)

    def rows(self):
        kept = self.commits("news-labels")[-1].files["labels.jsonl"]
        return [(row["item"], row["label"]) for row in map(json.loads, kept.decode().splitlines())]

    def files(self, side):
        made = getattr(self.status.dataset, side)
        return sorted(self.data.manifest(made.repo, made.commit))


@pytest.fixture
def world(tmp_path):
    made = Asking(tmp_path)
    made.work()
    return made


def test_what_the_steps_left_becomes_tasks_and_the_dataset_waits(world):
    assert world.tasks == {
        "/a.txt": {"item": "/a.txt", "text": "the match"},
        "/b.txt": {"item": "/b.txt", "text": "the phone"},
        "/deep/c.txt": {"item": "/deep/c.txt", "text": "the cup"},
        "/d.txt": {"item": "/d.txt", "text": "a goal"},
    }
    assert world.people.projects[world.project].title == "news"
    assert world.said() == ("Unknown", "WaitingForLabels", "0 of 4 labelled, as many as there are")
    assert world.said("LabelsReady")[:2] == ("False", "WaitingForLabels")
    assert world.status.dataset is None
    assert world.commits("news-labels") == []


def test_answers_become_one_commit_a_dataset_and_rows_in_the_label_store(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.work()
    assert world.said()[:2] == ("True", "Succeeded")
    assert world.said("LabelsReady") == ("True", "EnoughLabels", "4 of 4 items are labelled")
    assert len(world.commits("news-labels")) == 1
    assert world.rows() == [("/a.txt", "sport"), ("/b.txt", "tech"), ("/d.txt", "sport"), ("/deep/c.txt", "sport")]
    assert world.files("train") == ["/deep/sport/c.txt", "/sport/a.txt", "/tech/b.txt"]
    assert world.files("test") == ["/sport/d.txt"]
    assert world.status.dataset.labels.rows == 4
    stored = world.labels.stored(world.key, world.status.dataset.version)
    assert [(row.item, row.label, row.annotator) for row in stored.rows[Side.TRAIN]] == [
        ("/a.txt", "sport", ANN),
        ("/b.txt", "tech", ANN),
        ("/deep/c.txt", "sport", ANN),
    ]
    assert all(row.at is not None for row in stored.rows[Side.TEST])


def test_nothing_is_done_while_nobody_says_anything_new_but_people_are_listened_to(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.work()
    before = world.resources.writes, len(world.sky.calls)
    again = world.turn(world.key)
    assert world.resources.writes == before[0]
    assert isinstance(again, Appointment)
    assert again <= timedelta(seconds=15)
    assert [call for call in world.sky.calls[before[1] :] if "keep" in call or "add" in call or "have" in call] == []


def test_another_answer_is_another_version_with_the_old_label_in_the_history(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.work()
    before = world.status.dataset
    answer = next(n for n, one in world.people.projects[world.project].answers.items() if one.choices == ("tech",))
    world.people.change(world.project, answer, "sport")
    world.work()
    after = world.status.dataset
    assert after.version != before.version
    assert len(world.commits("news-labels")) == 2
    assert world.files("train") == ["/deep/sport/c.txt", "/sport/a.txt", "/sport/b.txt"]
    assert [(s.label, s.version) for s in world.labels.history(world.key, "/b.txt")] == [
        ("tech", before.version),
        ("sport", after.version),
    ]


def test_somebody_who_agrees_makes_no_other_version(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.work()
    before = world.status.dataset
    world.answer(who=BOB, a="sport", b="tech")
    world.work()
    assert world.status.dataset == before
    assert len(world.commits("news-labels")) == 2
    assert (world.status.labelling.annotators, world.status.labelling.agreement) == (2, 1.0)


def test_a_majority_counts_and_a_draw_waits(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.answer(who=BOB, a="tech", b="sport")
    world.work()
    assert world.said()[2] == "2 of 4 labelled, as many as there are, 2 undecided"
    world.answer(who=EVE, a="tech", b="tech")
    world.work()
    assert world.rows() == [("/a.txt", "tech"), ("/b.txt", "tech"), ("/d.txt", "sport"), ("/deep/c.txt", "sport")]
    assert world.status.labelling.agreement < 0.5


def test_a_gate_needs_so_many_labels_and_leaves_out_the_rest(tmp_path):
    world = Asking(tmp_path, minLabels=3)
    world.work()
    world.answer(a="sport", d="sport")
    world.work()
    assert world.said()[2] == "2 of 3 labelled, as many as labels.labelStudio.minLabels asks for"
    world.answer(b="tech")
    world.work()
    assert world.said()[0] == "True"
    assert (world.files("train"), world.files("test")) == (["/sport/a.txt", "/tech/b.txt"], ["/sport/d.txt"])


def test_each_side_needs_a_label(tmp_path):
    world = Asking(tmp_path, minLabels=1)
    world.work()
    world.answer(a="sport")
    world.work()
    assert world.said()[2] == "no item of the test side is labelled"


def test_several_people_are_waited_for_where_the_spec_says_so(tmp_path):
    world = Asking(tmp_path, votes=2)
    world.work()
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.answer(who=BOB, a="sport", b="tech", c="sport")
    world.work()
    assert world.said()[2] == "3 of 4 labelled, as many as there are"
    world.answer(who=EVE, d="sport")
    world.work()
    assert world.said()[0] == "True"


def test_a_pause_is_waited_for_before_answers_are_committed(tmp_path):
    world = Asking(tmp_path, settle="1h")
    world.work()
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.now += timedelta(minutes=30)
    world.work()
    assert world.commits("news-labels") == []
    assert "once they pause" in world.said()[2]
    world.now += timedelta(minutes=31)
    world.work()
    assert world.said()[0] == "True"


def test_new_data_become_new_tasks_and_labels_of_equal_content_stay(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.work()
    before = world.status.dataset
    world.data.push(world.key, Side.TRAIN, FILES[Side.TRAIN] | {"b.txt": b"another phone", "e.txt": b"new"})
    world.work()
    assert world.said()[2] == "3 of 5 labelled, as many as there are"
    assert world.status.dataset == before
    assert len(world.people.projects[world.project].tasks) == 6
    world.answer(b="tech", e="tech")
    world.work()
    assert world.files("train") == ["/deep/sport/c.txt", "/sport/a.txt", "/tech/b.txt", "/tech/e.txt"]


def test_what_cannot_be_used_is_told(world):
    world.data.push(world.key, Side.TRAIN, FILES[Side.TRAIN] | {"x.bin": b"\xff\x00\x01"})
    world.work()
    world.answer(a="weather")
    world.people.answer(world.project, "/b.txt", "tech", who=ANN, skipped=True)
    world.work()
    told = world.status.labelling
    assert told.passed_over == 3
    assert told.reasons == (
        "/x.bin: is neither a text in UTF-8 nor a picture",
        "/a.txt: chooses 'weather', which is not among the project's choices",
        "/b.txt: was skipped",
    )


def test_one_side_has_its_folders_as_labels_where_people_are_not_asked_about_it(tmp_path):
    world = Asking(tmp_path, sides=["train"])
    world.work()
    world.answer(a="sport", b="tech", c="sport")
    world.work()
    assert "the test side has no labels" in world.said()[2]
    world.data.push(world.key, Side.TEST, {"sport/d.txt": b"a goal"})
    world.work()
    assert world.said()[0] == "True"
    assert world.files("test") == ["/sport/d.txt"]
    assert set(world.tasks) == {"/a.txt", "/b.txt", "/deep/c.txt"}


def test_what_is_masked_is_not_shown(tmp_path):
    world = Asking(tmp_path, mask=["m[a-z]+", "phone"])
    world.work()
    assert [fields["text"] for _, fields in sorted(world.tasks.items())] == [
        "the █████",
        "the █████",
        "a goal",
        "the cup",
    ]


def test_pictures_travel_inside_their_tasks(tmp_path):
    world = Asking(tmp_path, template="image-classification")
    for side in Side:
        world.data.push(world.key, side, {"cat.png": b"\x89PNG\r\n\x1a\n...", "a.jpg": b"\xff\xd8\xff\xe0..."})
    world.work()
    assert world.tasks["/cat.png"]["image"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert world.tasks["/a.jpg"]["image"].startswith("data:image/jpeg;base64,")


def test_a_project_that_somebody_removed_is_made_again(world):
    world.people.projects.clear()
    world.work()
    assert len(world.tasks) == 4


def test_without_a_label_studio_one_sentence_says_what_to_start(tmp_path):
    world = Asking(tmp_path)
    world.people = None
    world.restart()
    world.work()
    assert world.said("LabelsReady")[:2] == ("False", "EngineUnavailable")
    assert world.said("Stalled")[2].endswith(
        "CDL_LABEL_STUDIO names no Label Studio; `cdl labelstudio up` starts one on this machine"
    )


def test_a_label_studio_that_does_not_answer_is_waited_for_and_the_dataset_stays(world):
    world.answer(a="sport", b="tech", c="sport", d="sport")
    world.work()
    before = world.status.dataset
    world.people.weather.down = True
    world.work(3)
    assert world.said()[1] == "EngineUnavailable"
    assert world.status.dataset == before


def test_the_project_goes_with_the_resource(world):
    world.resources.delete(world.key)
    world.work()
    assert world.people.projects == {}
    assert world.get(world.key) is None


def test_an_operator_that_dies_at_any_call_makes_no_second_project_task_or_commit(tmp_path):
    died = 0
    for number in range(0, 400, STRIDE):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = Asking(folder)
        world.sky.crash_in = number
        finished = True
        for step in ("ask", "answer"):
            for _ in range(ENOUGH):
                try:
                    world.turn(world.key)
                except Crash:
                    finished = False
                    world.restart()
                world.data.advance()
            if step == "ask":
                assert len(world.people.projects) == 1
                assert len(world.tasks) == 4
                world.answer(a="sport", b="tech", c="sport", d="sport")
        assert world.said()[0] == "True", (number, world.said())
        assert len(world.people.projects[world.project].tasks) == 4
        assert sum(commit.finished for commit in world.commits("news-labels")) == 1
        assert world.files("train") == ["/deep/sport/c.txt", "/sport/a.txt", "/tech/b.txt"]
        died += not finished
        if finished:
            break
    assert died > 100 / STRIDE
