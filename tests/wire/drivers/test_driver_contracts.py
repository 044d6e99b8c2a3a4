"""The published contracts, kept by the drivers on the embedded engines and by the stores."""

from __future__ import annotations

import itertools
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from determined.common.api import authentication
from determined.experimental.client import Determined
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.determined import DeterminedEngine
from cdl.engines.pachyderm import PachydermEngine
from cdl.engines.seldon import SeldonEngine
from cdl.reconcile.experiment import TrainWish
from cdl.reconcile.modeldeployment import ServingPhase
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.stores.sources import Sources
from cdl.testing import builders
from cdl.testing.artifacts_contract import ArtifactStoreContract
from cdl.testing.builders import signer
from cdl.testing.data_contract import DataEngineContract
from cdl.testing.serving_contract import ServingEngineContract
from cdl.testing.sources_contract import SourceCollectorContract
from cdl.testing.training_contract import TrainingEngineContract

from .conftest import ROOT, eventually, free_port
from .wishes import Servings, Trainings, packed_code, releases_below


class TestPachyderm(DataEngineContract):
    @pytest.fixture(autouse=True)
    def _sdk(self, data_address):
        self.sdk = Client.from_pachd_address(data_address)

    @pytest.fixture
    def engine(self, data_address, request, monkeypatch):
        made = PachydermEngine(data_address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
        if not request.config.getoption("--pachd"):
            yield made
            return
        first = time.time_ns() // 1_000_000  # somebody's pachd may remember what an earlier run called its own
        monkeypatch.setattr(builders, "_numbers", itertools.count(first))
        yield made
        for number in range(first, next(builders._numbers)):
            made.forget(Key("DataPipeline", "default", f"owner-{number}"))
            for which in Side:  # what `abandon` makes has no owner's mark
                self.sdk.pfs.delete_repo(repo=pfs.Branch.from_uri(f"owner-{number}-{which}@master").repo, force=True)

    def settle(self, engine, key, wanted):
        def quiet(seen) -> bool:
            heads = {s.side: s.head for s in seen.sides}
            for step in seen.steps:
                if step.wish is not None and not step.done and not step.failure:
                    return False
                if step.wish is not None and heads[step.side] and step.input != heads[step.side]:
                    return False
                heads[step.side] = step.head
            return True

        return eventually(lambda: engine.look(key, wanted), quiet, 240)  # a worker may be a pod that has to start

    def abandon(self, engine, key, which, ingest, files):
        branch = pfs.Branch.from_uri(f"{key.name}-{which}@master")
        self.sdk.pfs.create_repo(repo=branch.repo, update=True)
        commit = self.sdk.pfs.start_commit(branch=branch, description=f"cdl:{ingest}")
        self.sdk.pfs.put_files(commit=commit, source=files, path="/")


@pytest.fixture(scope="module")
def world(master, pachd, tmp_path_factory):
    """One store of code, one dataset and one master for all of them."""
    root = tmp_path_factory.mktemp("training")
    artifacts = DirectoryArtifacts(root / "artifacts")
    code = packed_code(artifacts)
    data = PachydermEngine(pachd.address, steps_image="x", programs=ROOT / "pipelines")
    owner = Key("DataPipeline", "default", "measured")
    (root / "files" / "sport").mkdir(parents=True)
    (root / "files" / "sport" / "1.txt").write_text("goal")
    data.ingest(owner, Side.TEST, "k", root / "files")
    commit = data.look(owner, DataPipelineSpec()).sides[1].head
    engine = DeterminedEngine(
        f"http://{master.address}",
        fetch=artifacts.fetch,
        pachd=pachd.address,
        environment={"CDL_CACHE": str(root / "cache")},
    )
    session = authentication.login(f"http://{master.address}", "determined", "")
    return engine, code, commit, Determined._from_session(session)


class TestDetermined(Trainings, TrainingEngineContract):
    @pytest.fixture
    def engine(self, world):
        engine, self.code, self.commit, self.sdk = world
        return engine

    def measuring_wish(self, checkpoint):
        return TrainWish(
            "news-evaluation", {}, self.code, "measured-test", self.commit, "evaluate:evaluate", checkpoint
        )

    def settle(self, engine, key):
        runs = eventually(lambda: engine.look(key), lambda seen: all(r.phase.over for r in seen))
        if any(r.phase == "Failed" and not r.failure for r in runs):  # the log comes after the end
            runs = eventually(lambda: engine.look(key), lambda seen: all(r.failure or r.best for r in seen))
        return runs

    def _runs(self, key, *labels):
        return self.sdk.list_experiments(labels=[f"cdl-owner={key.namespace}.{key.name}", *labels])

    def pause(self, engine, key, run):
        (found,) = self._runs(key, f"cdl-key={run}")
        found.pause()

    def live(self, engine, key):
        return sum(e.state.name not in {"COMPLETED", "CANCELED", "ERROR"} for e in self._runs(key))


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    return releases_below(tmp_path_factory.mktemp("releases"))


class TestSeldon(Servings, ServingEngineContract):
    @pytest.fixture
    def engine(self, seldon, releases):
        self.releases = releases
        return SeldonEngine(f"http://{seldon.address}", image="cdl/serving:test", trusted=signer().trusted)

    def settle(self, engine, key):
        return eventually(lambda: engine.look(key), lambda s: s.phase is not ServingPhase.CREATING)


class TestDirectoryArtifacts(ArtifactStoreContract):
    @pytest.fixture
    def engine(self, tmp_path):
        return DirectoryArtifacts(tmp_path)

    def damage(self, engine, uri):
        Path(uri.removeprefix("file://")).write_bytes(b"something else")

    def lose(self, engine, uri):
        Path(uri.removeprefix("file://")).unlink()

    def lay(self, engine, files):
        place = Path(engine.shelf.removeprefix("file://")) / "laid"
        for path, content in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        return place.as_uri()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestSources(SourceCollectorContract):
    names = itertools.count()

    @pytest.fixture
    def engine(self, tmp_path, web):
        self.folder, self.address = web
        return Sources(tmp_path)

    def publish(self, engine, name, content):
        place = self.folder / str(next(self.names))
        place.mkdir()
        (place / name).write_bytes(content)
        return f"{self.address}/{place.name}/{name}"

    def replace(self, engine, uri, content):
        (self.folder / uri.removeprefix(f"{self.address}/")).write_bytes(content)

    def withdraw(self, engine, uri):
        (self.folder / uri.removeprefix(f"{self.address}/")).unlink()

    def silent(self, engine):
        return f"http://127.0.0.1:{free_port()}/a.txt"
