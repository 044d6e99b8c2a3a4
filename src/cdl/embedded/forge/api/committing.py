"""Commits made through the API: files written, moved and removed, commits taken back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from cdl.embedded.forge import changes, views
from cdl.embedded.forge.api.repository import pushing
from cdl.embedded.forge.errors import ApiError, incomplete, invalid, missing
from cdl.embedded.forge.git import ZERO, GitError, Repository
from cdl.embedded.forge.store import Tree
from cdl.embedded.forge.web import Answer, Call, Routes

PARTS_NOBODY_WRITES = {"", ".", "..", ".git"}


def add_to(routes: Routes) -> None:
    """Serve these."""
    here = "/projects/{project}/repository"
    routes.add("POST", f"{here}/commits", create)
    routes.add("POST", f"{here}/commits/{{sha}}/revert", revert)
    routes.add("POST", f"{here}/files/{{file}}", write_file)
    routes.add("PUT", f"{here}/files/{{file}}", write_file)
    routes.add("DELETE", f"{here}/files/{{file}}", remove_file)


@dataclass
class Draft:
    """A commit in the making, in an index of its own."""

    repository: Repository
    env: dict[str, str]

    def apply(self, action: Mapping[str, object]) -> None:
        """Do one thing to the files.

        Raises:
            ApiError: it does not go with what is there.
        """
        kind, path = str(action.get("action") or ""), _path(action.get("file_path"))
        if kind == "create":
            self._absent(path)
            self._write(path, _content(action), "100644")
        elif kind == "update":
            self._write(path, _content(action), self._there(path)[0])
        elif kind == "delete":
            self._there(path)
            self._set(path, "0", ZERO)
        elif kind == "move":
            before = _path(action.get("previous_path"))
            mode, blob = self._there(before)
            self._absent(path)
            self._set(before, "0", ZERO)
            if action.get("content") is not None:
                self._write(path, _content(action), mode)
            else:
                self._set(path, mode, blob)
        elif kind == "chmod":
            _, blob = self._there(path)
            mode = "100755" if action.get("execute_filemode") in {True, "true"} else "100644"
            self._set(path, mode, blob)
        else:
            raise incomplete("actions[0][action]", "does not have a valid value")

    def _git(self, *words: str) -> str:
        return self.repository.text(*words, env=self.env)

    def _set(self, path: str, mode: str, blob: str) -> None:
        """Put an entry into the index, or with mode 0 take it out."""
        entry = f"{mode} {blob}\t{path}\0".encode()
        self.repository.run("update-index", "-z", "--index-info", given=entry, env=self.env)

    def _entry(self, path: str) -> tuple[str, str] | None:
        said = self._git("ls-files", "--stage", "-z", "--", f":(literal){path}").split("\0")
        found = [line.split("\t", 1) for line in said if line]
        return next(((facts.split()[0], facts.split()[1]) for facts, name in found if name == path), None)

    def _there(self, path: str) -> tuple[str, str]:
        if (entry := self._entry(path)) is None:
            raise invalid("A file with this name doesn't exist")
        return entry

    def _absent(self, path: str) -> None:
        if self._entry(path):
            raise invalid("A file with this name already exists")

    def _write(self, path: str, content: bytes, mode: str) -> None:
        blob = self.repository.run("hash-object", "-w", "--stdin", given=content).decode().strip()
        self._set(path, mode, blob)


def _path(value: object) -> str:
    path = str(value or "")
    if not path or PARTS_NOBODY_WRITES & {part.lower() for part in path.split("/")}:
        raise invalid("Path cannot include directory traversal" if path else "You must provide a file path")
    return path


def _content(action: Mapping[str, object]) -> bytes:
    content = str(action.get("content") or "")
    if action.get("encoding") != "base64":
        return content.encode()
    try:
        return base64.b64decode(content, validate=False)
    except binascii.Error as error:
        raise invalid("The content is not base64") from error


def create(call: Call) -> Answer:
    """POST /repository/commits."""
    actions = call.given.get("actions")
    if not isinstance(actions, list):
        raise incomplete("actions")
    return _commit(call, [action for action in actions if isinstance(action, Mapping)])


def write_file(call: Call) -> Answer:
    """POST or PUT /repository/files/:path."""
    kind = "create" if call.method == "POST" else "update"
    _commit(call, [{**call.given, "action": kind, "file_path": call.name("file")}])
    return {"file_path": call.name("file"), "branch": call.text("branch")}


def remove_file(call: Call) -> Answer:
    """DELETE /repository/files/:path."""
    _commit(call, [{"action": "delete", "file_path": call.name("file")}])
    return None


def _commit(call: Call, actions: list[Mapping[str, object]]) -> Tree:
    project = call.writes()
    repository = call.forge.repository(project)
    branch, message = call.needed("branch"), call.needed("commit_message")
    pushing(call, project, branch)
    ref = f"refs/heads/{branch}"
    old = repository.refs(ref).get(ref, "")
    start = old
    if not old and repository.refs():
        named = call.text("start_branch") or call.text("start_sha")
        start = repository.resolve(named)
        if not start:
            raise invalid("You can only create or edit files when you are on a branch")
    elif old and call.text("start_branch") and not call.flag("force"):
        raise invalid(f"A branch called '{branch}' already exists. Switch to that branch in order to make changes")
    with repository.index(start) as env:
        draft = Draft(repository, env)
        for action in actions:
            draft.apply(action)
        made = repository.text("write-tree", env=env)
    author = (call.text("author_name") or call.user.name, call.text("author_email") or call.user.email)
    parents = [start] if start else []
    sha = repository.record(made, parents, message, author, (call.user.name, call.user.email))
    return _moved(call, project, ref, (old, sha))


def _moved(call: Call, project: Tree, ref: str, shas: tuple[str, str]) -> Tree:
    if not changes.move(call.forge, project, ref, shas, call.user):
        raise invalid("Could not update refs: the branch changed in the meantime. Please refresh and try again.")
    repository = call.forge.repository(project)
    return views.commit_in_full(call.forge, project, repository, repository.commit(shas[1]))


def revert(call: Call) -> Answer:
    """POST /repository/commits/:sha/revert; of a merge, against the side it was merged into."""
    project = call.writes()
    repository, branch = call.forge.repository(project), call.needed("branch")
    pushing(call, project, branch)
    sha, ref = repository.resolve(call.name("sha")), f"refs/heads/{branch}"
    head = repository.refs(ref).get(ref, "")
    if not sha or not head:
        raise missing("Commit" if not sha else "Branch")
    seen = repository.commit(sha)
    if not seen.parents:
        raise invalid("Sorry, we cannot revert this commit automatically.")
    patch = repository.run("diff", "--binary", "--full-index", sha, seen.parents[0])
    with repository.index(head) as env:
        try:
            repository.run("apply", "--cached", "--3way", given=patch, env=env)
            made = repository.text("write-tree", env=env)
        except GitError as error:
            words = "Sorry, we cannot revert this commit automatically. This commit may already have been reverted"
            raise ApiError(
                400, {"message": f"{words}, or a more recent commit may have updated some of its content."}
            ) from error
    message = f'Revert "{seen.title}"\n\nThis reverts commit {sha}\n'
    new = repository.record(made, [head], message, (call.user.name, call.user.email))
    return _moved(call, project, ref, (head, new))
