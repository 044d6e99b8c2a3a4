"""DeterminedEngine against the embedded master, through the real SDK and with real trials."""

from __future__ import annotations

import hashlib
import itertools
import threading
from pathlib import Path

import pytest
from determined.common.api import authentication
from determined.experimental.client import Determined

from cdl.api.conditions import Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.api.v1alpha1.experiment import Archive
from cdl.engines.determined import DeterminedEngine
from cdl.engines.pachyderm import PachydermEngine
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.reconcile.experiment import RunPhase, TrainWish
from cdl.stores.artifacts import DirectoryArtifacts

from .conftest import ROOT, eventually, free_port
from .wishes import SINGLE, packed_code
from .wishes import training as wish

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory):
    return DirectoryArtifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def code(artifacts):
    return packed_code(artifacts)


@pytest.fixture(scope="session")
def engine(master, artifacts, pachd, tmp_path_factory):
    return make_engine(master, artifacts, pachd.address, tmp_path_factory.getbasetemp() / "cache")


def make_engine(master, artifacts, pachd, cache):
    url = f"http://{master.address}"
    return DeterminedEngine(url, fetch=artifacts.fetch, pachd=pachd, environment={"CDL_CACHE": str(cache)})


@pytest.fixture
def sdk(master):
    session = authentication.login(f"http://{master.address}", "determined", "")
    return Determined._from_session(session)


@pytest.fixture
def owner():
    return Key("Experiment", "default", f"exp{next(NUMBERS)}")


def runs_at_master(sdk, key: str):
    return [e for e in sdk.list_experiments(labels=[f"cdl-key={key}"]) if not e.archived]


def over(engine, owner, key):
    def look():
        return next((r for r in engine.look(owner) if r.key == key), None)

    return eventually(look, lambda r: r is not None and r.phase.over)


@pytest.fixture(scope="session")
def trained(engine, code):
    owner = Key("Experiment", "default", "trained")
    engine.start(owner, "k1", wish(code, skill=0.9, epochs=3))
    return over(engine, owner, "k1")


def test_a_run_ends_with_its_trials_and_its_best_checkpoint(trained):
    run = trained
    assert run.phase is RunPhase.SUCCEEDED
    assert run.started_at <= run.finished_at
    (trial,) = run.trials
    assert (trial.state, trial.steps, trial.stopped_early) == ("Succeeded", 30, False)
    assert trial.metric == pytest.approx(0.9 * 3 / 4)
    assert trial.hparams == {"skill": 0.9, "epochs": 3}
    assert run.started_at <= trial.started_at <= trial.finished_at <= run.finished_at
    assert run.slot_seconds > 0
    assert (run.best.trial, run.best.metric) == (trial.id, trial.metric)
    assert run.best.uri.startswith("file:///")
    assert (Path(run.best.uri.removeprefix("file://")) / "weights.txt").read_text() == "3"


def test_starting_twice_makes_one_run_with_labels_data_and_variables(engine, sdk, owner, code):
    engine.start(owner, "k-config", wish(code))
    engine.start(owner, "k-config", wish(code))
    (found,) = runs_at_master(sdk, "k-config")
    assert found.labels == {"mine", "cdl", f"cdl-owner=default.{owner.name}", "cdl-key=k-config"}
    dataset = found.get_pachyderm_config()["dataset"]
    assert (dataset["project"], dataset["repo"], dataset["commit"]) == ("default", "news-train", "0" * 32)
    variables = found.config["environment"]["environment_variables"]
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1" in (variables if isinstance(variables, list) else variables["cpu"])
    engine.stop(owner, "k-config")


def test_two_that_start_at_the_same_moment_end_with_one(master, artifacts, sdk, owner, code, tmp_path):
    engines = [make_engine(master, artifacts, "127.0.0.1:1", tmp_path) for _ in range(3)]
    barrier, faults = threading.Barrier(len(engines)), []

    def go(one):
        barrier.wait()
        try:
            one.start(owner, "k-race", wish(code, epochs=1))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=go, args=(one,)) for one in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:  # the slower ones may be told to look again; then they do
        engines[0].start(owner, "k-race", wish(code, epochs=1))
    assert len(runs_at_master(sdk, "k-race")) == 1
    assert over(engines[0], owner, "k-race").phase is RunPhase.SUCCEEDED


