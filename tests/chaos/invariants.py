"""What must hold whatever goes wrong; each check gives the sentences of its violations, best none.

I1 at most one engine object a key, I2 no acknowledged write lost, I3 nothing left of what was deleted, I4 stable in the
end, I5 only approved releases answer, I6 a history that only goes forward, I10 model servers answer during outages.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.chaos.kube import condition, is_settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.calls import Gate
    from tests.chaos.eyes import Eyes
    from tests.chaos.kube import Document, History, Kube, Recorder
    from tests.chaos.load import Answered

SETTLE_SECONDS = 60.0
GONE_SECONDS = 30.0
AFTERMATH_SECONDS = 0.5
"""How long after the last status its event may be posted."""


@dataclass(slots=True)
class Acknowledged:
    """What a client was told exists, and the sha256 of its bytes at that moment."""

    commits: dict[tuple[str, str, str], str] = field(default_factory=dict)
    checkpoints: dict[Path, str] = field(default_factory=dict)
    versions: dict[tuple[str, str, int], str] = field(default_factory=dict)


def at_most_one(eyes: Eyes, document: Document) -> Iterator[str]:
    """I1: counted at the engine, past the operator's own records."""
    kind, namespace, name = document["kind"], document["metadata"]["namespace"], document["metadata"]["name"]
    match kind:
        case "DataPipeline":
            names = Counter(eyes.pipelines(namespace, name))
            yield from (f"I1: pipeline {n} is there {count} times" for n, count in names.items() if count > 1)
            yield from (f"I1: processed twice: {what}" for what in eyes.doubled_jobs(namespace, name))
        case "Experiment":
            yield from (f"I1: more than one run of {key}" for key in eyes.doubled_runs(namespace, name))
            digests = Counter(eyes.versions(namespace, document["spec"]["model"]["name"]).values())
            yield from (f"I1: {count} versions of digest {d}" for d, count in digests.items() if d and count > 1)
        case "ModelDeployment":
            found = eyes.deployments(namespace, name)
            if len(found) > 1:
                yield f"I1: {len(found)} SeldonDeployments for {name}"


def acknowledge(eyes: Eyes, kube: Kube, document: Document, told: Acknowledged) -> None:
    """I2, first half: take down what the status says exists."""
    namespace, status = document["metadata"]["namespace"], document.get("status", {})
    dataset = status.get("dataset") or {}
    for side in ("train", "test"):
        place = dataset.get(side) or {}
        if place.get("repo") and place.get("commit"):
            key = (namespace, place["repo"], place["commit"])
            told.commits.setdefault(key, eyes.content(*key))
    release = status.get("release")
    if document["kind"] == "Experiment" and release:
        held = kube.get("Release", namespace, release)
        if held is not None:
            spec = held["spec"]
            told.versions.setdefault((namespace, spec["model"], spec["version"]), spec["digest"])
            folder = Path(unquote(urlsplit(spec["members"]["checkpoint"]["uri"]).path))
            told.checkpoints.setdefault(folder, eyes.checkpoint(folder))


def nothing_lost(eyes: Eyes, told: Acknowledged, repos: set[str] | None = None) -> Iterator[str]:
    """I2, second half: it is still there, same bytes; `repos` limits it to those that must still exist."""
    for (project, repo, commit), sha256 in told.commits.items():
        if repos is not None and repo not in repos:
            continue
        try:
            now = eyes.content(project, repo, commit)
        except Exception as error:
            yield f"I2: commit {repo}@{commit} cannot be read any more: {error}"
            continue
        if now != sha256:
            yield f"I2: commit {repo}@{commit} was {sha256[:12]} and is {now[:12]}"
    for folder, sha256 in told.checkpoints.items():
        if not sha256 or eyes.checkpoint(folder) != sha256:
            yield f"I2: checkpoint {folder.name} was {sha256[:12]!r} and is {eyes.checkpoint(folder)[:12]!r}"
    for (namespace, model, version), digest in told.versions.items():
        now = eyes.versions(namespace, model).get(version, "")
        if now != digest:
            yield f"I2: version {version} of {model} is {now!r}, was {digest}"


def nothing_left(eyes: Eyes, kube: Kube, document: Document) -> Iterator[str]:
    """I3: within 30 s of a deletion that is through."""
    deadline = time.monotonic() + GONE_SECONDS
    while (left := list(_left(eyes, kube, document))) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield from (f"I3: left of {document['kind']} {document['metadata']['name']}: {what}" for what in left)


