"""A data engine in memory: commits, pipelines over them, datums that are skipped when nothing in them changed."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cdl.api.canonical import digest, short
from cdl.api.conditions import Reason
from cdl.api.v1alpha1.datapipeline import JobStatus, Side
from cdl.checks.prints import Overlap, overlap, print_of
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import (
    DataSeen,
    LabelRow,
    ManifestSeen,
    Report,
    SideSeen,
    StepSeen,
    StepWish,
    StraySeen,
    UnusableLabelsError,
)
from cdl.reconcile.release import SideFound
from cdl.testing.weather import Weather

from .counting import Files, counted, manifest_of, rows_of
from .programs import FAILS, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels

BUILT_IN = {"text/clean": "sha256:clean-1", "checks": "sha256:checks-1"}


@dataclass(slots=True)
class Commit:
    """A version of a repository."""

    id: str
    files: Files = field(default_factory=dict)
    key: str | None = None
    finished: bool = False
    programs: tuple[str, ...] = ()
    """What stands for each program that made it, first to last."""


@dataclass(slots=True)
class Pipeline:
    """One step over one side, its newest output and what it remembers of datums."""

    wish: StepWish
    reads: str
    input: str = ""
    output: Commit | None = None
    job: JobStatus | None = None
    failure: str = ""
    report: Report = field(default_factory=Report)
    remembered: dict[str, tuple[Files, Report]] = field(default_factory=dict)
    taken: str = ""
    """Whose output it is, where nothing runs: it stands for what it was taken over for."""

    @property
    def done(self) -> bool:
        """The newest output is whole."""
        return self.output is not None and self.output.finished and not self.failure


@dataclass(slots=True)
class Owned:
    """Everything of one owner."""

    inputs: dict[Side, Commit] = field(default_factory=dict)
    half: dict[Side, Files] = field(default_factory=dict)
    """Written by callers that died before they finished."""
    pipelines: dict[tuple[Side, str], Pipeline] = field(default_factory=dict)
    commits: dict[tuple[Side, str], list[Commit]] = field(default_factory=dict)
    """Everything that was ever committed, by side and step; the input repository's step is empty."""
    processed: Counter[tuple[Side, str]] = field(default_factory=Counter)
    beside: dict[str, list[Commit]] = field(default_factory=dict)
    """Everything that was ever committed to repositories beside these, by the repository's name."""

    def read_by(self, side: Side, pipeline: Pipeline) -> Commit | None:
        """What a pipeline reads now."""
        if not pipeline.reads:
            return self.inputs.get(side)
        before = self.pipelines.get((side, pipeline.reads))
        return before.output if before else None

    def in_order(self, side: Side) -> Iterable[Pipeline]:
        """Pipelines of a side, each after the one it reads."""
        waiting = [""]
        while waiting:
            reads = waiting.pop()
            for (of, step), pipeline in self.pipelines.items():
                if of is side and pipeline.reads == reads:
                    yield pipeline
                    waiting.append(step)


