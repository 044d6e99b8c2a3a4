"""Where auth is on, pachd does not list the branches of all repositories; the driver asks for each."""

from __future__ import annotations

import grpc
import pytest

from cdl.engines.pachyderm import PachydermEngine
from tests.wire.drivers.test_driver_pulse import TestPachydermPulse

from .between import standing_before
from .conftest import ROOT

REFUSAL = (grpc.StatusCode.UNKNOWN, "Cannot list branches from all repos with auth activated")


@pytest.fixture(scope="module")
def guarded(pachd):
    def judge(method, _, first):
        return REFUSAL if (method, first) == ("/pfs_v2.API/ListBranch", b"") else None

    with standing_before(pachd.address, judge) as found:
        yield found


class TestPulseWithAuth(TestPachydermPulse):
    @pytest.fixture
    def engine(self, guarded):
        guard, address = guarded
        made = PachydermEngine(address, steps_image="cdl/steps:test", programs=ROOT / "pipelines")
        before = guard.refused
        yield made
        assert guard.refused > before


del TestPachydermPulse  # it has its own module
