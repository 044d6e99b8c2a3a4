"""What the battery has found, each as short as it can be told; none of it may come back."""

import pytest
from pachyderm_sdk import Client

from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.engines.pachyderm import PachydermEngine
from cdl.ports.errors import Unavailable
from cdl.testing.builders import folder
from tests.chaos.calls import REFUSE, Fault, Gate
from tests.chaos.grpc_proxy import GrpcProxy
from tests.chaos.servers import Servers
from tests.chaos.threads import Loop

OWNER = Key("DataPipeline", "default", "found")


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def engine(tmp_path, gate):
    servers, loop = Servers(tmp_path / "home"), Loop()
    servers.start("pachd")
    proxy = GrpcProxy("pachd", gate, f"127.0.0.1:{servers.at['pachd']}")
    made = PachydermEngine(f"127.0.0.1:{loop.run(proxy.start())}", steps_image="cdl/steps:test", programs=tmp_path)
    yield made
    made._client._channel.close() if isinstance(made._client, Client) else None
    loop.run(proxy.stop())
    loop.close()
    servers.stop()


@pytest.mark.timeout(40)
def test_a_half_commit_that_cannot_be_closed_now_is_no_reason_to_wait_for_its_end(engine, gate, tmp_path):
    """I4, found 2026-11-21: a refused FinishCommit was read as "closed already", and its end waited for, a minute."""
    files = folder(tmp_path, {"a.txt": "a", "b.txt": "b"})
    gate.plan = lambda call: Fault(REFUSE, code="UNAVAILABLE") if call.path.endswith("/FinishCommit") else None
    for _ in range(2):
        with pytest.raises(Unavailable):
            engine.ingest(OWNER, Side.TRAIN, "one", files)
    gate.plan = lambda _call: None
    engine.ingest(OWNER, Side.TRAIN, "one", files)
    assert [s.files for s in engine.look(OWNER, DataPipelineSpec()).sides] == [2, 0]
