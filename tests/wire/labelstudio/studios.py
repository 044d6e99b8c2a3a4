"""A real Label Studio as `cdl labelstudio up` brings it, and people at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from cdl.embedded.labelstudio.environment import python

PEOPLE = Path(__file__).with_name("people.py")
PATIENCE = 900
"""Seconds: on a machine that has nothing prepared, Label Studio is installed first."""


class Studio:
    """A home folder with a Label Studio in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.people: subprocess.Popen | None = None

    def cdl(self, *words, **environment):
        told = os.environ | {"CDL_HOME": str(self.home)} | environment
        command = [sys.executable, "-m", "cdl.cli", *words]
        return subprocess.run(command, env=told, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def start(self, *words):
        answer = self.cdl("labelstudio", "up", *words)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def stop(self):
        if self.people is not None:
            self.people.stdin.close()
            self.people.wait(60)
            self.people.stdout.close()
            self.people = None
        return self.cdl("stop").stdout

    def runs(self):
        """Whoever started it is gone: nobody asks how it ended."""
        try:
            return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False

    @property
    def port(self):
        return json.loads((self.home / "ports.json").read_text())["label-studio"]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self):
        return json.loads((self.home / "label-studio" / "login.json").read_text())["token"]

    @property
    def pid(self):
        return json.loads((self.home / "processes" / "label-studio.json").read_text())["pid"]

    def ask(self, name, *words):
        """Have people do something."""
        if self.people is None:
            command = [python(), "-I", PEOPLE, self.url, self.token]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.people = subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, **pipes)
        self.people.stdin.write(json.dumps([name, *words]) + "\n")
        self.people.stdin.flush()
        answer = json.loads(self.people.stdout.readline())
        assert "answer" in answer, answer
        return answer["answer"]
