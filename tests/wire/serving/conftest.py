"""A model server for the tests that only ask, and a starter for those that do more."""

from __future__ import annotations

import pytest

from tests.wire.serving.tiny_release import Starter, TinyRelease


@pytest.fixture
def starter(tmp_path):
    (tmp_path / "processes").mkdir()
    starting = Starter(tmp_path / "processes")
    yield starting
    starting.stop()


@pytest.fixture
def tiny(tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    return TinyRelease(folder).write()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """One server for every test that only asks."""
    folder = tmp_path_factory.mktemp("rows")
    starting = Starter(folder)
    release = TinyRelease(folder)
    release.write()
    yield starting.serve(release, CDL_TIMEOUT_SECONDS="1.5", CDL_QUEUE="2", CDL_CONCURRENCY="2")
    starting.stop()
