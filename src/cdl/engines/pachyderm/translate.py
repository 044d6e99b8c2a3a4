"""Between Pachyderm's types and ours; pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from pachyderm_sdk.api import pfs, pps

from cdl.api.conditions import Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import JobStatus
from cdl.checks.report import side_of
from cdl.ports.errors import Rejected
from cdl.reconcile.datapipeline import ManifestSeen, Report, StraySeen, files_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.datapipeline import Resources, Side
    from cdl.reconcile.datapipeline import StepWish

    from .labels import Labelled
    from .wire import Entry

BRANCH = "master"
INGEST = "cdl:"
WISH, CODE, OWNER = "cdl.dev/wish", "cdl.dev/code", "cdl.dev/owner"
RAW_OWNER = "cdl.dev/raw-owner"
"""Whose a pipeline is that people wrote themselves: no step, so never one too many."""
TAKEN = "_taken"
"""Last part of the names of repositories whose content an equal step elsewhere made; no step is called so."""
LABELLED = "_labelled"
"""Last part of the names of repositories with files that people labelled."""
NAME_LIMIT = 51
REFUSED = re.compile(r"[^ -~]|[*?\[\]{}!()@+^]")
"""Characters that no path at Pachyderm has."""
JOB_STATE: dict[pps.JobState, str] = {
    pps.JobState.JOB_STATE_UNKNOWN: "UNKNOWN",
    pps.JobState.JOB_CREATED: "CREATED",
    pps.JobState.JOB_STARTING: "STARTING",
    pps.JobState.JOB_RUNNING: "RUNNING",
    pps.JobState.JOB_FAILURE: "FAILURE",
    pps.JobState.JOB_SUCCESS: "SUCCESS",
    pps.JobState.JOB_KILLED: "KILLED",
    pps.JobState.JOB_EGRESSING: "EGRESSING",
    pps.JobState.JOB_FINISHING: "FINISHING",
    pps.JobState.JOB_UNRUNNABLE: "UNRUNNABLE",
}
OVER = frozenset({"FAILURE", "SUCCESS", "KILLED", "UNRUNNABLE"})
LOST = frozenset({"FAILURE", "KILLED", "UNRUNNABLE"})
PIPELINE_BROKEN: dict[pps.PipelineState, bool] = {
    pps.PipelineState.PIPELINE_STATE_UNKNOWN: False,
    pps.PipelineState.PIPELINE_STARTING: False,
    pps.PipelineState.PIPELINE_RUNNING: False,
    pps.PipelineState.PIPELINE_RESTARTING: False,
    pps.PipelineState.PIPELINE_FAILURE: True,
    pps.PipelineState.PIPELINE_PAUSED: False,
    pps.PipelineState.PIPELINE_STANDBY: False,
    pps.PipelineState.PIPELINE_CRASHING: True,
}


@dataclass(frozen=True, slots=True)
class CommitSeen:
    """One commit, as far as we care."""

    id: str
    description: str
    finished: bool
    error: str
    automatic: bool
    """Made by Pachyderm itself when a branch was drawn; nobody put anything in."""
    reads: Mapping[str, str]
    """The commit of each repository it was made from."""

    @property
    def good(self) -> bool:
        """Its content counts."""
        return self.finished and not self.error

    @property
    def ingest(self) -> str | None:
        """Key of the ingest that made it; None: somebody else did."""
        return self.description.removeprefix(INGEST) if self.description.startswith(INGEST) else None


@dataclass(frozen=True, slots=True)
class Note:
    """What a commit says of itself that was taken over, or holds files that people labelled."""

    wish: str
    """Digest of the wish of the step that it stands for; of labelled files, what stands for which they are."""
    program: str
    """Empty: none was run."""
    reads: str
    """Repository of the same owner whose commit an equal step made it from."""
    input: str
    """That commit."""
    origin: str
    """Whose it was: namespace/repository@commit."""


def note_of(commit: CommitSeen | None) -> Note | None:
    """Read what a commit says of itself; None: it was not taken over."""
    said = commit.ingest if commit is not None else None
    if not said or not said.startswith("{"):
        return None
    try:
        return Note(**json.loads(said))
    except (ValueError, TypeError):  # somebody else's words
        return None


def project_of(owner: Key) -> str:
    """The project of a resource: Kubernetes' and Pachyderm's default are one."""
    return owner.namespace


def owner_mark(owner: Key) -> str:
    """What says whose a pipeline or repository is."""
    return f"{owner.namespace}/{owner.name}"


def marked(mark: str) -> Key | None:
    """Read whose a pipeline or repository is; None when the mark is no mark of ours."""
    namespace, slash, name = mark.partition("/")
    return Key("DataPipeline", namespace, name) if slash and namespace and name and "/" not in name else None


def input_repo(owner: Key, side: Side) -> str:
    """Name the repository that the files of a side go into."""
    return f"{owner.name}-{side}"


def pipeline_name(owner: Key, step: str, side: Side) -> str:
    """Name the pipeline of a step over a side; its output repository has the same name."""
    return f"{owner.name}-{step}-{side}"


def taken_repo(owner: Key, step: str, side: Side) -> str:
    """Name the repository of what a step need not compute, because an equal one elsewhere did."""
    return f"{pipeline_name(owner, step, side)}{TAKEN}"


def labels_repo(owner: Key) -> str:
    """Name the repository of what people said."""
    return f"{owner.name}-labels"


def labelled_repo(owner: Key, side: Side) -> str:
    """Name the repository of the files of a side that people labelled."""
    return f"{input_repo(owner, side)}{LABELLED}"


def reads_other(found: pps.PipelineInfo, repo: str) -> bool:
    """The pipeline reads what was taken over, and by now its step should read another repository."""
    try:
        given = str(json.loads(found.user_spec_json or "{}")["input"]["pfs"]["repo"])
    except (ValueError, KeyError, TypeError):  # somebody gave it an input of another form
        return False
    return given.endswith(TAKEN) and given != repo


def repo_named(project: str, name: str) -> pfs.Repo:
    """Give the SDK's handle."""
    return pfs.Repo(name=name, type="user", project=pfs.Project(name=project))


