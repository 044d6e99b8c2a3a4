"""What verbs are told in tests."""

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of the test's own, not made yet."""
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
