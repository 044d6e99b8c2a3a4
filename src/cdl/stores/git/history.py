"""Which commits are part of a repository's history: of one in a folder, or of one behind a URL."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path

from cdl.ports.errors import Unavailable

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SECONDS = 120
GIT = ("env", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "git")
"""Nobody sits there to type a password, and nothing is changed."""


class GitHistory:
    """One repository. What lies behind a URL is copied once, without any content of files."""

    def __init__(self, place: str) -> None:
        """Remember where it is; nothing is read yet."""
        self._place = place
        self._copy = ""

    def holds(self, commit: str) -> bool:
        """Say whether a branch or tag leads to a commit; False: its history was rewritten. Changes nothing.

        Raises:
            Unavailable: the repository cannot be read, or not all of its history is here.
        """
        if self.knows(commit):
            if self._git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0:
                return True
            return bool(self._git("for-each-ref", "--count=1", "--contains", commit).stdout.strip())
        if self._git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
            raise Unavailable(
                f"{self._place}: holds only the end of its history; `git fetch --unshallow` brings it all"
            )
        return False

    def knows(self, commit: str) -> bool:
        """Say whether the repository ever heard of a commit.

        Raises:
            Unavailable: the repository cannot be read.
        """
        if self._git("rev-parse", "--git-dir").returncode != 0:
            raise Unavailable(f"{self._place}: is no git repository that can be read from here")
        if not COMMIT.fullmatch(commit):
            return False
        return self._git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def _git(self, *words: str) -> subprocess.CompletedProcess[str]:
        return _run("-C", self._folder(), *words)

    def _folder(self) -> str:
        if Path(self._place).is_dir():
            return self._place
        if not self._copy:
            copy = tempfile.mkdtemp(prefix="cdl-git-")
            weakref.finalize(self, shutil.rmtree, copy, ignore_errors=True)
            done = _run("clone", "--quiet", "--bare", "--filter=tree:0", "--", self._place, copy)
            if done.returncode != 0:
                said = done.stderr.strip().splitlines() or ["git said nothing"]
                raise Unavailable(f"{self._place}: cannot be copied: {said[-1]}")
            self._copy = copy
        return self._copy


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([*GIT, *words], capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"git {words[0]}: no answer within {SECONDS} s") from error
    except OSError as error:
        raise Unavailable(f"git cannot be started: {error.strerror or error}") from error