def commit_named(repo: pfs.Repo, commit: str) -> pfs.Commit:
    """Give the SDK's handle."""
    return pfs.Commit(repo=repo, id=commit, branch=pfs.Branch(repo=repo, name=BRANCH))


def pipeline_named(project: str, name: str) -> pps.Pipeline:
    """Give the SDK's handle."""
    return pps.Pipeline(project=pfs.Project(name=project), name=name)


def moment(time: datetime | None) -> datetime | None:
    """Give a time that was set: the SDK reads an absent one as the beginning of 1970."""
    if time is None or time.year <= 1970:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def commit_seen(found: pfs.CommitInfo) -> CommitSeen:
    """Read a commit."""
    return CommitSeen(
        id=str(found.commit.id),
        description=str(found.description),
        finished=moment(found.finished) is not None,
        error=str(found.error),
        automatic=bool(found.origin and pfs.OriginKind(found.origin.kind) is pfs.OriginKind.AUTO),
        reads={str(c.repo.name or c.branch.repo.name): str(c.id) for c in found.direct_provenance},
    )


def is_over(found: pps.JobInfo) -> bool:
    """The job will not change any more."""
    return JOB_STATE[pps.JobState(found.state)] in OVER


def job_status(step: str, side: Side, found: pps.JobInfo) -> JobStatus:
    """Read a job."""
    return JobStatus(
        step=step,
        side=side,
        id=str(found.job.id),
        state=JOB_STATE[pps.JobState(found.state)],
        processed=int(found.data_processed),
        skipped=int(found.data_skipped),
        failed=int(found.data_failed),
        recovered=int(found.data_recovered),
        total=int(found.data_total),
        started_at=moment(found.started),
        finished_at=moment(found.finished),
    )


def notes_of(found: pps.PipelineInfo) -> dict[str, str]:
    """Read what we wrote into a pipeline's spec."""
    return notes_in(found.user_spec_json or "{}")


def notes_in(user_spec: str | bytes) -> dict[str, str]:
    """Read what we wrote into a spec, as it was sent."""
    try:
        spec = json.loads(user_spec)
        noted = spec.get("metadata", {}).get("annotations", {})
    except (ValueError, AttributeError):  # somebody else's pipeline, written by another client
        return {}
    return {str(k): str(v) for k, v in noted.items()} if isinstance(noted, dict) else {}


def stray_seen(found: pps.PipelineInfo) -> StraySeen:
    """Read whose output a pipeline reads; one that somebody gave an input of another form reads nothing of ours."""
    given = found.details.input.pfs if found.details and found.details.input else None
    return StraySeen(str(found.pipeline.name), str(given.repo) if given else "")


def readers_first(found: Iterable[StraySeen]) -> tuple[StraySeen, ...]:
    """Put each before those it reads."""
    by_name = {f.name: f for f in sorted(found, key=lambda f: f.name)}
    order = TopologicalSorter({name: {f.reads} & by_name.keys() for name, f in by_name.items()}).static_order()
    return tuple(by_name[name] for name in reversed(tuple(order)))


