"""The contract suites are tested too: each lie is refused by the tests of its promise and by no other.

A liar is an engine in memory that breaks exactly one promise. A contract test that no liar needs proves nothing.
"""

from __future__ import annotations

import inspect

import pytest

from tests.contract import test_memory_contracts as honest
from tests.contract.liars import (
    artifacts,
    data,
    forge,
    labelled,
    labelling,
    labels,
    ledger,
    pulse,
    raw,
    resources,
    serving,
    signing,
    sources,
    training,
)

SUITES = {
    honest.TestMemoryData: data.LIARS,
    honest.TestMemoryRaw: raw.LIARS,
    honest.TestMemoryTraining: training.LIARS,
    honest.TestMemoryServing: serving.LIARS,
    honest.TestMemoryDataPulse: pulse.DATA_LIARS,
    honest.TestMemoryTrainingPulse: pulse.TRAINING_LIARS,
    honest.TestMemoryServingPulse: pulse.SERVING_LIARS,
    honest.TestMemoryArtifacts: artifacts.LIARS,
    honest.TestMemorySources: sources.LIARS,
    honest.TestMemoryForge: forge.LIARS,
    honest.TestMemoryLabels: labels.LIARS,
    honest.TestMemoryLabelled: labelled.LIARS,
    honest.TestMemoryLabelling: labelling.LIARS,
    honest.TestMemoryLedger: ledger.LIARS,
    honest.TestMemorySigner: signing.LIARS,
    honest.TestMemoryResources: resources.LIARS,
}
CASES = [
    pytest.param(suite, liar, expected, id=f"{liar.__module__.rpartition('.')[2]}-{liar.__name__}")
    for suite, liars in SUITES.items()
    for liar, expected in liars.items()
]


def promises(suite):
    return sorted(name for name in dir(suite) if name.startswith("test_"))


def refused_by(suite, engine, place):
    """The tests of a suite that an engine does not pass."""
    refused = set()
    for name in promises(suite):
        folder = place / name
        folder.mkdir()
        test = getattr(suite(), name)
        given = {
            "engine": engine(folder) if "folder" in inspect.signature(engine).parameters else engine(),
            "tmp_path": folder,
        }
        try:
            test(**{k: v for k, v in given.items() if k in inspect.signature(test).parameters})
        except (Exception, pytest.fail.Exception):
            refused.add(name)
    return refused


@pytest.mark.parametrize(("suite", "liar", "expected"), CASES)
def test_each_lie_is_refused_by_the_tests_of_its_promise(suite, liar, expected, tmp_path):
    assert refused_by(suite, liar, tmp_path) == expected


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_an_honest_engine_is_refused_by_none(suite, tmp_path):
    # a liar's own classes come first, then the engine that it makes a liar of
    honest_engine = next(c for c in next(iter(SUITES[suite])).__mro__ if c.__module__.startswith("cdl."))
    assert refused_by(suite, honest_engine, tmp_path) == set()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_every_contract_test_refuses_some_liar(suite):
    assert set(promises(suite)) == set().union(*SUITES[suite].values())
