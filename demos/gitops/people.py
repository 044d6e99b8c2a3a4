"""People with a role: each has a token, clones of repositories, and what git and GitLab let them do."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gitlab
import requests

PATIENCE = 60


class Refused(Exception):  # noqa: N818 - what the forge said, not what went wrong here
    """The forge does not let somebody do something; the message is its own."""


@dataclass
class Person:
    """Somebody who works with the forge as with GitLab: through git, and through its API."""

    name: str
    address: str
    token: str = field(repr=False)
    desk: Path
    """Where their clones lie."""

    def __post_init__(self) -> None:
        """Sign in."""
        session = requests.Session()
        session.trust_env = False  # the forge is on this machine, whatever proxy there is
        self._api = gitlab.Gitlab(self.address, private_token=self.token, session=session, timeout=PATIENCE)

    # --- git ----------------------------------------------------------------------------------------------------------

    def clone(self, project: str) -> Path:
        """Have a fresh clone of a project's default branch, or of nothing where it is empty."""
        folder = self.desk / self.name / project.rpartition("/")[2]
        if folder.exists():
            self.git(folder, "fetch", "--quiet", "--prune", "origin")
            self.git(folder, "checkout", "--quiet", "-B", "main", "origin/main")
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self.git(folder.parent, "clone", "--quiet", f"{self.address}/{project}.git", folder.name)
            self.git(folder, "symbolic-ref", "HEAD", "refs/heads/main")
            if self.git(folder, "ls-remote", "--heads", "origin", "main"):
                self.git(folder, "checkout", "--quiet", "-B", "main", "origin/main")
        return folder

    def branch(self, project: str, name: str) -> Path:
        """Begin a branch where the default branch is."""
        folder = self.clone(project)
        self.git(folder, "checkout", "--quiet", "-B", name)
        return folder

    def commit(self, folder: Path, message: str) -> str:
        """Commit everything that changed; give the commit."""
        self.git(folder, "add", "--all")
        self.git(folder, "commit", "--quiet", "-m", message)
        return self.git(folder, "rev-parse", "HEAD")

    def push(self, folder: Path, branch: str) -> str:
        """Push what is there to a branch; give the commit.

        Raises:
            Refused: the branch is not theirs to push to.
        """
        self.git(folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git(folder, "rev-parse", "HEAD")

    def git(self, folder: Path, *words: str) -> str:
        """Run git as this person; the token is in its environment alone."""
        proof = base64.b64encode(f"{self.name}:{self.token}".encode()).decode()
        told = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.desk),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{self.address}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {proof}",
            "no_proxy": "127.0.0.1",
        }
        for part in ("AUTHOR", "COMMITTER"):
            told |= {f"GIT_{part}_NAME": self.name, f"GIT_{part}_EMAIL": f"{self.name}@forge.invalid"}
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, env=told, check=False)
        if done.returncode != 0:
            raise Refused(done.stderr.strip() or f"git {words[0]} ended with {done.returncode}")
        return done.stdout.strip()

    # --- merge requests -----------------------------------------------------------------------------------------------

    def project(self, path: str) -> Any:  # noqa: ANN401 - python-gitlab's objects are made at run time
        """Give a project as python-gitlab has it."""
        return self._api.projects.get(path)

    def open(self, project: str, branch: str, title: str, why: str) -> int:
        """Open a merge request; give its number."""
        asked = {"source_branch": branch, "target_branch": "main", "title": title, "description": why}
        return int(self.project(project).mergerequests.create(asked).iid)

    def approve(self, project: str, number: int, sha: str) -> None:
        """Approve a merge request as it stands at a commit.

        Raises:
            Refused: the forge does not count their approval.
        """
        try:
            self.request(project, number).approve(sha=sha)
        except gitlab.GitlabError as error:
            raise Refused(f"{error.response_code}: {error.error_message}") from error

    def merge(self, project: str, number: int, sha: str) -> str:
        """Merge exactly this commit; give what the default branch got.

        Raises:
            Refused: it cannot be merged, or not by them.
        """
        try:
            return str(self.request(project, number).merge(sha=sha)["merge_commit_sha"])
        except gitlab.GitlabError as error:
            raise Refused(f"{error.response_code}: {error.error_message}") from error

    def close(self, project: str, number: int, why: str) -> None:
        """Say why a merge request is not wanted, and close it."""
        request = self.request(project, number)
        request.notes.create({"body": why})
        request.state_event = "close"
        request.save()

    def request(self, project: str, number: int) -> Any:  # noqa: ANN401 - python-gitlab's objects are made at run time
        """Give a merge request as it stands now."""
        return self.project(project).mergerequests.get(number)

    def statuses(self, project: str, sha: str) -> dict[str, tuple[str, str]]:
        """Give what a commit says of itself: state and description by name."""
        found = self.project(project).commits.get(sha, lazy=True).statuses.list(iterator=True)
        return {one.name: (one.status, one.description or "") for one in found}

    def notes(self, project: str, number: int, author: str) -> list[str]:
        """Give what somebody wrote under a merge request."""
        found = self.request(project, number).notes.list(iterator=True)
        return [one.body for one in found if one.author["username"] == author and not one.system]
