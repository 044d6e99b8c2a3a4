"""The private apt reads the archives that the system reads, with their sources, and no stranger's."""

from cdl.embedded.controlplane.apt import _stanzas, last_lines

LIST = """\
# deb http://old.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/one.gpg] https://mirror.example/debian-security bookworm-security main
deb https://stranger.example/apt their-bookworm main
"""
SOURCES = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/two.gpg

Types: deb
URIs: https://stranger.example/node
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
"""


def test_entries_of_one_line_get_their_sources(tmp_path):
    (tmp_path / "sources.list").write_text(LIST)
    first, twin, security = (text for form, text in _stanzas(tmp_path) if form == "list")
    assert first == (
        "deb http://mirror.example/debian bookworm main contrib\n"
        "deb-src http://mirror.example/debian bookworm main contrib\n"
    )
    assert twin.startswith("deb http://mirror.example/debian bookworm main\n")
    assert "deb-src [arch=amd64 signed-by=/keys/one.gpg] https://mirror.example/debian-security" in security


def test_entries_of_many_lines_get_their_sources(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(SOURCES)
    (stanza,) = (text for form, text in _stanzas(tmp_path) if form == "sources")
    assert "Types: deb deb-src\n" in stanza
    assert "Signed-By: /keys/two.gpg" in stanza
    assert "stranger" not in stanza


def test_a_system_without_debian_has_none(tmp_path):
    (tmp_path / "sources.list").write_text("deb http://archive.example/ubuntu noble main\n")
    assert list(_stanzas(tmp_path)) == []


def test_the_last_lines_are_one_line():
    assert last_lines("one\n\ntwo\nthree \n four\n") == "two / three / four"
    assert last_lines("") == ""