def test_a_search_says_who_was_stopped_early(engine, owner, code):
    searcher = {
        **SINGLE,
        "name": "adaptive_asha",
        "max_trials": 4,
        "max_time": 4,
        "time_metric": "epochs",
        "max_concurrent_trials": 2,
        "divisor": 2,
        "mode": "aggressive",
    }
    skill = {"type": "double", "minval": 0.1, "maxval": 0.9}
    engine.start(owner, "k-asha", wish(code, searcher, skill=skill, epochs=4, pause=0.1))
    run = over(engine, owner, "k-asha")
    assert run.phase is RunPhase.SUCCEEDED
    assert len(run.trials) == 4
    assert {t.stopped_early for t in run.trials} == {True, False}
    for trial in run.trials:
        assert trial.stopped_early == (trial.steps < 40)
    best = max(run.trials, key=lambda t: t.metric)
    assert (run.best.trial, run.best.metric) == (best.id, best.metric)


def test_a_failing_trial_says_its_last_words(engine, owner, code):
    engine.start(owner, "k-bad", wish(code, breaks=True))
    run = over(engine, owner, "k-bad")
    assert run.phase is RunPhase.FAILED
    assert eventually(lambda: over(engine, owner, "k-bad").failure, bool).endswith(
        "ValueError: the learning rate is a banana"
    )
    assert [t.state for t in run.trials] == ["Failed"]


def test_an_evaluation_measures_the_best_checkpoint_on_the_test_side(engine, trained, pachd, owner, code, tmp_path):
    data = PachydermEngine(pachd.address, steps_image="x", programs=ROOT / "pipelines")
    (tmp_path / "sport").mkdir()
    (tmp_path / "sport" / "1.txt").write_bytes(b"goal")
    pipeline = Key("DataPipeline", "default", f"data{next(NUMBERS)}")
    data.ingest(pipeline, Side.TEST, "k", tmp_path)
    best = trained.best
    commit = data.look(pipeline, DataPipelineSpec()).sides[1].head
    measuring = TrainWish("news-evaluation", {}, code, f"{pipeline.name}-test", commit, "evaluate:evaluate", best.uuid)
    engine.start(owner, "e-1", measuring)
    run = over(engine, owner, "e-1")
    assert run.phase is RunPhase.SUCCEEDED, run.failure
    measured = eventually(lambda: over(engine, owner, "e-1").measurement, bool)
    assert measured.metrics == {"accuracy": 0.75, "epoch": 3.0}
    assert measured.per_class["sport"] == {"precision": 1.0, "recall": 0.5, "f1": 0.66, "support": 1.0}
    weights = f"sha256:{hashlib.sha256(b'3').hexdigest()}"
    assert measured.files["weights.txt"] == weights
    assert measured.environment["packages"]["determined"] == "0.38.1"
    assert measured.raw["n"] == 1
    assert run.best is None


def test_registering_an_unknown_checkpoint_is_one_sentence(engine, owner):
    with pytest.raises(Conflict, match=r"^registering a version of model .*not-a-checkpoint"):
        engine.register(owner.namespace, f"model-{owner.name}", "not-a-checkpoint", "sha256:cc")


def test_a_changed_archive_is_refused(engine, owner, code):
    forged = wish(Archive(uri=code.uri, sha256="0" * 64))
    with pytest.raises(Rejected, match="expected 000000000000"):
        engine.start(owner, "k-forged", forged)
    assert engine.look(owner) == ()


def test_a_config_the_master_refuses_is_one_sentence(engine, owner, code):
    with pytest.raises(Rejected, match=r"^starting run k-wrong: .*") as caught:
        engine.start(owner, "k-wrong", wish(code, {"name": "no_such_searcher", "metric": "accuracy"}))
    assert "\n" not in str(caught.value)
    assert caught.value.reason is Reason.ENGINE_REFUSED


def test_nobody_answering_is_unavailable(artifacts, owner):
    engine = DeterminedEngine(f"http://127.0.0.1:{free_port()}", fetch=artifacts.fetch, pachd="127.0.0.1:1")
    with pytest.raises(Unavailable, match="the Determined master does not answer"):
        engine.look(owner)


def test_a_wrong_password_is_not_permitted(master, artifacts, owner):
    url = f"http://{master.address}"
    engine = DeterminedEngine(url, fetch=artifacts.fetch, pachd="127.0.0.1:1", user="nobody", password="x")
    with pytest.raises(NotPermitted, match="looking at Experiment"):
        engine.look(owner)
