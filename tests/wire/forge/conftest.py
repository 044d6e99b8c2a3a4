"""One forge for most tests; python-gitlab and git as its clients."""

from __future__ import annotations

import itertools

import pytest

from tests.wire.forge.forges import ForgeServer, Receiver, commit, git

NAMES = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    started = ForgeServer(tmp_path_factory.mktemp("forge") / "state").start()
    yield started
    assert started.stop() == 0


@pytest.fixture
def own_server(tmp_path):
    started = ForgeServer(tmp_path / "state").start()
    yield started
    started.stop()


@pytest.fixture
def people(server):
    """Ask for somebody's client; all are closed at the end."""
    made = {}

    def of(name):
        return made.setdefault(name, server.client(name))

    yield of
    for client in made.values():
        client.session.close()


@pytest.fixture
def project(people):
    """A private project with one commit, made by the validator."""
    fields = {"name": f"Project {next(NAMES)}", "namespace_path": "team", "initialize_with_readme": True}
    return people("validator").projects.create(fields)


@pytest.fixture
def folder(server, project, tmp_path):
    """A clone of the project, by the developer."""
    git(tmp_path, "clone", "-q", server.address(project.path_with_namespace), "clone")
    return tmp_path / "clone"


@pytest.fixture
def review(people, project, folder):
    """A merge request of one commit, by the developer."""
    git(folder, "checkout", "-qb", "work")
    commit(folder, "model.py", "units = 256\n", "Widen the layer")
    git(folder, "push", "-q", "origin", "work")
    fields = {"source_branch": "work", "target_branch": "main", "title": "Widen the layer"}
    return people("developer").projects.get(project.id, lazy=True).mergerequests.create(fields)


@pytest.fixture
def receiver():
    started = Receiver()
    yield started
    started.stop()
