"""Ask every engine and store again for the members of a Release; judging is for the pure part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cdl.api.v1alpha1 import DataPipeline
from cdl.api.v1alpha1.datapipeline import Labels
from cdl.ports.errors import PortError
from cdl.reconcile import release as pure
from cdl.reconcile.datapipeline import files_digest
from cdl.reconcile.release import Evidence, Silence, listed
from cdl.reconcile.release.statement import PAYLOAD_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.data import DataHistory
    from cdl.ports.git import CommitHistory
    from cdl.ports.resources import ResourceStore
    from cdl.ports.signing import Signer
    from cdl.ports.training import TrainingHistory
    from cdl.reconcile.release import Finding, SideFound
    from cdl.reconcile.release.found import SideDiffers

T = TypeVar("T")
Answer = TypeVar("Answer")


def unheard(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Whom to ask; a Silence says of one why nobody asks it."""

    artifacts: ArtifactStore
    resources: ResourceStore
    """Says where the labels of a pipeline are."""
    data: DataHistory | Silence
    training: TrainingHistory | Silence
    git: CommitHistory | Silence
    signer: Signer | Silence
    """Knows whose signatures count."""


def verify(witnesses: Witnesses, release: Release, told: Callable[[str], None] = unheard) -> tuple[Finding, ...]:
    """Look at everything afresh and judge it; `told` hears what is being read. Changes nothing, raises nothing."""
    return pure.judge(release, gather(witnesses, release, told))


def gather(witnesses: Witnesses, release: Release, told: Callable[[str], None] = unheard) -> Evidence:
    """Ask everybody; who does not answer is a Silence."""
    members = {name: _table(member) for name, member in release.spec.members.items()}
    artifacts, training = witnesses.artifacts, witnesses.training
    contents = {uri: _asked(told, f"reading {uri}", partial(_kept, artifacts, uri)) for uri in pure.addresses(release)}
    checkpoint, experiment = members["checkpoint"], members["experiment"]
    uuid, place = str(checkpoint.get("uuid")), str(checkpoint.get("uri"))
    sides = _sides(witnesses, release, members["data"], _text(members["labels"].get("snapshot")), told)
    commit = _text(members["git"].get("commit")).removesuffix(pure.DIRTY)
    return Evidence(
        commit=_of(witnesses.git, lambda git: git.holds(commit), told, f"looking for commit {commit}")
        if commit
        else False,
        contents=contents,
        statements={uri: _statement(witnesses, uri) for uri in pure.signed(release).values()},
        config=_config(artifacts, _table(experiment.get("config"))),
        files=_asked(told, f"hashing {place}", lambda: dict(_heard(artifacts.hashes(place), told))),
        train=sides[0],
        test=sides[1],
        listed=_listed(witnesses, release, sides, told),
        run=_of(training, lambda t: t.run(_text(experiment.get("run"))), told, "reading the run"),
        measured=_of(
            training, lambda t: t.run(_text(members["evaluation"].get("run"))), told, "reading the evaluation"
        ),
        checkpoint=_of(training, lambda t: t.checkpoint(uuid), told, f"looking for checkpoint {uuid}"),
        version=_of(
            training,
            lambda t: t.version(release.metadata.namespace, release.spec.model, release.spec.version),
            told,
            "looking into the registry",
        ),
    )


def _sides(
    witnesses: Witnesses, release: Release, data: Mapping[str, JsonValue], snapshot: str, told: Callable[[str], None]
) -> tuple[SideFound | Silence | None, SideFound | Silence | None]:
    """Count labels as the pipeline says; where that gives another snapshot, as it might have said at the time."""
    spoken = _labels(witnesses, release, str(data.get("pipeline")))

    def counted(labels: Labels) -> tuple[SideFound | Silence | None, SideFound | Silence | None]:
        train, test = (_side(witnesses, release, _table(data.get(side)), labels, told) for side in ("train", "test"))
        return train, test

    found = counted(spoken)
    if spoken == Labels() or pure.snapshot_of(*found) in {snapshot, None}:
        return found
    otherwise = counted(Labels())
    return otherwise if pure.snapshot_of(*otherwise) == snapshot else found


