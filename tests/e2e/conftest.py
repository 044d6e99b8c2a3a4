"""A project so small that the whole way, from raw files to a served answer, takes seconds."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TINY = Path(__file__).parent / "tiny"
ROOT = Path(__file__).parents[2]
UP, DOWN = ("rising", "climbing", "soaring", "growing"), ("falling", "sinking", "dropping", "shrinking")


def notes(count):
    """Give (path, bytes) of notes in two classes, one of them not UTF-8, one too short and one no text."""
    files = []
    for label, words in (("up", UP), ("down", DOWN)):
        for index in range(count):
            text = f"note {index}: it is {words[index % 4]} and {words[(index + 1) % 4]} again"
            files.append((f"{label}/{index:03}.txt", text.encode()))
    files.append(("up/latin.txt", "caf\xe9 prices are rising and soaring".encode("latin-1")))
    files.append(("down/short.txt", b"low"))
    files.append(("README.md", b"two classes of notes"))
    return files


def write_notes(folder, files):
    """Write the archive that the tiny project collects; same files, same bytes."""
    with tarfile.open(folder / "notes.tar.gz", "w:gz") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


class Place:
    """A home folder, a project and the `cdl` command."""

    def __init__(self, folder):
        self.home, self.data, self.project = folder / "home", folder / "data", folder / "tiny"
        self.data.mkdir()
        shutil.copytree(TINY, self.project)
        self.write_notes(32)
        self.environment = {**os.environ, "CDL_HOME": str(self.home), "CDL_DATA": str(self.data), "CDL_SLOTS": "2"}
        self.environment["CDL_USER"] = "ada"

    def write_notes(self, count):
        """Write the archive the project collects, with so many notes a class and three odd ones."""
        write_notes(self.data, notes(count))

    def cdl(self, *words, timeout=240, user=None):
        """Run a verb as a user; give what it printed. Who made a model does not decide about it."""
        command = [sys.executable, "-m", "cdl.cli", *map(str, words)]
        who = user or ("vera" if words[0] in {"approve", "reject"} else self.environment["CDL_USER"])
        environment = self.environment | {"CDL_USER": who}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=timeout, check=False
        )

    def run(self, *words):
        """`cdl run` of the project, which has to succeed."""
        answer = self.cdl("run", self.project, *words)
        assert answer.returncode == 0, self.story(answer)
        return answer.stdout

    def get(self, kind, name="tiny"):
        """Give a resource as plain data."""
        answer = self.cdl("get", kind, name, "-o", "json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)[0]

    def edit(self, file, before, after):
        """Change a file of the project."""
        path = self.project / file
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    def story(self, answer):
        """Everything somebody needs who reads a failed test."""
        log = self.home / "logs" / "operator.log"
        tail = log.read_text()[-4000:] if log.exists() else "no operator log"
        return f"{answer.stdout}\n{answer.stderr}\n--- operator:\n{tail}"


@pytest.fixture
def place(tmp_path):
    """A place of one's own, emptied of processes afterwards."""
    made = Place(tmp_path)
    yield made
    made.cdl("stop")


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory):
    """A place the tests of a module share, in the order they are written."""
    made = Place(tmp_path_factory.mktemp("tiny"))
    yield made
    made.cdl("stop")