class MemoryData:
    """A DataEngine. Steps copy their input; one whose command is `false` fails; `checks` applies minLength."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start without any owner."""
        self.weather = weather or Weather()
        self.programs = dict(BUILT_IN)
        self.commits: Counter[tuple[Key, Side, str]] = Counter()
        """How often each ingest was written."""
        self.updates: Counter[tuple[Key, Side, str, str]] = Counter()
        """How often each pipeline was made or changed, by its wish."""
        self._owners: dict[Key, Owned] = {}
        self._numbers = itertools.count(1)

    @property
    def owners(self) -> frozenset[Key]:
        """Everybody who has anything here."""
        return frozenset(self._owners)

    def look(self, owner: Key, spec: DataPipelineSpec) -> DataSeen:
        """Report sides, steps of the spec, strays and, when the last step is done, manifests."""
        with self.weather.call("look at data"):
            owned = self._owners.get(owner, Owned())
            manifests = tuple(m for side in Side if (m := _manifest(owner, owned, spec, side)) is not None)
            return DataSeen(
                sides=tuple(_side(owner, side, owned.inputs.get(side)) for side in Side),
                programs=dict(self.programs),
                steps=tuple(_step(owned, step.name, side) for side in Side for step in spec.steps),
                manifests=manifests,
                strays=tuple(s for side in Side for s in _strays(owner, owned, spec, side)),
                overlap=_overlap(owned, spec) if len(manifests) == len(Side) else None,
            )

    def ingest(self, owner: Key, side: Side, key: str, folder: Path) -> None:
        """Make the head of a side hold exactly the folder's files, in one commit called by key."""
        with self.weather.call(f"ingest {side} {key}"):
            owned = self._owners.setdefault(owner, Owned())
            head = owned.inputs.get(side)
            if head is not None and head.key == key:
                return
            files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
            owned.half[side] = files
            self.weather.moment()
            self._commit(owned, side, owned.half.pop(side), key)
            self.commits[owner, side, key] += 1

    def owned(self, owner: Key) -> Owned:
        """Give everything of an owner."""
        return self._owners.get(owner, Owned())

    def beside(self, owner: Key, repo: str) -> list[Commit]:
        """Give the commits of a repository beside the others, to add one."""
        return self._owners.setdefault(owner, Owned()).beside.setdefault(repo, [])

    def fresh(self) -> str:
        """Name a commit."""
        return f"c{next(self._numbers)}"

    def processed(self, owner: Key) -> Counter[tuple[Side, str]]:
        """How many datums each step of the owner ever processed, skipped ones left out."""
        return self._owners.get(owner, Owned()).processed.copy()

    def push(self, owner: Key, side: Side, files: Files) -> None:
        """Commit files as a person would, past cdl."""
        self._commit(self._owners.setdefault(owner, Owned()), side, files, None)

    def ensure_step(self, owner: Key, side: Side, wish: StepWish, reads: str, like: Key | None = None) -> None:
        """Make the step's pipeline over a side be as wished, or take over what an equal step made.

        Raises:
            Rejected: the step it should read is not there.
        """
        with self.weather.call(f"ensure {wish.step.name} over {side}"):
            owned = self._owners.setdefault(owner, Owned())
            if reads and (side, reads) not in owned.pipelines:
                message = f"step {wish.step.name}: reads {reads}, which is not there"
                raise Rejected(message)
            now = owned.pipelines.get((side, wish.step.name))
            if now is not None and (now.wish, now.reads) == (wish, reads):
                return
            if like is not None and (now is None or now.taken) and self._take(owned, side, wish, like):
                return
            made = owned.pipelines[side, wish.step.name] = Pipeline(wish, reads)
            if now is not None and (now.wish.program, now.reads) == (wish.program, reads):
                made.remembered = now.remembered  # other workers do not make it another program
            self.updates[owner, side, wish.step.name, wish.digest] += 1
            self._trigger(owned, side)

    def remove_stray(self, owner: Key, name: str) -> None:
        """Remove a pipeline of the owner.

        Raises:
            Rejected: it is somebody else's, or another one reads it.
        """
        with self.weather.call(f"remove stray {name}"):
            for key, owned in self._owners.items():
                place = next((p for p in owned.pipelines if _repo(key, p[0], p[1]) == name), None)
                if place is None or key.namespace != owner.namespace:
                    continue
                if key != owner:
                    message = f"pipeline {name} belongs to {key.name}"
                    raise Rejected(message)
                if any(side is place[0] and p.reads == place[1] for (side, _), p in owned.pipelines.items()):
                    message = f"pipeline {name}: another one reads it"
                    raise Rejected(message)
                del owned.pipelines[place]
                owned.commits.pop(place, None)

    def forget(self, owner: Key) -> None:
        """Remove every repository and pipeline of the owner."""
        with self.weather.call("forget data"):
            self._owners.pop(owner, None)

    def manifest(self, repo: str, commit: str, namespace: str = "default") -> Mapping[str, str] | None:
        """Give the files of a finished commit, path to digest; None: the commit is not there."""
        with self.weather.call(f"manifest of {repo}"):
            found = self.committed(repo, commit, namespace)
            return manifest_of(found.files) if found is not None else None

    def evidence(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> SideFound | None:
        """Say what a finished commit amounts to, with the programs that made it."""
        with self.weather.call(f"evidence of {repo}"):
            found = self.committed(repo, commit, namespace)
            if found is None:
                return None
            files, snapshot, rows, _ = counted(found.files, labels)
            return SideFound(files, snapshot, rows, found.programs)

    def labels(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> tuple[LabelRow, ...] | None:
        """Give the label rows of a finished commit; None: the commit is not there.

        Raises:
            Rejected: tables do not say one label for each item.
        """
        with self.weather.call(f"labels of {repo}"):
            found = self.committed(repo, commit, namespace)
            try:
                return rows_of(found.files, labels) if found is not None else None
            except UnusableLabelsError as error:
                raise Rejected(f"commit {commit} of {repo}: {error}", Reason.LABELS_UNUSABLE) from error

    def export(self, repo: str, commit: str, folder: Path, namespace: str = "default") -> None:
        """Write the files of a finished commit below a folder.

        Raises:
            Rejected: the commit is not there.
        """
        with self.weather.call(f"export of {repo}"):
            found = self.committed(repo, commit, namespace)
            if found is None:
                message = f"commit {commit} of {repo}: there is no such finished commit"
                raise Rejected(message)
            for path, content in found.files.items():
                if path.startswith("_"):
                    continue
                place = folder / path.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)

    def committed(self, repo: str, commit: str, namespace: str) -> Commit | None:
        """Give a finished commit."""
        for owner, owned in self._owners.items():
            for (side, step), commits in owned.commits.items():
                found = next((c for c in commits if c.id == commit and c.finished), None)
                if found is not None and (owner.namespace, _repo(owner, side, step)) == (namespace, repo):
                    return found
            commits = owned.beside.get(repo, []) if owner.namespace == namespace else []
            found = next((c for c in commits if c.id == commit and c.finished), None)
            if found is not None:
                return found
        return None

    def beat(self) -> Mapping[Key, str]:
        """Give a text for every owner that changes whenever a look would see something else."""
        with self.weather.call("beat of data"):
            return {owner: _beat(owned) for owner, owned in self._owners.items() if owned.inputs or owned.pipelines}

    def advance(self) -> None:
        """Let every job go one state on."""
        for owned in self._owners.values():
            for side in Side:
                for pipeline in owned.in_order(side):
                    _advance(owned, side, pipeline)

    def _commit(self, owned: Owned, side: Side, files: Files, key: str | None) -> None:
        owned.inputs[side] = Commit(f"c{next(self._numbers)}", files, key, finished=True)
        owned.commits.setdefault((side, ""), []).append(owned.inputs[side])
        self._trigger(owned, side)

    def _take(self, owned: Owned, side: Side, wish: StepWish, like: Key) -> bool:
        """Take over what the equal step of `like` made of equal files; False: there is no such thing."""
        theirs, before = self._owners.get(like, Owned()), owned.pipelines.get((side, wish.reads))
        equal, mine = theirs.pipelines.get((side, wish.step.name)), owned.read_by(side, Pipeline(wish, wish.reads))
        given = theirs.read_by(side, equal) if equal is not None else None
        computed = before is not None and not before.taken
        if equal is None or equal.taken or not equal.done or equal.output is None or computed:
            return False
        if mine is None or given is None or equal.wish != wish or (equal.input, mine.files) != (given.id, given.files):
            return False
        programs = (*mine.programs, wish.program)
        made = Commit(f"c{next(self._numbers)}", dict(equal.output.files), finished=True, programs=programs)
        whose = f"{like.namespace}/{_repo(like, side, wish.step.name)}@{equal.output.id}"
        owned.pipelines[side, wish.step.name] = Pipeline(
            wish, wish.reads, mine.id, made, report=equal.report, taken=whose
        )
        owned.commits.setdefault((side, wish.step.name), []).append(made)
        self._trigger(owned, side)
        return True

    def _trigger(self, owned: Owned, side: Side) -> None:
        """Start a job for every pipeline whose input moved; what was taken over for another input is nothing now."""
        for pipeline in tuple(owned.in_order(side)):
            commit = owned.read_by(side, pipeline)
            if pipeline.taken and (commit is None or pipeline.input != commit.id):
                del owned.pipelines[side, pipeline.wish.step.name]
        for pipeline in owned.in_order(side):
            commit = owned.read_by(side, pipeline)
            if commit is None or pipeline.input == commit.id:
                continue
            number = next(self._numbers)
            made = Commit(f"c{number}", programs=(*commit.programs, pipeline.wish.program))
            pipeline.input, pipeline.output, pipeline.failure = commit.id, made, ""
            owned.commits.setdefault((side, pipeline.wish.step.name), []).append(made)
            pipeline.job = JobStatus(step=pipeline.wish.step.name, side=side, id=f"j{number}", state="CREATED")


def _advance(owned: Owned, side: Side, pipeline: Pipeline) -> None:
    commit, output, job = owned.read_by(side, pipeline), pipeline.output, pipeline.job
    if commit is None or output is None or job is None or output.finished:
        return
    before = owned.pipelines.get((side, pipeline.reads))
    if before is not None and before.failure:
        pipeline.failure, output.finished = f"step {pipeline.reads} before it failed", True
        pipeline.job = job.model_copy(update={"state": "UNRUNNABLE"})
    elif job.state == "CREATED":
        if commit.finished:
            pipeline.job = job.model_copy(update={"state": "RUNNING"})
    elif pipeline.wish.step.cmd == FAILS:
        pipeline.failure, output.finished = "false ended with 1", True
        pipeline.job = job.model_copy(update={"state": "FAILURE"})
    else:
        _process(pipeline, commit, output, job)
        owned.processed[side, pipeline.wish.step.name] += pipeline.job.processed if pipeline.job else 0


def _process(pipeline: Pipeline, commit: Commit, output: Commit, job: JobStatus) -> None:
    datums: dict[str, Files] = {}
    for path, content in commit.files.items():
        datums.setdefault(PurePosixPath(path).parts[0], {})[path] = content
    known = {_digest(files): files for files in datums.values()}
    skipped = known.keys() & pipeline.remembered.keys()
    pipeline.remembered = {
        name: pipeline.remembered.get(name) or run(pipeline.wish, files) for name, files in known.items()
    }
    reports = [report for _, report in pipeline.remembered.values()]
    pipeline.report = Report(
        sum(r.accepted for r in reports), Counter[str]() + sum((Counter(r.rejected) for r in reports), Counter[str]())
    )
    output.files = {path: content for files, _ in pipeline.remembered.values() for path, content in files.items()}
    output.finished = True
    counts = {"processed": len(known) - len(skipped), "skipped": len(skipped), "total": len(known)}
    pipeline.job = job.model_copy(update={"state": "SUCCESS", **counts})


def _beat(owned: Owned) -> str:
    heads = [[side, commit.id] for side, commit in sorted(owned.inputs.items())]
    heads += [[repo, commits[-1].id] for repo, commits in sorted(owned.beside.items())]
    pipelines: list[object] = []
    for (side, step), p in sorted(owned.pipelines.items()):
        head, job = p.output.id if p.output else "", p.job.model_dump(mode="json") if p.job else None
        pipelines.append([side, step, p.wish.digest, p.reads, p.input, head, p.done, p.failure, job])
    return short([heads, pipelines])


def _repo(owner: Key, side: Side, step: str = "") -> str:
    return f"{owner.name}-{step}-{side}" if step else f"{owner.name}-{side}"


def _strays(owner: Key, owned: Owned, spec: DataPipelineSpec, side: Side) -> Iterable[StraySeen]:
    wished = {step.name for step in spec.steps}
    for pipeline in reversed(tuple(owned.in_order(side))):
        if pipeline.wish.step.name not in wished:
            yield StraySeen(_repo(owner, side, pipeline.wish.step.name), _repo(owner, side, pipeline.reads))


def _side(owner: Key, side: Side, head: Commit | None) -> SideSeen:
    repo = _repo(owner, side)
    if head is None:
        return SideSeen(side, repo)
    return SideSeen(side, repo, head.id, head.key, len(head.files), sum(map(len, head.files.values())))


def _step(owned: Owned, step: str, side: Side) -> StepSeen:
    pipeline = owned.pipelines.get((side, step))
    if pipeline is None:
        return StepSeen(step, side, None)
    head = pipeline.output.id if pipeline.output else ""
    return StepSeen(
        step,
        side,
        pipeline.wish.digest,
        pipeline.input,
        head,
        pipeline.job,
        pipeline.done,
        pipeline.failure,
        pipeline.report,
        pipeline.taken,
    )


def _overlap(owned: Owned, spec: DataPipelineSpec) -> Overlap | None:
    asked = [check.duplicates for check in spec.checks if check.duplicates is not None]
    if not asked:
        return None
    last = {side: owned.inputs[side].files for side in Side}
    if spec.steps:
        outputs = {side: owned.pipelines[side, spec.steps[-1].name].output for side in Side}
        last = {side: output.files if output else {} for side, output in outputs.items()}
    test, train = (
        {path: print_of(raw, raw.decode(errors="replace")) for path, raw in last[side].items()}
        for side in (Side.TEST, Side.TRAIN)
    )
    return overlap(test, train, min((a.near for a in asked if a.near is not None), default=None))


def _manifest(owner: Key, owned: Owned, spec: DataPipelineSpec, side: Side) -> ManifestSeen | None:
    repo, commit = _repo(owner, side), owned.inputs.get(side)
    if spec.steps:
        last = owned.pipelines.get((side, spec.steps[-1].name))
        repo, commit = _repo(owner, side, spec.steps[-1].name), last.output if last and last.done else None
    if commit is None:
        return None
    files, labels, rows, fault = counted(commit.files, spec.labels)
    return ManifestSeen(side, repo, commit.id, files, len(commit.files), labels, rows, fault)


def _digest(files: Files) -> str:
    return digest({path: content.hex() for path, content in files.items()})
