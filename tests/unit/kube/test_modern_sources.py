"""Where a current server's packages come from: this machine's own archive of Debian, with the suite replaced."""

from __future__ import annotations

import pytest

from tests.kube.modern.build import CannotBuildError, _sources

ARCHIVE = "https://archive.example.test/debian"
STANZA = """Types: deb
URIs: https://archive.example.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://archive.example.test/debian-security
Suites: bookworm-security
Components: main
"""
OTHER = "Types: deb\nURIs: https://packages.example.test/node\nSuites: nodistro\nComponents: main\n"


def fields(text):
    return dict(line.split(": ", 1) for line in text.splitlines() if line)


@pytest.fixture
def system(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_a_stanza_keeps_its_archive_and_its_key(system):
    (system / "sources.list.d" / "a-node.sources").write_text(OTHER)
    (system / "sources.list.d" / "debian.sources").write_text(STANZA)
    (found,) = _sources(system)
    assert fields(found) == {
        "Types": "deb",
        "URIs": "https://archive.example.test/debian",
        "Suites": "sid",
        "Components": "main",
        "Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg",
    }


@pytest.mark.parametrize("options", ["", "[arch=amd64] "])
def test_a_line_is_understood_too(system, options):
    lines = ("# deb https://old.example.test/debian sid main", f"deb {options}{ARCHIVE} bookworm main", "")
    (system / "sources.list").write_text("\n".join(lines))
    (found,) = _sources(system)
    assert fields(found)["URIs"] == ARCHIVE
    assert fields(found)["Suites"] == "sid"


def test_a_machine_without_debian_cannot_build_it(system):
    (system / "sources.list.d" / "node.sources").write_text(OTHER)
    with pytest.raises(CannotBuildError, match="names no archive of Debian"):
        _sources(system)
