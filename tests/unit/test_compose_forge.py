"""Which projects of the forge are asked, and that its token is lent to no other and shown to nobody."""

from __future__ import annotations

import pytest

from cdl import compose, settings
from cdl.ports.errors import Rejected
from cdl.settings import Settings

CANARY = "glpat-Canary0123456789"


@pytest.fixture
def told(monkeypatch, tmp_path):
    monkeypatch.setenv("CDL_HOME", str(tmp_path))
    monkeypatch.setenv("CDL_FORGE", "https://gitlab.example.test")
    monkeypatch.setenv("CDL_FORGE_TOKEN", CANARY)
    monkeypatch.setenv("CDL_FORGE_PROJECTS", "team/news, team/fashion")
    return settings.read()


def test_without_an_address_there_is_no_forge(tmp_path):
    assert compose.forge(Settings(home=tmp_path, forge_projects="team/news"), "team/news") is None


def test_a_project_that_is_named_is_reached(told):
    assert compose.forge(told, "team/news") is not None
    assert compose.engines(told, compose.local_store(told), ()).forge.of("team/fashion") is not None


@pytest.mark.parametrize("project", ["team/others", "", "team/news/sub", "TEAM/NEWS"])
def test_the_token_is_lent_to_no_other_project(told, project):
    with pytest.raises(Rejected, match=r"CDL_FORGE_PROJECTS allows team/news, team/fashion$") as refused:
        compose.forge(told, project)
    assert CANARY not in str(refused.value)


def test_no_project_is_lent_to_unless_named(tmp_path):
    silent = Settings(home=tmp_path, forge="https://gitlab.example.test", forge_token=CANARY)
    with pytest.raises(Rejected, match=r"^project team/news may not be asked: CDL_FORGE_PROJECTS allows no project$"):
        compose.forge(silent, "team/news")


def test_a_forge_without_a_token_is_refused_by_the_settings_name(told):
    with pytest.raises(Rejected, match=r"^CDL_FORGE_TOKEN: found nothing"):
        compose.forge(told.model_copy(update={"forge_token": ""}), "team/news")


def test_the_token_is_a_secret(told):
    assert CANARY in told.secrets
    assert CANARY not in f"{told} {told!r}"
    assert CANARY not in repr(compose.forge(told, "team/news"))


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        ("validator=maintainer", {"validator": "maintainer"}),
        (" validator=owner, clinician=Clinic board", {"validator": "owner", "clinician": "Clinic board"}),
        ("validator=", {}),
    ],
)
def test_who_stands_for_a_role_is_read_by_commas(monkeypatch, said, roles):
    monkeypatch.setenv("CDL_FORGE_ROLES", said)
    assert settings.read().roles == roles


@pytest.mark.parametrize(
    ("name", "value"),
    [("CDL_FORGE_ROLES", "maintainer"), ("CDL_FORGE_ROLES", "a=b=c"), ("CDL_FORGE", "gitlab.example.test")],
)
def test_what_cannot_be_read_is_refused_by_its_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=rf"^{name}: found '{value}'"):
        settings.read()
