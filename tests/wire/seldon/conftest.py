"""One engine for the tests that only talk to it, and fresh ones for those that kill it."""

from __future__ import annotations

import pytest

from tests.wire.seldon.engine import Engine
from tests.wire.serving.tiny_release import TinyRelease


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("shared")).start()
    yield engine
    engine.close()


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path / "engine").start()
    yield made
    made.close()


@pytest.fixture
def tiny(tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    return TinyRelease(folder).write()
