"""Notes that nobody has labelled become a served model, by what people say in the real Label Studio."""

from __future__ import annotations

import io
import json
import re
import tarfile
import time

import pytest

from cdl.embedded.labelstudio import environment
from tests.e2e.conftest import Place, notes
from tests.wire.labelstudio.studios import Studio

# What its makers publish is installed where it is missing, before the clock of a test begins.
pytestmark = pytest.mark.timeout(1200, func_only=True)

ANN, BOB, EVE = "ann@example.test", "bob@example.test", "eve@example.test"
COUNT = 12
"""Notes of each class."""
ASKED = (
    "{from: labelStudio, labelStudio: {template: text-classification, choices: [down, up], sides: [train, test], "
    "settle: 0s}}"
)


class Unlabelled(Place):
    """The tiny project, whose notes come without folders."""

    def __init__(self, folder):
        super().__init__(folder)
        self.studio = Studio(self.home)
        self.labels = {f"/{name.replace('/', '-')}": name.split("/")[0] for name, _ in self.notes}
        self.edit("resources/datapipeline.yaml", "labels: {from: parent}", f"labels: {ASKED}")
        self.edit("resources/datapipeline.yaml", "unpack: tar}", "unpack: tar, strip: 1}")

    @property
    def notes(self):
        return [(name, content) for name, content in notes(COUNT) if re.search(r"/\d+", name)]

    def write_notes(self, count):
        with tarfile.open(self.data / "notes.tar.gz", "w:gz") as archive:
            for name, content in self.notes:
                member = tarfile.TarInfo(f"inbox/{name.replace('/', '-')}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    def answer(self, labels, who=ANN):
        project = self.get("datapipeline")["status"]["labelling"]["project"]
        for item, label in labels.items():
            self.studio.ask("answered", project, item, [label], who, False)

    def shown(self, *words):
        answer = self.cdl(*words)
        assert answer.returncode == 0, self.story(answer)
        return answer.stdout


def until(place, holds, seconds=120):
    """Wait for what the operator makes of itself of what people said."""
    deadline = time.monotonic() + seconds
    while not holds(place.get("datapipeline")["status"]):
        assert time.monotonic() < deadline, place.get("datapipeline")["status"]
        time.sleep(0.5)


@pytest.fixture(scope="module")
def installed():
    environment.make(print)


@pytest.fixture(scope="module")
def told(installed, tmp_path_factory):
    made = Unlabelled(tmp_path_factory.mktemp("unlabelled"))
    try:
        made.refused = made.cdl("run", made.project)
        made.studio.start()
        made.waiting = made.run()
        yield made
    finally:
        made.studio.stop()


def test_without_a_label_studio_a_run_says_what_to_start(told):
    assert told.refused.returncode == 1
    assert "names no Label Studio; `cdl labelstudio up` starts one on this machine" in told.refused.stdout


def test_what_people_say_becomes_a_dataset_a_model_and_an_answer(told):
    assert f"0 of {2 * COUNT} labelled" in told.waiting
    assert told.get("datapipeline")["status"].get("dataset") is None
    told.answer(told.labels)
    told.answer({item: told.labels[item] for item in sorted(told.labels)[:3]}, who=BOB)
    told.run()
    status = told.get("datapipeline")["status"]
    assert status["dataset"]["labels"]["rows"] == 2 * COUNT
    assert (status["labelling"]["annotators"], status["labelling"]["agreement"]) == (2, 1.0)
    assert (status["labelling"]["labelled"], status["labelling"].get("passedOver", 0)) == (2 * COUNT, 0)
    flat = json.loads(told.shown("data", "labels", "tiny", "-o", "json"))["labels"]
    assert {row["item"]: row["label"] for row in flat} == told.labels
    assert {row["annotator"] for row in flat} <= {ANN, BOB}
    assert told.get("experiment")["status"]["release"] == "tiny-1"
    assert "up" in told.shown("predict", "tiny", told.project / "samples" / "rising.txt")
    assert "labels" in told.shown("verify", "tiny-1")

    item = max(told.labels)
    another = {"up": "down", "down": "up"}[told.labels[item]]
    for who in (BOB, EVE):
        told.answer({item: another}, who=who)
    until(told, lambda now: now["dataset"]["version"] != status["dataset"]["version"])
    after = told.get("datapipeline")["status"]["labelling"]
    assert after["commit"] != status["labelling"]["commit"]
    assert after["agreement"] < 1
