"""Read repositories, commits and jobs; changes nothing, and remembers what cannot change."""

from __future__ import annotations

import io
import tarfile
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import grpc
from pachyderm_sdk.api import pfs, pps

from cdl.checks.prints import Overlap, overlap
from cdl.reconcile.datapipeline import NOTE, Report

from . import wire
from .door import there
from .labels import labelled
from .translate import (
    BRANCH,
    CODE,
    JOB_STATE,
    LOST,
    CommitSeen,
    commit_named,
    commit_seen,
    note_of,
    notes_of,
    pipeline_named,
    prints_of,
    read_by_training,
    repo_named,
    report_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pachyderm_sdk import Client

    from cdl.api.v1alpha1.datapipeline import Labels

    from .labels import Labelled
    from .wire import Entry

REPORTS = "/_reports"
REMEMBERED = 256
LOOKED_BACK = 20
LOG_LINES = 200
Place = tuple[str, str]
"""A repository's name and a commit of it."""
T = TypeVar("T")


class Reader:
    """What there is in one pachd. A finished commit never changes, so what it holds is read once."""

    def __init__(self, client: Client) -> None:
        """Read through the SDK's client."""
        self._client = client
        self._files: dict[tuple[str, str, str], tuple[Entry, ...]] = {}
        self._reports: dict[tuple[str, str, str], Report] = {}
        self._overlaps: dict[tuple[str, str, str], Overlap] = {}
        self._labels: dict[tuple[str, str, str], Labelled] = {}
        self._failures: dict[tuple[str, str, str], str] = {}

    def branch_head(self, project: str, repo: str) -> CommitSeen | None:
        """Give the newest commit of a repository's branch, whatever its state; None when there is none."""
        handle = repo_named(project, repo)
        branch = there(lambda: self._client.pfs.inspect_branch(branch=pfs.Branch(repo=handle, name=BRANCH)))
        if branch is None or not branch.head or not branch.head.id:
            return None
        return self.commit(project, repo, str(branch.head.id))

    def commit(self, project: str, repo: str, commit: str) -> CommitSeen | None:
        """Give a commit, whatever its state."""
        handle = commit_named(repo_named(project, repo), commit)
        found = there(lambda: self._client.pfs.inspect_commit(commit=handle))
        return commit_seen(found) if found is not None else None

    def good_head(self, project: str, repo: str, newest: CommitSeen | None) -> CommitSeen | None:
        """Give the newest commit whose content counts: finished, without error, not made by Pachyderm itself."""
        if newest is None or (newest.good and not newest.automatic):
            return newest
        return next((c for c in self._chain(project, repo, newest) if c.good and not c.automatic), None)

    def output(self, project: str, repo: str, before: str, commit: str) -> CommitSeen | None:
        """Give the newest output that was made from a commit of the repository before it, else the newest of all.

        Outputs begin when their input does: one that a dead or strange writer has begun must not hide the last whole.
        """
        newest = self.branch_head(project, repo)
        if newest is None or not commit or newest.reads.get(before) == commit:
            return newest
        chain = self._chain(project, repo, newest)
        return next((c for c in chain if c.reads.get(before) == commit), newest)

    def _chain(self, project: str, repo: str, newest: CommitSeen) -> Iterator[CommitSeen]:
        handle = repo_named(project, repo)
        to = commit_named(handle, newest.id)
        return map(commit_seen, self._client.pfs.list_commit(repo=handle, to=to, number=LOOKED_BACK, all=True))

    def files(self, project: str, repo: str, commit: str) -> tuple[Entry, ...]:
        """List the files of a finished commit."""
        handle = commit_named(repo_named(project, repo), commit)
        key = (project, repo, commit)
        return _remembered(self._files, key, lambda: tuple(wire.walk(self._client, handle)))

    def content(self, project: str, repo: str, commit: str, path: str) -> bytes:
        """Give the content of a file; no path at Pachyderm holds what would make it a pattern. No note is empty."""
        if path == NOTE and not any(entry.path == NOTE for entry in self.files(project, repo, commit)):
            return b""
        file = pfs.File(commit=commit_named(repo_named(project, repo), commit), path=path)
        return b"".join(piece.value for piece in self._client.pfs.get_file(file=file))

    def labelled(self, project: str, repo: str, commit: str, labels: Labels, reported_rows: int) -> Labelled:
        """Count the labels of a finished commit; tables are read once."""
        files = read_by_training(self.files(project, repo, commit))
        read = partial(self.content, project, repo, commit)
        if labels.column is None and labels.source != "labelStudio":
            return labelled(files, labels, reported_rows, read)
        key = (project, f"{repo}/{commit}", labels.column.model_dump_json() if labels.column else labels.source)
        return _remembered(self._labels, key, lambda: labelled(files, labels, reported_rows, read))

    def report(self, project: str, repo: str, commit: str) -> Report:
        """Add up the reports that a step left in a finished commit."""
        key = (project, repo, commit)
        return _remembered(self._reports, key, lambda: report_of(self._report_files(project, repo, commit)))

    def overlap(self, project: str, test: Place, train: Place, near: float | None) -> Overlap:
        """Say what two finished commits have in common, by the fingerprints that a step left in each."""

        def compare() -> Overlap:
            wanted, among = (prints_of(self._report_files(project, *place)) for place in (test, train))
            return overlap(wanted, among, near)

        key = (project, "/".join((*test, *train)), str(near))
        return _remembered(self._overlaps, key, compare)

    def pipeline(self, project: str, name: str) -> pps.PipelineInfo | None:
        """Give a pipeline as it is."""
        return there(lambda: self._client.pps.inspect_pipeline(pipeline=pipeline_named(project, name)))

    def job(self, project: str, pipeline: str, job: str) -> pps.JobInfo | None:
        """Give a pipeline's job; its id is the id of the commit it makes."""
        handle = pps.Job(pipeline=pipeline_named(project, pipeline), id=job)
        return there(lambda: self._client.pps.inspect_job(job=handle))

    def programs(self, project: str, repo: str, commit: str) -> tuple[str, ...] | None:
        """Name the programs that made a commit, first to last, as they were then; None: that is not known any more."""
        made: list[str] = []
        while True:
            found = self.commit(project, repo, commit)
            if found is None:
                return None
            taken = note_of(found)
            if taken is not None:
                made.extend([taken.program] if taken.program else [])
                repo, commit = taken.reads, taken.input
                continue
            if not found.reads:  # it comes from nothing that pachd knows: somebody wrote it
                return tuple(reversed(made))
            handle = pps.Job(pipeline=pipeline_named(project, repo), id=commit)
            job = there(partial(self._client.pps.inspect_job, job=handle, details=True))
            given = job.details.input.pfs if job is not None and job.details and job.details.input else None
            program = self._noted(project, repo, int(job.pipeline_version)) if job is not None else ""
            if not given or not program:
                return None
            made.append(program)
            repo = str(given.repo)
            commit = found.reads.get(repo, "")

    def _noted(self, project: str, pipeline: str, version: int) -> str:
        """Read what an earlier version of a pipeline said about its program."""
        handle = pipeline_named(project, pipeline)
        versions = list(self._client.pps.list_pipeline(pipeline=handle, history=-1, details=True))
        return next((notes_of(v).get(CODE, "") for v in versions if int(v.version) == version), "")

    def failure(self, project: str, pipeline: str, job: pps.JobInfo) -> str:
        """Say in one sentence why a job was lost: Pachyderm's reason and the program's own last words."""
        if JOB_STATE[pps.JobState(job.state)] not in LOST:
            return ""
        return _remembered(
            self._failures, (project, pipeline, str(job.job.id)), lambda: self._last_words(project, pipeline, job)
        )

    def _last_words(self, project: str, pipeline: str, job: pps.JobInfo) -> str:
        reason = str(job.reason).strip().splitlines()[0] if job.reason else "the job was lost"
        handle = pps.Job(pipeline=pipeline_named(project, pipeline), id=job.job.id)
        wanted = pps.ListDatumRequestFilter(state=[pps.DatumState.FAILED])
        try:
            datum = next(iter(self._client.pps.list_datum(job=handle, filter=wanted, number=1)), None)
            if datum is None:
                return reason
            where = ", ".join(f.file.path for f in datum.data)
            reason = reason.replace(f"datum {datum.datum.id}", f"datum {where}")
            logs = self._client.pps.get_logs(datum=pps.Datum(job=handle, id=datum.datum.id), tail=LOG_LINES)
            said = [m.message.strip() for m in logs if m.user and m.message.strip()]
        except grpc.RpcError:
            return reason  # the log is a courtesy; the reason is the fact
        return f"{reason}: {said[-1]}" if said else reason

    def _report_files(self, project: str, repo: str, commit: str) -> Iterator[bytes]:
        handle = commit_named(repo_named(project, repo), commit)
        # A folder that is not there lists as empty; asking for it as a tar would be an error, and noise in the log.
        if not any(True for _ in self._client.pfs.list_file(file=pfs.File(commit=handle, path=REPORTS))):
            return
        found = self._client.pfs.get_file_tar(file=pfs.File(commit=handle, path=f"{REPORTS}/*.json"))
        with tarfile.open(fileobj=io.BytesIO(b"".join(piece.value for piece in found))) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield content.read()


def _remembered(known: dict[tuple[str, str, str], T], key: tuple[str, str, str], read: Callable[[], T]) -> T:
    if key not in known:
        value = read()
        while len(known) >= REMEMBERED:
            known.pop(next(iter(known)), None)
        known[key] = value
    return known[key]
