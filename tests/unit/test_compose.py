"""What the wiring refuses, and what it leaves alone."""

from __future__ import annotations

import pytest

from cdl import compose
from cdl.ports.errors import NotPermitted, Rejected
from cdl.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


@pytest.mark.parametrize(("kind", "setting"), [("DataPipeline", "CDL_PACHD"), ("Experiment", "CDL_DETERMINED")])
def test_a_kind_without_an_engine_is_refused_by_the_settings_name(settings, kind, setting):
    with pytest.raises(Rejected, match=f"^{setting}: found nothing"):
        compose.engines(settings, compose.local_store(settings), (kind,))


def test_kinds_that_are_left_alone_need_no_engine(settings):
    world = compose.engines(settings, compose.local_store(settings), ())
    with pytest.raises(NotPermitted, match="does not look after Experiments"):
        world.training.beat()


def test_namespaces_are_read_by_commas():
    assert Settings(namespaces=" team-a, team-b,").watched == ("team-a", "team-b")
    assert Settings().watched == ()


def test_what_is_secret_is_named_and_never_shown(monkeypatch):
    monkeypatch.setenv("CDL_PACHD_TOKEN", "robot-0123456789")
    monkeypatch.setenv("CDL_PACHD_TRIAL_TOKEN", "robot-of-trials")
    monkeypatch.setenv("CDL_PACHD_EVALUATOR_TOKEN", "robot-of-evaluations")
    monkeypatch.setenv("CDL_DETERMINED_PASSWORD", "Correct-horse-1")
    settings = Settings()
    assert {"robot-0123456789", "robot-of-trials", "robot-of-evaluations", "Correct-horse-1"} <= set(settings.secrets)
    assert "" not in settings.secrets
    for secret in settings.secrets:
        assert secret not in f"{settings} {settings!r}"
    assert {n for n in Settings.model_fields if "password" in n or "token" in n} == {
        "determined_password",
        "forge_token",
        "label_studio_token",
        "pachd_evaluator_token",
        "pachd_evaluator_token_file",  # an address, which may be shown
        "pachd_token",
        "pachd_trial_token",
    }