def _side(
    witnesses: Witnesses,
    release: Release,
    side: Mapping[str, JsonValue],
    labels: Labels,
    told: Callable[[str], None],
) -> SideFound | Silence | None:
    repo, commit = _text(side.get("repo")), _text(side.get("commit"))
    doing = f"reading commit {commit} of {repo}"
    return _of(witnesses.data, lambda d: d.evidence(repo, commit, labels, release.metadata.namespace), told, doing)


def _listed(
    witnesses: Witnesses,
    release: Release,
    sides: tuple[SideFound | Silence | None, SideFound | Silence | None],
    told: Callable[[str], None],
) -> Mapping[str, SideDiffers] | Silence:
    """Name the files of a side that has changed since it was listed; a side that has not is not read again."""
    train, test = sides
    if train is None or test is None or isinstance(train, Silence) or isinstance(test, Silence):
        return {}
    kept = kept_list(witnesses.artifacts, release)
    if isinstance(kept, Silence):
        return kept
    found: dict[str, SideDiffers] = {}
    for side, now in zip(listed.SIDES, (train, test), strict=True):
        if now.digest == files_digest(kept[side]):
            continue
        part = _table(_table(release.spec.members["data"]).get(side))
        repo, commit = _text(part.get("repo")), _text(part.get("commit"))
        ask = partial(_manifest, release.metadata.namespace, repo, commit)
        files = _of(witnesses.data, ask, told, f"listing the files of commit {commit} of {repo}")
        if isinstance(files, Silence):
            return files
        found[side] = listed.compared(kept[side], files)
    return found


def _manifest(namespace: str, repo: str, commit: str, data: DataHistory) -> Mapping[str, str]:
    return data.manifest(repo, commit, namespace) or {}


def kept_list(artifacts: ArtifactStore, release: Release) -> dict[str, listed.Files] | Silence:
    """Read the list of files that was kept beside a Release."""
    uri = listed.address(release)
    if not uri:
        return Silence(listed.unlisted(release), asked=False)
    try:
        kept = listed.unpacked(artifacts.fetch(uri, listed.named_after(uri)).read_bytes())
    except (PortError, OSError, ValueError) as error:
        return Silence(str(error), asked=False)
    if not listed.stands_for(release, *(files_digest(kept[side]) for side in listed.SIDES)):
        return Silence("the list that is kept is not of the files that the dataset's version stands for", asked=False)
    return kept


def _labels(witnesses: Witnesses, release: Release, pipeline: str) -> Labels:
    try:
        found = witnesses.resources.get(DataPipeline, release.metadata.namespace, pipeline)
    except PortError:
        return Labels()
    return found.spec.labels if found is not None else Labels()


def _kept(artifacts: ArtifactStore, uri: str) -> str | None:
    return next((sha256 for _, sha256 in artifacts.hashes(uri)), None)


def _statement(witnesses: Witnesses, uri: str) -> JsonValue | Silence:
    """Open what is signed; what does not lie there whole is told by its content."""
    if isinstance(witnesses.signer, Silence):
        return witnesses.signer
    try:
        envelope = json.loads(witnesses.artifacts.fetch(uri, listed.named_after(uri)).read_bytes())
    except (PortError, OSError, ValueError):
        return None
    try:
        said: JsonValue = json.loads(witnesses.signer.opened(envelope, PAYLOAD_TYPE))
    except (PortError, ValueError) as error:
        return str(error)
    return said


def _config(artifacts: ArtifactStore, part: Mapping[str, JsonValue]) -> JsonValue | None:
    """Read the kept configuration; what lies there instead is nothing to compare a run with."""
    try:
        found: JsonValue = json.loads(artifacts.fetch(_text(part.get("uri")), _text(part.get("digest"))).read_bytes())
    except (PortError, OSError, ValueError):
        return None
    return found


def _heard(files: Iterator[tuple[str, str]], told: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for path, sha256 in files:
        told(f"hashed {path}")
        yield path, sha256


def _of(witness: T | Silence, ask: Callable[[T], Answer], told: Callable[[str], None], doing: str) -> Answer | Silence:
    return witness if isinstance(witness, Silence) else _asked(told, doing, lambda: ask(witness))


def _asked(told: Callable[[str], None], doing: str, ask: Callable[[], Answer]) -> Answer | Silence:
    told(doing)
    try:
        return ask()
    except PortError as error:
        return Silence(str(error))


def _table(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
