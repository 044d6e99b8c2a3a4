"""What people's fingers know from pachctl, over the SDK: its names, and answers as plain dictionaries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from betterproto import Casing
from pachyderm_sdk.api import pfs, pps

from cdl.ports.errors import Rejected

from . import wire
from .door import door
from .translate import forbidden_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .old_specs import Found

Answer = dict[str, Any]
NAMED = re.compile(
    r"(?:(?P<project>[\w-]+)/)?(?P<repo>[\w-]+)(?:\.(?P<type>spec|meta))?(?:@(?P<at>[^:]+))?(?::(?P<path>.*))?"
)
IDS = re.compile(r"[0-9a-f]{12}4[0-9a-f]{19}")


class Where(NamedTuple):
    """A repository, a branch or commit of it, and a path there: `[project/]repo[@branch or commit][:path]`."""

    repo: pfs.Repo
    at: str
    path: str

    def commit(self) -> pfs.Commit:
        """Name the commit; without one, the head of master is meant."""
        at = self.at or "master"
        if IDS.match(at):
            return pfs.Commit(repo=self.repo, id=at)
        name = re.split(r"[~^.]", at)[0]
        branch = pfs.Branch(repo=self.repo, name=name)
        return pfs.Commit(repo=self.repo, branch=branch, id="" if name == at else at)

    def file(self) -> pfs.File:
        """Name the file."""
        return pfs.File(commit=self.commit(), path=self.path or "/")


def where(text: str, project: str = "default") -> Where:
    """Read a name.

    Raises:
        Rejected: it is not one.
    """
    found = NAMED.fullmatch(text)
    if found is None:
        message = f"found {text!r}, allowed: REPO, REPO@BRANCH, REPO@COMMIT or REPO@BRANCH:PATH, a project/ before it"
        raise Rejected(message)
    owner = pfs.Project(name=found["project"] or project)
    repo = pfs.Repo(name=found["repo"], type=found["type"] or "user", project=owner)
    return Where(repo, found["at"] or "", found["path"] or "")


def _plain(message: Any) -> Answer:  # noqa: ANN401 - betterproto has no types
    found: Answer = message.to_dict(casing=Casing.SNAKE)
    return found


class Habits:
    """Asks one pachd; every method is one request or one stream of answers."""

    def __init__(self, address: str, token: str | None = None, project: str = "default") -> None:
        """Talk to the pachd at the address; nothing is asked yet."""
        self._client = wire.connect(address, token)
        self._project = project

    def _pipeline(self, text: str) -> pps.Pipeline:
        named = where(text, self._project)
        return pps.Pipeline(project=named.repo.project, name=named.repo.name)

    def _job(self, text: str) -> pps.Job:
        named = where(text, self._project)
        if not named.at:
            message = f"found {text!r}, allowed: PIPELINE@JOB"
            raise Rejected(message)
        return pps.Job(pipeline=self._pipeline(text.split("@", maxsplit=1)[0]), id=named.at)

    def _where(self, text: str) -> Where:
        return where(text, self._project)

    # -- repositories, branches, commits ------------------------------------------------------------------------------

    def create_repo(self, name: str, description: str) -> None:
        """Create a repository."""
        with door(f"creating repo {name}"):
            self._client.pfs.create_repo(repo=self._where(name).repo, description=description)

    def delete_repo(self, name: str, *, force: bool) -> None:
        """Delete a repository."""
        with door(f"deleting repo {name}"):
            self._client.pfs.delete_repo(repo=self._where(name).repo, force=force)

    def repos(self) -> Iterator[Answer]:
        """List the repositories that people see."""
        with door("listing repos"):
            projects = [pfs.Project(name=self._project)]
            yield from map(_plain, self._client.pfs.list_repo(type="user", projects=projects))

    def branches(self, repo: str) -> Iterator[Answer]:
        """List the branches of a repository."""
        with door(f"listing branches of {repo}"):
            yield from map(_plain, self._client.pfs.list_branch(repo=self._where(repo).repo))

    def commits(self, text: str, number: int) -> Iterator[Answer]:
        """List commits, the newest first; those of a branch when it is named."""
        named = self._where(text)
        with door(f"listing commits of {text}"):
            to = named.commit() if named.at else None
            yield from map(_plain, self._client.pfs.list_commit(repo=named.repo, to=to, number=number))

    def commit(self, text: str, *, wait: bool = False) -> Answer:
        """Describe a commit; when asked, once it is finished."""
        with door(f"inspecting commit {text}"):
            state = pfs.CommitState.FINISHED if wait else pfs.CommitState.COMMIT_STATE_UNKNOWN
            return _plain(self._client.pfs.inspect_commit(commit=self._where(text).commit(), wait=state))

    # -- files --------------------------------------------------------------------------------------------------------

    def put(self, text: str, source: Path, *, recursive: bool, append: bool) -> int:
        """Write a file, or a folder's files, in one commit of its own or into the open one; tells how many.

        Raises:
            Rejected: the source is not there, or is a folder and that was not asked for.
        """
        named = self._where(text)
        files = _sources(source, named.path, recursive=recursive)
        commit = named.commit()

        def requests() -> Iterator[bytes]:
            for path, file in files:
                if not append:
                    yield wire.deleted(path)
                yield from wire.added(path, file)

        with door(f"writing {text}"):
            wire.write(self._client, commit, requests())
        return len(files)

    def get(self, text: str) -> Iterator[bytes]:
        """Read one file."""
        with door(f"reading {text}"):
            for piece in self._client.pfs.get_file(file=self._where(text).file()):
                yield piece.value

    def get_tar(self, text: str) -> Iterator[bytes]:
        """Read a folder, or whatever a glob matches, as one tar."""
        with door(f"reading {text}"):
            for piece in self._client.pfs.get_file_tar(file=self._where(text).file()):
                yield piece.value

    def files(self, text: str) -> Iterator[Answer]:
        """List what lies directly in a folder."""
        with door(f"listing {text}"):
            yield from map(_plain, self._client.pfs.list_file(file=self._where(text).file()))

    def glob(self, text: str) -> Iterator[Answer]:
        """List what a pattern matches."""
        named = self._where(text)
        with door(f"globbing {text}"):
            yield from map(_plain, self._client.pfs.glob_file(commit=named.commit(), pattern=named.path))

    def diff(self, new: str, old: str | None) -> Iterator[Answer]:
        """List what differs between two commits; between one and its parent when only one is named."""
        with door(f"comparing {new} with {old or 'its parent'}"):
            before = self._where(old).file() if old else None
            yield from map(_plain, self._client.pfs.diff_file(new_file=self._where(new).file(), old_file=before))

    # -- pipelines ----------------------------------------------------------------------------------------------------

    def write_pipeline(self, found: Found, *, update: bool, reprocess: bool) -> None:
        """Create a pipeline, or update it."""
        spec = found
        pipeline = spec.spec.get("pipeline")
        if self._project != "default" and isinstance(pipeline, dict) and "project" not in pipeline:
            named = {**spec.spec, "pipeline": {**pipeline, "project": {"name": self._project}}}
            spec = spec._replace(spec=named)
        with door(f"{'updating' if update else 'creating'} pipeline {found.name}"):
            self._client.pps.create_pipeline_v2(
                create_pipeline_request_json=spec.text(), update=update, reprocess=reprocess
            )

    def pipelines(self) -> Iterator[Answer]:
        """List the pipelines."""
        with door("listing pipelines"):
            projects = [pfs.Project(name=self._project)]
            yield from map(_plain, self._client.pps.list_pipeline(projects=projects, details=True))

    def pipeline(self, name: str) -> Answer:
        """Describe a pipeline."""
        with door(f"inspecting pipeline {name}"):
            return _plain(self._client.pps.inspect_pipeline(pipeline=self._pipeline(name), details=True))

    def steer(self, verb: str, name: str, *, force: bool = False) -> None:
        """Start, stop, delete or run a pipeline."""
        pipeline, pps_ = self._pipeline(name), self._client.pps
        with door(f"{verb} pipeline {name}"):
            match verb:
                case "start":
                    pps_.start_pipeline(pipeline=pipeline)
                case "stop":
                    pps_.stop_pipeline(pipeline=pipeline, must_exist=True)
                case "run":
                    pps_.run_cron(pipeline=pipeline)
                case _:
                    pps_.delete_pipeline(pipeline=pipeline, force=force, must_exist=True)

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def jobs(self, pipeline: str, number: int) -> Iterator[Answer]:
        """List jobs, the newest first; of one pipeline when it is named."""
        with door("listing jobs"):
            only = self._pipeline(pipeline) if pipeline else None
            projects = [pfs.Project(name=self._project)]
            found = self._client.pps.list_job(pipeline=only, projects=projects, history=-1, number=number)
            yield from map(_plain, found)

    def job(self, text: str, *, wait: bool = False) -> Answer:
        """Describe a job; when asked, once it has ended."""
        with door(f"inspecting job {text}"):
            return _plain(self._client.pps.inspect_job(job=self._job(text), details=True, wait=wait))

    def stop_job(self, text: str) -> None:
        """Stop a job."""
        with door(f"stopping job {text}"):
            self._client.pps.stop_job(job=self._job(text))

    def datums(self, text: str) -> Iterator[Answer]:
        """List a job's datums."""
        with door(f"listing datums of {text}"):
            yield from map(_plain, self._client.pps.list_datum(job=self._job(text)))

    def datum(self, text: str, key: str) -> Answer:
        """Describe a datum."""
        with door(f"inspecting datum {key} of {text}"):
            return _plain(self._client.pps.inspect_datum(datum=pps.Datum(job=self._job(text), id=key)))

    def logs(self, pipeline: str, job: str, datum: str, **how: Any) -> Iterator[Answer]:  # noqa: ANN401 - handed on
        """Give the log of a pipeline, a job or a datum."""
        with door(f"reading the log of {job or pipeline}"):
            asked: dict[str, Any] = {"pipeline": self._pipeline(pipeline)} if pipeline else {}
            if job and datum:
                asked = {"datum": pps.Datum(job=self._job(job), id=datum)}
            elif job:
                asked = {"job": self._job(job)}
            yield from map(_plain, self._client.pps.get_logs(**asked, **how))


def _sources(source: Path, path: str, *, recursive: bool) -> list[tuple[str, Path]]:
    """List the files to write, by their path in the repository."""
    if source.is_dir() and not recursive:
        message = f"{source} is a folder; -r writes it with everything below it"
        raise Rejected(message)
    if not source.exists():
        message = f"{source} is not there"
        raise Rejected(message)
    top = "/" + path.strip("/")
    if source.is_dir():
        inside = sorted(file for file in source.rglob("*") if file.is_file())
        found = [(f"{top.rstrip('/')}/{file.relative_to(source).as_posix()}", file) for file in inside]
    else:
        found = [(top if top != "/" and not path.endswith("/") else f"{top.rstrip('/')}/{source.name}", source)]
    wrong = next((sentence for name, _ in found if (sentence := forbidden_path(name))), "")
    if wrong:
        message = f"file {wrong}; allowed: printable ASCII without * ? [ ] {{ }} ! ( ) @ + ^"
        raise Rejected(message)
    return found