def _left(eyes: Eyes, kube: Kube, document: Document) -> Iterator[str]:
    kind, meta = document["kind"], document["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    yield from kube.owned(namespace, meta["uid"])
    match kind:
        case "DataPipeline":
            yield from (f"repository {r}" for r in eyes.repos(namespace, name))
            yield from (f"pipeline {p}" for p in eyes.pipelines(namespace, name))
        case "Experiment":
            yield from eyes.going_on(namespace, name)
        case "ModelDeployment":
            yield from (f"SeldonDeployment {d['metadata']['name']}" for d in eyes.deployments(namespace, name))
            yield from (f"model server {pid}" for pid in eyes.servers(name))
            for release in kube.list("Release", namespace):
                if name in release.get("status", {}).get("servedBy", ()):
                    yield f"{release['metadata']['name']} says that it is served by it"


def settled(document: Document | None) -> Iterator[str]:
    """I4, first half: the status speaks of this generation and is Ready or a failure with a reason."""
    if not is_settled(document):
        yield f"I4: not settled: {condition(document)}"


def quiet(gate: Gate, kube: Kube, document: Document, seconds: float) -> Iterator[str]:
    """I4, second half: no write of the operator, and the object's version stays."""
    kind, meta = document["kind"], document["metadata"]
    time.sleep(AFTERMATH_SECONDS)
    before = kube.get(kind, meta["namespace"], meta["name"])
    number = gate.calls[-1].number if gate.calls else 0
    time.sleep(seconds)
    after = kube.get(kind, meta["namespace"], meta["name"])
    token = gate.names.get(meta["name"], meta["name"])
    for call in list(gate.calls):
        about = token in call.path or token in call.detail or (kind == "Experiment" and call.door == "determined")
        if call.number > number and call.writes and not call.background and about:
            yield f"I4: wrote while all was well: {call.signature}"
    if before and after and before["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]:
        yield f"I4: {kind} {meta['name']} changed while all was well: {_changed(before, after)}"


def _changed(before: Document, after: Document) -> dict[str, Any]:
    """Give the fields that differ, before and after."""
    parts = {f"{part}.{name}" for part in ("metadata", "spec", "status") for name in (*before[part], *after[part])}
    both = {p: tuple(d[p.partition(".")[0]].get(p.partition(".")[2]) for d in (before, after)) for p in sorted(parts)}
    return {p: b for p, b in both.items() if b[0] != b[1] and p != "metadata.managedFields"}


def served(answers: list[Answered], kube: Kube, namespace: str, model: str) -> Iterator[str]:
    """I5: every answer names a release that is approved, with that release's digest."""
    approved = {
        r["metadata"]["name"]: r["spec"]["digest"]
        for r in kube.list("Release", namespace)
        if r["spec"]["model"] == model
        and r.get("status", {}).get("approval", {}).get("state") == "Approved"
        and r["status"]["approval"]["digest"] == r["spec"]["digest"]
    }
    wrong = {a.digest for a in answers if a.ok and a.digest not in approved.values()}
    yield from (f"I5: answered with digest {d!r}, approved are {approved}" for d in wrong)


def available(answers: list[Answered]) -> Iterator[str]:
    """I10: no request of the steady load failed."""
    failed = [a for a in answers if not a.ok]
    if failed:
        first = failed[0]
        yield f"I10: {len(failed)} of {len(answers)} requests failed, the first at {first.at:.3f}: {first.why}"


def forward(recorder: Recorder, uid: str, *, lives: int, calm: bool) -> Iterator[str]:
    """I6: times and generations only go forward, ends stay ends, events are few."""
    history = recorder.history(uid)
    yield from _times(history)
    if calm:
        yield from _ends(history)
    repeats = Counter[tuple[str, str]]()
    for event in recorder.events(uid):
        repeats[(event.get("reason", ""), event.get("message", ""))] += int(event.get("count") or 1)
    changes = len(history.sightings)
    for (reason, message), count in repeats.items():
        if count > changes + lives + 1:
            yield f"I6: event {reason} ({message}) came {count} times in {changes} changes and {lives} lives"


def _times(history: History) -> Iterator[str]:
    newest: dict[str, datetime] = {}
    before: dict[str, tuple[str, datetime]] = {}
    observed = -1
    for _, status in history.statuses():
        now = int(status.get("observedGeneration", -1))
        if now < observed:
            yield f"I6: observedGeneration went from {observed} back to {now}"
        observed = now
        told = {
            c["type"]: (str(c["status"]), datetime.fromisoformat(c["lastTransitionTime"]))
            for c in status.get("conditions") or ()
        }
        for kind, (answer, at) in told.items():
            if at < newest.get(kind, at):
                yield f"I6: {kind}.lastTransitionTime went back from {newest[kind]} to {at}"
            if kind in before and before[kind][0] == answer and at != before[kind][1]:
                yield f"I6: {kind} stayed {answer} and its lastTransitionTime moved from {before[kind][1]} to {at}"
            newest[kind] = at
        before = told


def _ends(history: History) -> Iterator[str]:
    ends: dict[int, str] = {}
    seen: dict[int, list[str]] = defaultdict(list)
    for sighting in history.sightings:
        document = sighting.object
        if document["metadata"].get("deletionTimestamp"):
            return
        generation, ready = document["metadata"].get("generation", 0), condition(document)
        said = f"{ready.get('status')}/{ready.get('reason')}"
        if document.get("status", {}).get("observedGeneration") != generation:
            continue
        seen[generation].append(said)
        if generation in ends and said != ends[generation]:
            yield f"I6: generation {generation} ended as {ends[generation]} and became {said}"
        if is_settled(document):
            ends[generation] = said


def shown(problems: list[str], story: Any) -> str:
    """What a failed test prints."""
    return "\n".join([*problems, "--- the operator's last words", str(story)])
