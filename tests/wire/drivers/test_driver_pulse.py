"""What the drivers notice of the embedded engines without looking, and how long a beat of many takes."""

from __future__ import annotations

import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from determined.common.api import authentication
from determined.experimental.client import Determined
from kubernetes import client as kubernetes
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.determined import DeterminedEngine
from cdl.engines.pachyderm import PachydermEngine
from cdl.engines.seldon import SeldonEngine
from cdl.ports.errors import Unavailable
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.testing.builders import folder, owner, signer, step_wish
from cdl.testing.data_contract import NEWS, spec
from cdl.testing.pulse_contract import PulseContract
from tests.contract.pulses import ServingPulse, TrainingPulse

from .conftest import ROOT, eventually, free_port
from .wishes import Servings, Trainings, packed_code, releases_below, training

MANY = 200


def measured(engine, kind):
    """Ask three times; prints how long the first and the last beat took."""
    times = []
    for _ in range(3):
        began, spent = time.perf_counter(), time.process_time()
        found = engine.beat()
        times.append((time.perf_counter() - began, time.process_time() - spent))
    (first, _), *_, (wall, cpu) = times
    held = sum(key.kind == kind for key in found)
    print(f"\n{kind}: {held} held; first beat {first:.3f} s, later ones {wall:.3f} s ({cpu:.3f} s of it here)")
    return found


class TestPachydermPulse(PulseContract):
    first, second = step_wish("first"), step_wish("second", "first")

    @pytest.fixture(autouse=True)
    def _sdk(self, pachd):
        self.sdk = Client.from_pachd_address(pachd.address)

    @pytest.fixture
    def engine(self, pachd):
        return PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")

    def owner(self):
        return owner("DataPipeline", "pulse")

    def begin(self, engine, key, place):
        engine.ingest(key, Side.TRAIN, "one", folder(place, NEWS))
        engine.ensure_step(key, Side.TRAIN, self.first, "")
        engine.ensure_step(key, Side.TRAIN, self.second, "first")

    def change(self, engine, key, place):
        branch = pfs.Branch.from_uri(f"{key.name}-train@master")
        commit = self.sdk.pfs.start_commit(branch=branch)
        self.sdk.pfs.put_files(commit=commit, source=folder(place, {"tech/9.txt": "pushed"}), path="/")
        self.sdk.pfs.finish_commit(commit=commit)

    def forget(self, engine, key):
        engine.forget(key)

    def look(self, engine, key):
        return engine.look(key, spec(self.first, self.second))

    def settled(self, seen):
        return bool(seen.manifests)

    def later(self, engine):
        time.sleep(0.01)

    def test_a_commit_that_becomes_whole_without_any_step_is_noticed(self, engine, tmp_path):
        key = self.owner()
        self.sdk.pfs.create_repo(repo=pfs.Repo.from_uri(f"{key.name}-train"), description=f"default/{key.name}")
        branch = pfs.Branch.from_uri(f"{key.name}-train@master")
        commit = self.sdk.pfs.start_commit(branch=branch)
        assert engine.look(key, DataPipelineSpec()).sides[0].head is None
        open_text = engine.beat()[key]
        self.sdk.pfs.finish_commit(commit=commit)
        eventually(lambda: engine.look(key, DataPipelineSpec()).sides[0].head, bool)
        assert engine.beat()[key] != open_text
        engine.forget(key)

    def test_a_failed_step_and_a_removed_one_are_noticed(self, engine, tmp_path):
        key, wish = self.owner(), step_wish("first", image="cdl/steps:test", cmd=["false"])
        engine.ensure_step(key, Side.TRAIN, wish, "")
        texts = [engine.beat()[key]]
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        texts.append(engine.beat()[key])
        eventually(lambda: engine.look(key, spec(wish)).steps[0].failure, bool)
        texts.append(engine.beat()[key])
        (stray,) = engine.look(key, DataPipelineSpec()).strays
        engine.remove_stray(key, stray.name)
        texts.append(engine.beat()[key])
        assert len(set(texts)) == 4
        engine.forget(key)

    def test_a_repository_made_again_by_somebody_else_is_not_ours(self, engine, tmp_path):
        key = self.owner()
        engine.ingest(key, Side.TRAIN, "one", folder(tmp_path, NEWS))
        assert key in engine.beat()
        repo = pfs.Repo.from_uri(f"{key.name}-train")
        self.sdk.pfs.delete_repo(repo=repo)
        self.sdk.pfs.create_repo(repo=repo, description="somebody's notes")
        with self.sdk.pfs.commit(branch=pfs.Branch(repo=repo, name="master")):
            pass
        assert key not in engine.beat()
        self.sdk.pfs.delete_repo(repo=repo)

    def test_nobody_answering_is_unavailable(self):
        engine = PachydermEngine(f"127.0.0.1:{free_port()}", steps_image="x", programs=ROOT / "pipelines")
        with pytest.raises(Unavailable):
            engine.beat()


