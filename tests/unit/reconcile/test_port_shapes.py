"""Ports are small, their errors few, and the engines in memory have exactly their methods."""

from __future__ import annotations

import inspect

import pytest

from cdl.api.conditions import Reason
from cdl.local import LocalStore
from cdl.ports import artifacts, data, errors, labels, ledger, logs, resources, serving, signing, sources, training
from cdl.stores.postgres import PostgresLabels, PostgresLedger
from cdl.testing import memory

PORTS = {
    artifacts.ArtifactStore: [memory.MemoryArtifacts],
    data.DataEngine: [memory.MemoryData],
    data.DataHistory: [memory.MemoryData],
    labels.LabelStore: [memory.MemoryLabels, PostgresLabels],
    ledger.Ledger: [memory.MemoryLedger, PostgresLedger],
    logs.LogReader: [],
    resources.ResourceStore: [memory.MemoryResources, LocalStore],
    serving.ServingEngine: [memory.MemoryServing],
    signing.Signer: [memory.MemorySigner],
    sources.SourceCollector: [memory.MemorySources],
    training.TrainingEngine: [memory.MemoryTraining],
}


def promises(port):
    return {name: f for name, f in vars(port).items() if inspect.isfunction(f) and not name.startswith("_")}


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_a_port_has_at_most_five_methods_and_a_promise_for_each(port):
    assert 0 < len(promises(port)) <= 5
    assert all(len(f.__doc__.split()) >= 5 for f in promises(port).values())


@pytest.mark.parametrize(("port", "engine"), [(port, engine) for port, engines in PORTS.items() for engine in engines])
def test_an_engine_takes_what_its_port_says(port, engine):
    for name, promise in promises(port).items():
        assert list(inspect.signature(promise).parameters) == list(inspect.signature(getattr(engine, name)).parameters)


def test_there_are_four_errors_and_each_says_one_sentence():
    kinds = {errors.Unavailable, errors.Conflict, errors.Rejected, errors.NotPermitted}
    assert {kind for kind in errors.PortError.__subclasses__() if kind.__module__ == errors.__name__} == kinds
    assert {str(kind("no")) for kind in kinds} == {"no"}


def test_a_rejection_knows_its_reason():
    assert errors.Rejected("no").reason is Reason.ENGINE_REFUSED
    assert errors.Rejected("no", Reason.SOURCE_UNUSABLE).reason is Reason.SOURCE_UNUSABLE
