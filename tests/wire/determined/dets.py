"""The command line ``det`` as tests use it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = Path(__file__).with_name("det_host.py")


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it left."""

    out: str
    err: str
    code: int


class Det:
    """``det`` against one master, as one user."""

    def __init__(self, url: str, home: Path, user: str = "determined") -> None:
        self.home = home
        self.env = {"DET_MASTER": url, "DET_USER": user, "DET_PASS": "", "DET_DEBUG_CONFIG_PATH": str(home)}
        self.env |= {"COLUMNS": "400", "NO_COLOR": "1"}
        command = [sys.executable, "-W", "ignore", str(HOST)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.host = subprocess.Popen(command, env=os.environ | self.env, **pipes)

    def close(self) -> None:
        self.host.stdin.close()
        self.host.wait(30)
        self.host.stdout.close()

    def run(self, verb: str, *words: object, user: str | None = None, typed: str = "") -> Said:
        """Run a command; the verb is split at its spaces, the other words are taken as they are."""
        env = self.env | ({"DET_USER": user} if user else {})
        wish = {"words": [*verb.split(), *map(str, words)], "env": env, "cwd": str(self.home), "typed": typed}
        self.host.stdin.write(json.dumps(wish) + "\n")
        self.host.stdin.flush()
        return Said(**json.loads(self.host.stdout.readline()))

    def ok(self, verb: str, *words: object, user: str | None = None, typed: str = "") -> str:
        """Run a command that must succeed and return what it printed."""
        said = self.run(verb, *words, user=user, typed=typed)
        assert said.code == 0, f"det {verb} {words}: {said.err}{said.out}"
        return said.out

    def no(self, verb: str, *words: object, user: str | None = None, typed: str = "") -> str:
        """Run a command that must fail and return its complaint."""
        said = self.run(verb, *words, user=user, typed=typed)
        assert said.code != 0, f"det {verb} {words}: {said.out}"
        assert "Traceback" not in said.err, said.err
        return said.err + said.out

    def json(self, verb: str, *words: object, user: str | None = None, typed: str = "") -> Any:
        return json.loads(self.ok(verb, *words, "--json", user=user, typed=typed))

    def file(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(text)
        return path