@pytest.fixture(scope="module")
def determined(master, pachd, tmp_path_factory):
    """The driver, and code that it can send."""
    artifacts = DirectoryArtifacts(tmp_path_factory.mktemp("pulse"))
    code = packed_code(artifacts)
    address = f"http://{master.address}"
    session = authentication.login(address, "determined", "")

    def made():
        return DeterminedEngine(address, fetch=artifacts.fetch, pachd=pachd.address)

    return made, code, Determined._from_session(session)


class TestDeterminedPulse(Trainings, TrainingPulse):
    @pytest.fixture
    def engine(self, determined):
        made, self.code, self.sdk = determined
        return made()

    def look(self, engine, key):
        runs = engine.look(key)
        return [run if run.phase.over else dataclasses.replace(run, trials=(), slot_seconds=0.0) for run in runs]

    def settled(self, seen):
        return all(run.phase.over and (run.best or run.failure) for run in seen)

    def later(self, engine):
        time.sleep(0.02)

    def _run(self, key, name="a"):
        (found,) = self.sdk.list_experiments(labels=[f"cdl-owner={key.namespace}.{key.name}", f"cdl-key={name}"])
        return found

    def test_what_a_person_does_at_the_master_is_noticed(self, engine):
        key = self.owner()
        engine.start(key, "a", self.long_wish())
        texts = [engine.beat()[key]]
        self._run(key).pause()
        texts.append(engine.beat()[key])
        self._run(key).kill()
        eventually(lambda: engine.look(key)[0].phase.over, bool)
        texts.append(engine.beat()[key])
        assert len(set(texts)) == 3
        run = self._run(key)
        run.archive()
        assert key not in engine.beat()
        run.unarchive()
        assert engine.beat()[key] == texts[-1]
        run.delete()
        eventually(engine.beat, lambda found: key not in found)

    def test_another_driver_tells_the_same_of_what_has_ended(self, engine, determined, tmp_path):
        key = self.owner()
        self.begin(engine, key, tmp_path)
        self.settle(engine, key)
        again = determined[0]()
        assert again.beat()[key] == engine.beat()[key]
        engine.forget(key)

    def test_nobody_answering_is_unavailable(self, engine):
        with pytest.raises(Unavailable):
            DeterminedEngine(f"http://127.0.0.1:{free_port()}", fetch=lambda *_: Path(), pachd="x").beat()


class TestSeldonPulse(Servings, ServingPulse):
    @pytest.fixture
    def engine(self, seldon):
        configuration = kubernetes.Configuration(host=f"http://{seldon.address}")
        self.objects = kubernetes.CustomObjectsApi(kubernetes.ApiClient(configuration))
        return SeldonEngine(f"http://{seldon.address}", image="cdl/serving:test", trusted=signer().trusted)

    @pytest.fixture(autouse=True)
    def _releases(self, tmp_path):
        self.releases = releases_below(tmp_path)

    def later(self, engine):
        time.sleep(0.02)

    def test_a_copy_under_another_name_is_nobodys(self, engine):
        key = self.owner()
        engine.serve(key, self.wish(1))
        place = {"group": "machinelearning.seldon.io", "version": "v1", "plural": "seldondeployments"}
        made = self.objects.get_namespaced_custom_object(**place, namespace="default", name=key.name)
        meta = {name: made["metadata"][name] for name in ("labels", "annotations")} | {"name": "copied"}
        copy = json.loads(json.dumps(made | {"metadata": meta}))
        self.objects.create_namespaced_custom_object(**place, namespace="default", body=copy)
        found = engine.beat()
        assert key in found
        assert Key("ModelDeployment", "default", "copied") not in found
        self.objects.delete_namespaced_custom_object(**place, namespace="default", name="copied")
        engine.remove(key)

    def test_nobody_answering_is_unavailable(self):
        with pytest.raises(Unavailable):
            SeldonEngine(f"http://127.0.0.1:{free_port()}", image="x").beat()


@pytest.mark.slow
def test_a_beat_of_many_pipelines(pachd, capsys):
    engine = PachydermEngine(pachd.address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
    owners = [owner("DataPipeline", "many") for _ in range(MANY // 2)]
    for key in owners:
        for side in Side:
            engine.ensure_step(key, side, step_wish("copy"), "")
    with capsys.disabled():
        assert set(owners) <= measured(engine, "DataPipeline").keys()
    for key in owners:
        engine.forget(key)


@pytest.mark.slow
def test_a_beat_of_many_experiments(determined, capsys):
    made, code, _ = determined
    engine, wish = made(), training(code)
    owners = [owner("Experiment", "many") for _ in range(MANY)]
    for key in owners:
        engine.start(key, "a", wish)
    with capsys.disabled():
        assert set(owners) <= measured(engine, "Experiment").keys()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(engine.forget, owners))