def pipeline_spec(owner: Key, side: Side, wish: StepWish, source: str, image: str, prefix: str) -> str:
    """Write the step as a Pachyderm pipeline that reads the repository `source`, in the words of its JSON.

    Raises:
        Rejected: with reason InvalidSpec when the name is longer than Pachyderm allows.
    """
    step, project = wish.step, project_of(owner)
    name = pipeline_name(owner, step.name, side)
    if len(name) > NAME_LIMIT or len(f"{project}-{name}-v99") > 63:
        sentence = (
            f"step {step.name}: its pipeline would be called {name}, {len(name)} characters; allowed: {NAME_LIMIT}"
        )
        raise Rejected(sentence, Reason.INVALID_SPEC)
    transform: dict[str, JsonValue] = {
        "cmd": ["python3", f"{prefix}/{step.uses}/step.py"] if step.uses else list(step.cmd),
        "env": {**_environment(wish), **step.env},
    }
    chosen = image if step.uses else step.image
    if chosen:
        transform["image"] = chosen
    pfs_input: dict[str, JsonValue] = {
        "project": project,
        "repo": source,
        "branch": BRANCH,
        "glob": step.glob,
        "name": "in",
    }
    spec: dict[str, JsonValue] = {
        "pipeline": {"project": {"name": project}, "name": name},
        "description": f"step {step.name} of DataPipeline {owner.name}, {side} side",
        "metadata": {"annotations": {WISH: wish.digest, CODE: wish.program, OWNER: owner_mark(owner)}},
        "transform": transform,
        "input": {"pfs": pfs_input},
        "parallelismSpec": {"constant": str(step.parallelism)},
        **_resources(step.resources),
    }
    return json.dumps(spec, sort_keys=True)


def _environment(wish: StepWish) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {"CDL_STEP": wish.step.name}
    if wish.step.uses == "checks":
        checks = [c.spoken for c in wish.checks]
        found["CDL_CHECKS"] = json.dumps(checks, sort_keys=True)
    return found


def _resources(wanted: Resources) -> dict[str, JsonValue]:
    """An empty request is said aloud: without one Pachyderm asks a whole core for every worker."""
    requests: dict[str, JsonValue] = {}
    limits: dict[str, JsonValue] = {}
    if wanted.cpu is not None:
        requests["cpu"] = limits["cpu"] = wanted.cpu
    if wanted.memory is not None:
        requests["memory"] = limits["memory"] = wanted.memory
    if wanted.gpu:
        limits["gpu"] = {"type": "nvidia.com/gpu", "number": str(wanted.gpu)}
    return {"resourceRequests": requests, **({"resourceLimits": limits} if limits else {})}


def report_of(documents: Iterable[bytes]) -> Report:
    """Add up what a step said datum by datum; a report that is none counts nothing."""
    said = tuple(_objects(documents))
    whole = side_of(said)
    return Report(
        accepted=_count(whole["accepted"]),
        rejected=_counts(whole["rejected"]),
        label_rows=sum(_count(_object(told.get("labels")).get("rows")) for told in said),
        warned=_counts(whole["warned"]),
        items=sum(_count(told.get("items")) for told in said),
        examples=_shown(whole["examples"]),
        fields=_object(whole["fields"]),
    )


def prints_of(documents: Iterable[bytes]) -> dict[str, str]:
    """Gather the fingerprints of the files that a step let through."""
    found = (_object(told.get("prints")) for told in _objects(documents))
    return {str(path): str(told) for prints in found for path, told in prints.items()}


def _objects(documents: Iterable[bytes]) -> Iterator[dict[str, object]]:
    for document in documents:
        try:
            said = json.loads(document)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield said


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _counts(value: object) -> dict[str, int]:
    return {name: _count(count) for name, count in _object(value).items()}


def _shown(value: object) -> tuple[Mapping[str, object], ...]:
    return tuple(part for part in value if isinstance(part, dict)) if isinstance(value, list) else ()


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


READ_BY_TRAINING = "/[!_]*"
"""Every file but notes, as a glob pattern of Pachyderm's."""


def read_by_training(entries: Iterable[Entry]) -> dict[str, str]:
    """Every file but notes, whose top names start with an underscore: path to digest."""
    return {e.path: e.hash for e in entries if not e.path.startswith("/_")}


def manifest(side: Side, repo: str, commit: str, files: Mapping[str, str], labels: Labelled) -> ManifestSeen:
    """Say what training will read of these files, path to digest."""
    return ManifestSeen(
        side=side,
        repo=repo,
        commit=commit,
        digest=files_digest(files),
        files=len(files),
        label_digest=labels.digest,
        label_rows=labels.rows,
        label_fault=labels.fault,
    )


def forbidden_path(path: str) -> str:
    """Say what Pachyderm will not take in a path; empty when it will."""
    found = REFUSED.search(path)
    return f"{path!r} holds {found[0]!r}" if found else ""
