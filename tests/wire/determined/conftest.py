"""One embedded master for most tests; the real SDK as its client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.determined.dets import Det
from tests.wire.determined.masters import Determined, ExperimentState, Server, ends, free_port

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The SDK packs a folder with a pattern class that its own dependency calls deprecated."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"))


@pytest.fixture(scope="session", autouse=True)
def _sdk_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DET_DEBUG_CONFIG_PATH", str(tmp_path_factory.mktemp("sdk")))
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("master"), free_port()).start()
    yield started
    assert started.stop() == 0
    assert started.trial_processes() == []


@pytest.fixture(autouse=True)
def _slots_are_free_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails half-way must not hold the slots of the next one."""
    yield
    if "client" in request.fixturenames:
        client = request.getfixturevalue("client")
        for left in client.list_experiments(states=[ExperimentState.ACTIVE, ExperimentState.PAUSED]):
            left.kill()
            ends(left)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "master", free_port()).start()
    yield started
    if started.process is not None and started.process.poll() is None:
        started.stop()
    assert started.trial_processes() == []


@pytest.fixture(scope="session")
def client(server: Server) -> Determined:
    return server.client()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A master of a module's own, so that its lists hold what the module made."""
    started = Server(tmp_path_factory.mktemp("cluster"), 0).start()
    yield started
    assert started.stop() == 0
    assert started.trial_processes() == []


@pytest.fixture(scope="module")
def sdk(cluster: Server) -> Determined:
    return cluster.client()


@pytest.fixture(scope="module")
def det(cluster: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Det]:
    """The command line, speaking to the module's own master."""
    started = Det(cluster.url, tmp_path_factory.mktemp("det"))
    yield started
    started.close()
