"""Both use cases by kubectl, from files to an answer, then edited, suspended and deleted; nothing is mocked.

On look-alike data in every test run; on the real data, which takes minutes, before a release.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest
import yaml

from cdl.cli.synthetic import look_alike, redirected
from tests.kube.platform_up import KINDS, ROOT

USE_CASES = ROOT / "use_cases"
CASES = [("fashion_mnist", "fashion-mnist"), ("bbc_news", "bbc-news")]
PLACES = [Path(place) for place in (os.environ.get("CDL_DATA"), ROOT.parent / "shared" / "data") if place]
RIGHT = {
    "fashion_mnist": {"boot": "Ankle boot", "trouser": "Trouser"},
    "bbc_news": {"goal": "sport", "phones": "tech", "rates": "business"},
}
"""What is in the samples, where a person would not doubt it."""


class Case:
    """A use case in a namespace of its own."""

    def __init__(self, platform, folder, name, namespace):
        self.platform, self.folder, self.name, self.namespace = platform, USE_CASES / folder, name, namespace
        self.names = [f"{kind}/{name}" for kind in KINDS]

    def apply(self, documents, seconds):
        """Apply everything and wait until all of it is Ready."""
        self.platform.apply(yaml.safe_dump_all(documents), "-n", self.namespace)
        words = ("wait", "--for=condition=Ready", "--timeout=60s", "-n", self.namespace, *self.names)
        self.platform.until("Ready", lambda: self.platform.run(*words).returncode == 0, seconds)

    def kubectl(self, *words):
        return self.platform.kubectl(words[0], "-n", self.namespace, *words[1:])

    def get(self, kind):
        return self.platform.resource(kind, self.namespace, self.name)

    def is_for(self, kind, reason):
        return self.platform.is_for(kind, self.namespace, reason, name=self.name)

    def runs(self):
        return [(run.id, run.state) for run in self.platform.runs(self.namespace, self.name)]

    def patch(self, kind, spec):
        self.platform.patch(kind, self.namespace, spec, name=self.name)

    def predictions(self):
        """Ask about each sample; give the answer's most probable class beside the name of the file."""
        url = self.platform.url(self.namespace, self.name)
        for sample in sorted((self.folder / "samples").iterdir()):
            text = sample.read_text(errors="replace")
            rows = text if sample.suffix == ".txt" else json.loads(text)
            answer = httpx.post(url, json={"data": {"ndarray": [rows]}}, timeout=60).raise_for_status().json()
            [shares] = answer["data"]["ndarray"]
            assert sum(shares) == pytest.approx(1, abs=1e-3)
            release = answer["meta"]["tags"]["release"]
            yield sample.stem, answer["data"]["names"][shares.index(max(shares))], release


@pytest.fixture(params=CASES, ids=[folder for folder, _ in CASES])
def case(platform, request):
    """A use case, and nothing of it afterwards."""
    folder, name = request.param
    namespace = f"{name}-{'slow' if request.node.get_closest_marker('slow') else 'quick'}"
    platform.kubectl("create", "namespace", namespace)
    yield Case(platform, folder, name, namespace)
    platform.kubectl("delete", "namespace", namespace, "--timeout=120s")
    platform.until("an end of all of it", lambda: platform.held(namespace) == set())


def work_through(case, documents, seconds):
    """Apply, ask, edit, suspend, delete."""
    case.apply(documents, seconds)
    release = f"{case.name}-1"
    answers = list(case.predictions())
    assert {served for _, _, served in answers} == {release}
    runs = case.runs()
    assert [state for _, state in runs] == ["COMPLETED"]
    trials = case.get("experiment")["status"]["trials"]
    assert (trials["total"], trials["failed"]) == (4, 0)
    judged_by_less(case, runs)
    suspended_and_back(case, runs, documents)
    assert {served for _, _, served in case.predictions()} == {release}
    case.platform.delete(case.namespace, case.name)
    assert case.platform.held(case.namespace) == set()
    return answers


def judged_by_less(case, runs):
    """A gate is edited: it is judged again, and nothing is trained again."""
    case.patch("experiment", {"evaluation": {"gates": [{"metric": "accuracy", "min": 0.5}]}})
    case.is_for("experiment", "Succeeded")
    (gate,) = case.get("experiment")["status"]["evaluation"]["gates"]
    assert (gate["min"], gate["passed"]) == (0.5, True)
    assert case.runs() == runs


def suspended_and_back(case, runs, documents):
    """While it is suspended a wish for another training stays a wish; taken back, there is nothing to do."""
    (experiment,) = (document for document in documents if document["kind"] == "Experiment")
    epochs = experiment["spec"]["config"]["hyperparameters"]["epochs"]
    case.patch("experiment", {"suspend": True, "config": {"hyperparameters": {"epochs": epochs + 1}}})
    case.is_for("experiment", "Suspended")
    case.platform.looked_at("experiment", case.namespace, case.name)
    assert case.runs() == runs
    case.patch("experiment", {"suspend": False, "config": {"hyperparameters": {"epochs": epochs}}})
    case.is_for("experiment", "Succeeded")
    assert case.runs() == runs


def rendered(case):
    return list(yaml.safe_load_all(case.platform.rendered(case.folder)))


def test_a_use_case_on_look_alike_data(case):
    made = look_alike(case.folder, case.platform.home)
    assert work_through(case, [redirected(document, made) for document in rendered(case)], 240)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_use_case_on_the_real_data(case):
    real = next((place / case.name for place in PLACES if (place / case.name).is_dir()), None)
    if real is None:
        pytest.skip(f"no {case.name} below CDL_DATA or ../shared/data")
    (case.platform.data / case.name).symlink_to(real)
    answers = {sample: said for sample, said, _ in work_through(case, rendered(case), 1200)}
    assert answers | RIGHT[case.folder.name] == answers
