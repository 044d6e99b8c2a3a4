"""Repositories, commits and steps of DataPipelines at Pachyderm."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pachyderm_sdk.api import pfs, pps

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import DataSeen, Report, SideSeen, StepSeen, UnusableLabelsError
from cdl.reconcile.release import SideFound

from .difference import Memory, listing_of
from .door import door, there
from .intake import rewrite
from .labels import labelled, rows_in
from .programs import programs_below
from .pulse import Pulse
from .reading import Reader
from .repos import ensure_repo, healed
from .taking import Taking
from .translate import (
    CODE,
    OWNER,
    PIPELINE_BROKEN,
    READ_BY_TRAINING,
    WISH,
    CommitSeen,
    commit_named,
    input_repo,
    is_over,
    job_status,
    manifest,
    notes_of,
    owner_mark,
    pipeline_name,
    pipeline_named,
    pipeline_spec,
    project_of,
    read_by_training,
    readers_first,
    reads_other,
    repo_named,
    stray_seen,
    taken_repo,
)
from .wire import connect, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels
    from cdl.checks.prints import Overlap
    from cdl.reconcile.datapipeline import LabelRow, ManifestSeen, StepWish, StraySeen

PREFIX = "/opt/cdl/pipelines"
"""Where the built-in programs lie in the image of the steps."""


class PachydermEngine:
    """Drives one pachd. Input repositories are NAME-train and NAME-test, steps the pipelines NAME-<step>-<side>."""

    def __init__(
        self,
        address: str,
        *,
        steps_image: str,
        programs: Path,
        file_root: Path | None = None,
        prefix: str = PREFIX,
        token: str | None = None,
    ) -> None:
        """Talk to the pachd at `address`, host:port or a URL; nothing is asked yet.

        `programs` is the folder of the built-in programs that the image holds below `prefix`. With `file_root`, a
        pachd on this machine reads what lies below it by itself, which is many times faster than sending it.
        """
        self._client = connect(address, token)
        self._reader = Reader(self._client)
        self._pulse = Pulse(self._client)
        self._memory = Memory()
        self._taking = Taking(self._client, self._reader)
        self._image, self._prefix, self._programs = steps_image, prefix, programs
        self._file_root = file_root.resolve() if file_root is not None and _is_loopback(address) else None

    def look(self, owner: Key, spec: DataPipelineSpec) -> DataSeen:
        """Report sides, steps of the spec, strays and, when the last step is done, manifests.

        Changes nothing. An unknown owner is an empty report: two sides without a head, every step without a wish.
        Only finished commits without error are heads of sides. A side without steps has its input as manifest.
        Strays are the owner's pipelines that no step of the spec asks for, each before those it reads.
        """
        with door(f"looking at DataPipeline {owner.name}"):
            sides = tuple(self._side(owner, side) for side in Side)
            steps = tuple(step for side in sides for step in self._steps(owner, side, spec))
            manifests = (self._manifest(owner, side, spec, steps) for side in sides)
            return DataSeen(
                sides=sides,
                programs=programs_below(self._programs),
                steps=steps,
                manifests=tuple(m for m in manifests if m is not None),
                strays=self._strays(owner, spec),
                overlap=self._overlap(owner, spec, steps),
            )

    def ingest(self, owner: Key, side: Side, key: str, folder: Path) -> None:
        """Make the head of a side's input repository hold exactly the folder's files, in one commit called by key.

        A second call with the key of the head changes nothing. A commit half written by a caller that died is
        given up: it never becomes visible and never blocks this call. Equal files keep their identity, so that
        later steps process only what changed. On top of the last commit of ours only the difference is read and sent.
        """
        project, name = project_of(owner), input_repo(owner, side)
        now, kept = listing_of(folder), self._memory.recall(project, name)
        with door(f"ingest {key} into {name}"):
            repo, newest = repo_named(project, name), self._reader.branch_head(project, name) if kept else None
            if kept is None or newest is None or newest.id != kept.commit:
                kept, repo = None, self._ensure_repo(owner, name)
                newest = self._heal(project, repo)
            if newest is not None and newest.ingest == key:
                return
            made = rewrite(self._client, repo, key, now, kept, by_url=self._reads_itself(folder))
            self._memory.keep(project, name, made)

    def ensure_step(self, owner: Key, side: Side, wish: StepWish, reads: str, like: Key | None = None) -> None:
        """Make the step's pipeline over a side be as wished, reading the output of the step called reads.

        With reads empty it reads the side's input repository.

        A second call with an equal wish changes nothing and runs nothing. A changed wish processes everything again,
        unless only the workers' number or size changed. What an equal step of `like` made last of equal files is
        taken over, where the step and what it reads have no pipeline yet: then it has none, and nothing runs.
        """
        project, name = project_of(owner), pipeline_name(owner, wish.step.name, side)
        with door(f"pipeline {name}"):
            now = self._reader.pipeline(project, name)
            noted = notes_of(now) if now is not None else {}
            if now is not None:
                _refuse_strangers(owner, now)
            elif like is not None and self._taking.take(owner, side, wish, like, self._ensure_repo):
                return
            source = self._taking.output_repo(owner, reads, side) if reads else input_repo(owner, side)
            spec = pipeline_spec(owner, side, wish, source, self._image, self._prefix)
            if noted.get(WISH) != wish.digest or (now is not None and reads_other(now, source)):
                if not reads:
                    # A new output is made from the branch's newest commit, whatever became of that.
                    self._heal(project, self._ensure_repo(owner, input_repo(owner, side)))
                self._client.pps.create_pipeline_v2(
                    create_pipeline_request_json=spec,
                    update=now is not None,
                    reprocess=now is not None and noted.get(CODE) != wish.program,
                )

    def remove_stray(self, owner: Key, name: str) -> None:
        """Remove the pipeline that `look` called a stray by this name, and its output repository.

        Removing what is not there is a success.

        Raises:
            Rejected: the pipeline is not the owner's, or another one reads its output.
        """
        project = project_of(owner)
        with door(f"removing pipeline {name}"):
            now = self._reader.pipeline(project, name)
            if now is not None:
                _refuse_strangers(owner, now)
                # without force: Pachyderm itself refuses what somebody reads
                self._client.pps.delete_pipeline(pipeline=pipeline_named(project, name))

    def forget(self, owner: Key) -> None:
        """Remove every repository and pipeline of the owner. Removing what is not there is a success."""
        project = project_of(owner)
        with door(f"removing what belongs to DataPipeline {owner.name}"):
            for found in self._pipelines_of(owner):
                self._client.pps.delete_pipeline(pipeline=pipeline_named(project, found.name), force=True)
            theirs = pfs.Project(name=project)
            for given in list(self._client.pfs.list_repo(type="user", projects=[theirs])):
                if given.description == owner_mark(owner):
                    self._client.pfs.delete_repo(repo=given.repo, force=True)

    def manifest(self, repo: str, commit: str, namespace: str = "default") -> Mapping[str, str] | None:
        """Give the files of a finished commit that training reads, path to digest; None: the commit is not there.

        Paths begin with a slash; notes, whose top names begin with an underscore, are left out. `files_digest` of what
        is given is the digest that `look` reports of the same files. Reads it afresh and changes nothing.
        """
        with door(f"reading commit {commit} of {repo}"):
            found = self._reader.commit(namespace, repo, commit)
            if found is None or not found.good:
                return None
            handle = commit_named(repo_named(namespace, repo), commit)
            entries = there(lambda: walk(self._client, handle))
            return read_by_training(entries) if entries is not None else None

    def evidence(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> SideFound | None:
        """Say what a finished commit amounts to, counted as `look` counts manifests; None: the commit is not there.

        With the programs that made it, first to last, each by what its step's wish called `program`; the steps of
        today do not matter, but those that were there when the commit was made. Reads it afresh and changes nothing.
        """
        with door(f"reading commit {commit} of {repo}"):
            found = self._reader.commit(namespace, repo, commit)
            if found is None or not found.good:
                return None
            handle = commit_named(repo_named(namespace, repo), commit)
            entries = there(lambda: walk(self._client, handle))
            if entries is None:
                return None
            rows = self._reader.report(namespace, repo, commit).label_rows
            files, read = read_by_training(entries), partial(self._reader.content, namespace, repo, commit)
            has = manifest(Side.TRAIN, repo, commit, files, labelled(files, labels, rows, read))
            programs = self._reader.programs(namespace, repo, commit)
            return SideFound(has.digest, has.label_digest, has.label_rows, programs)

    def labels(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> tuple[LabelRow, ...] | None:
        """Give the label rows of a finished commit, as `labels` says where they are; None: the commit is not there.

        They are what the digest and the count of `look` are about, in the same order; none where only training can
        read the files of labels. Reads it afresh and changes nothing.

        Raises:
            Rejected: tables do not say one label for each item.
        """
        with door(f"reading labels of commit {commit} of {repo}"):
            found = self._reader.commit(namespace, repo, commit)
            entries = None
            if found is not None and found.good:
                handle = commit_named(repo_named(namespace, repo), commit)
                entries = there(lambda: walk(self._client, handle))
            if entries is None:
                return None
            try:
                read = partial(self._reader.content, namespace, repo, commit)
                return rows_in(read_by_training(entries), labels, read)
            except UnusableLabelsError as error:
                raise Rejected(f"commit {commit} of {repo}: {error}", Reason.LABELS_UNUSABLE) from error

    def export(self, repo: str, commit: str, folder: Path, namespace: str = "default") -> None:
        """Write the files that `manifest` names below an empty folder, each at its path.

        Raises:
            Rejected: the commit is not there.
        """
        with door(f"exporting commit {commit} of {repo}"):
            found = self._reader.commit(namespace, repo, commit)
            if found is None or not found.good:
                raise Rejected(f"commit {commit} of {repo}: there is no such finished commit")
            folder.mkdir(parents=True, exist_ok=True)
            handle = commit_named(repo_named(namespace, repo), commit)
            with self._client.pfs.pfs_tar_file(pfs.File(commit=handle, path=READ_BY_TRAINING)) as archive:
                archive.extractall(folder, filter="data")

    def beat(self) -> Mapping[Key, str]:
        """Give, for every DataPipeline that pachd holds something of, a text that stands for all of it.

        The text changes whenever a look would see something else. Changes nothing itself.

        Raises:
            Unavailable: nobody answered, or only in part.
        """
        with door("asking for what changed"):
            return self._pulse.beat()

    def _side(self, owner: Key, side: Side) -> SideSeen:
        project, name = project_of(owner), input_repo(owner, side)
        head = self._reader.good_head(project, name, self._reader.branch_head(project, name))
        if head is None:
            return SideSeen(side, name)
        files = self._reader.files(project, name, head.id)
        return SideSeen(side, name, head.id, head.ingest, len(files), sum(f.size for f in files))

    def _steps(self, owner: Key, side: SideSeen, spec: DataPipelineSpec) -> Iterator[StepSeen]:
        before, commit = side.repo, side.head or ""
        for step in spec.steps:
            seen = self._step(owner, side.side, step.name, before, commit)
            yield seen
            before, commit = _output_repo(owner, seen), seen.head

    def _step(self, owner: Key, side: Side, step: str, before: str, commit: str) -> StepSeen:
        project, name = project_of(owner), pipeline_name(owner, step, side)
        pipeline = self._reader.pipeline(project, name)
        if pipeline is None:
            return self._taking.seen(owner, side, step, commit) or StepSeen(step, side, None)
        wish = "" if reads_other(pipeline, before) else notes_of(pipeline).get(WISH, "")
        broken = str(pipeline.reason) if PIPELINE_BROKEN[pps.PipelineState(pipeline.state)] else ""
        head = self._reader.output(project, name, before, commit)
        if head is None:
            return StepSeen(step, side, wish, failure=broken)
        job = self._reader.job(project, name, head.id)
        if job is not None and is_over(job) and not head.finished:
            head = self._reader.commit(project, name, head.id) or head  # it ended between the two questions
        done = head.good and (job is None or pps.JobState(job.state) is pps.JobState.JOB_SUCCESS)
        return StepSeen(
            step=step,
            side=side,
            wish=wish,
            input=head.reads.get(before, ""),
            head=head.id,
            job=job_status(step, side, job) if job is not None else None,
            done=done,
            failure=(self._reader.failure(project, name, job) if job is not None else head.error) or broken,
            report=self._reader.report(project, name, head.id) if done else Report(),
        )

    def _manifest(
        self, owner: Key, side: SideSeen, spec: DataPipelineSpec, steps: tuple[StepSeen, ...]
    ) -> ManifestSeen | None:
        """Only a chain in which every step has read the newest output of the one before has a result."""
        repo, commit, rows = side.repo, side.head, 0
        for seen in (s for s in steps if s.side is side.side):
            if commit is None or not seen.done or seen.input != commit:
                return None
            repo, commit, rows = _output_repo(owner, seen), seen.head, seen.report.label_rows
        if commit is None:
            return None
        project = project_of(owner)
        files = read_by_training(self._reader.files(project, repo, commit))
        labels = self._reader.labelled(project, repo, commit, spec.labels, rows)
        return manifest(side.side, repo, commit, files, labels)

    def _overlap(self, owner: Key, spec: DataPipelineSpec, steps: tuple[StepSeen, ...]) -> Overlap | None:
        """Compare the sides where a check asks for it, once the step that takes fingerprints is done on both."""
        asked = [check.duplicates for check in spec.checks if check.duplicates is not None]
        taking = [step.name for step in spec.steps if step.uses == "checks"]
        made = {s.side: (_output_repo(owner, s), s.head) for s in steps if taking and s.step == taking[-1] and s.done}
        if not asked or len(made) < len(Side):
            return None
        nearest = min((a.near for a in asked if a.near is not None), default=None)
        return self._reader.overlap(project_of(owner), made[Side.TEST], made[Side.TRAIN], nearest)

    def _heal(self, project: str, repo: pfs.Repo) -> CommitSeen | None:
        return healed(self._client, self._reader, project, repo)

    def _ensure_repo(self, owner: Key, name: str) -> pfs.Repo:
        return ensure_repo(self._client, self._reader, owner, name)

    def _strays(self, owner: Key, spec: DataPipelineSpec) -> tuple[StraySeen, ...]:
        wished = {pipeline_name(owner, step.name, side) for step in spec.steps for side in Side}
        return tuple(found for found in self._pipelines_of(owner) if found.name not in wished)

    def _pipelines_of(self, owner: Key) -> tuple[StraySeen, ...]:
        """Give the owner's pipelines, each before those it reads."""
        project = pfs.Project(name=project_of(owner))
        return readers_first(
            stray_seen(p)
            for p in self._client.pps.list_pipeline(projects=[project], details=True)
            if p.pipeline.project.name == project.name and notes_of(p).get(OWNER) == owner_mark(owner)
        )

    def _reads_itself(self, folder: Path) -> bool:
        return self._file_root is not None and folder.resolve().is_relative_to(self._file_root)


def _output_repo(owner: Key, seen: StepSeen) -> str:
    named = taken_repo if seen.taken else pipeline_name
    return named(owner, seen.step, seen.side)


def _refuse_strangers(owner: Key, found: pps.PipelineInfo) -> None:
    whose = notes_of(found).get(OWNER, "somebody else")
    if whose != owner_mark(owner):
        sentence = f"pipeline {found.pipeline.name} exists and belongs to {whose}"
        raise Rejected(sentence)


def _is_loopback(address: str) -> bool:
    host = urlsplit(address if "://" in address else f"grpc://{address}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
