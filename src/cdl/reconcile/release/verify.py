"""Judge a Release by what was found: every member, each part of it, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.canonical import digest
from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1.release import MEMBERS, ApprovalState
from cdl.reconcile.origin import trained_on
from cdl.reconcile.summary import fact

from .finding import Finding, State, equal, same, silent, spelt, table, text
from .found import Silence
from .listed import address as address_of_list
from .listed import named_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.conditions import Condition
    from cdl.api.v1alpha1 import Release

    from .found import Evidence, RunFound, SideFound

DOCUMENT_ANNOTATION = "cdl.dev/document"
"""Where a Release's document lies, on the Release."""
RELEASE = "release"
"""The Release itself: its document and its digest."""
DIRTY = "-dirty"


def judge(release: Release, evidence: Evidence) -> tuple[Finding, ...]:
    """Judge every member, in their order, and the Release itself first."""
    whole = release.spec.members
    parts: dict[str, dict[str, JsonValue]] = {}
    strange = []
    for name in MEMBERS:
        member = whole.get(name)
        if isinstance(member, dict):
            parts[name] = member
        else:
            strange.append(Finding(name, "", State.UNASKED, found="the Release says nothing of it"))
    judged = [finding for name in parts for finding in _member(name, parts, release, evidence)]
    return (*_release(release, evidence), *strange, *judged)


def _member(
    name: str, parts: Mapping[str, Mapping[str, JsonValue]], release: Release, evidence: Evidence
) -> Iterable[Finding]:
    member = parts[name]
    match name:
        case "git":
            return (_git(member, evidence),)
        case "code":
            return _code(member, evidence)
        case "data":
            return _data(member, parts, evidence)
        case "labels":
            return (_labels(member, evidence),)
        case "transforms":
            return (_transforms(member, evidence),)
        case "experiment":
            return _experiment(member, trained_on(release.spec.members), evidence)
        case "checkpoint":
            return _checkpoint(member, release, evidence)
        case "evaluation":
            return _evaluation(member, evidence)
        case _:
            return (_kept(name, "lock", member.get("lock"), evidence),)


def _release(release: Release, evidence: Evidence) -> Iterator[Finding]:
    """Its members still hash to its digest, and the document beside it still says the same."""
    spec = release.spec
    yield same(RELEASE, "digest", spec.digest, digest(spec.members))
    uri = release.metadata.annotations.get(DOCUMENT_ANNOTATION)
    if uri:
        document = digest(spec.model_dump(mode="json", by_alias=True))
        yield _content(RELEASE, "document", uri, document, evidence)
    listed = address_of_list(release)
    if listed:
        yield _content(RELEASE, "files", listed, f"sha256:{named_after(listed)}", evidence)
    for path, address in signed(release).items():
        yield _signed(release, path, address, evidence)


def signed(release: Release) -> dict[str, str]:
    """Where the signed statements about a Release lie, by what they are called."""
    status = release.status
    known = {"provenance": status.provenance, "approval": status.approval.attestation}
    return {path: address for path, address in known.items() if address}


def _signed(release: Release, path: str, address: str, evidence: Evidence) -> Finding:
    """The file is what its name says, one of the keys that count has signed it, and it is about this Release."""
    lies = _content(RELEASE, path, address, f"sha256:{named_after(address)}", evidence)
    said = evidence.statements.get(address)
    if lies.state is not State.INTACT or said is None:
        return lies
    if isinstance(said, Silence):
        return silent(RELEASE, path, said, lies.expected)
    if isinstance(said, str):
        return Finding(RELEASE, path, State.CHANGED, "a signature that counts", said)
    subjects = table(said).get("subject")
    about = [text(table(s).get("digest"), "sha256") for s in subjects] if isinstance(subjects, list) else []
    if release.spec.digest.removeprefix("sha256:") not in about:
        return Finding(RELEASE, path, State.CHANGED, f"a statement about {release.spec.digest}", "another subject")
    return lies


def _git(member: Mapping[str, JsonValue], evidence: Evidence) -> Finding:
    commit = text(member, "commit").removesuffix(DIRTY)
    if not commit:
        return Finding("git", "commit", State.UNASKED, found="it was not applied from a git repository")
    if isinstance(evidence.commit, Silence):
        return silent("git", "commit", evidence.commit, commit)
    return Finding("git", "commit", State.INTACT if evidence.commit else State.MISSING, commit)


def _code(member: Mapping[str, JsonValue], evidence: Evidence) -> Iterator[Finding]:
    for part in ("model", "serve"):
        if part == "model" or member.get(part) is not None:
            yield _kept("code", part, member.get(part), evidence)


def _data(
    member: Mapping[str, JsonValue], parts: Mapping[str, Mapping[str, JsonValue]], evidence: Evidence
) -> Iterator[Finding]:
    """Judge files by the dataset's version, with labels and transforms as the Release says they were.

    The version stands for files and labels together: where label rows were edited, their member says so.
    """
    version = text(member, "version")
    sides = {"train": evidence.train, "test": evidence.test}
    lost = False
    for side, found in sides.items():
        commit = text(member.get(side), "commit")
        if isinstance(found, Silence):
            yield silent("data", f"{side} commit", found, commit)
        else:
            yield Finding("data", f"{side} commit", State.MISSING if found is None else State.INTACT, commit)
        lost = lost or found is None
    train, test = sides.values()
    if train is None or test is None or isinstance(train, Silence) or isinstance(test, Silence):
        if not lost:
            yield silent("data", "files", _first_silence(train, test), version)
        return
    labels, transforms = parts.get("labels", {}), parts.get("transforms", {})
    snapshot, transform = text(labels, "snapshot"), text(transforms, "digest")
    if digest([train.labels, test.labels]) != snapshot and labels.get("rows") == train.rows + test.rows:
        yield Finding("data", "files", State.UNASKED, version, "they are named by labels that have changed")
        return
    whole = same("data", "files", version, digest([train.digest, test.digest, snapshot, transform]))
    if whole.state is State.CHANGED:
        yield from _named(evidence)
    yield whole


def _named(evidence: Evidence) -> Iterator[Finding]:
    """Name the files that have changed, where a list of them was kept."""
    if isinstance(evidence.listed, Silence):
        yield Finding("data", "names of files", State.UNASKED, found=evidence.listed.why)
        return
    for side, differs_by in evidence.listed.items():
        for one in differs_by.first:
            path = f"{side} {one.path}"
            if one.found:
                yield Finding("data", path, State.CHANGED, one.expected or "no such file", one.found)
            else:
                yield Finding("data", path, State.MISSING, one.expected)
        if differs_by.more:
            yield Finding("data", f"{side} more files", State.CHANGED, "as listed", f"{differs_by.more} that differ")


def _labels(member: Mapping[str, JsonValue], evidence: Evidence) -> Finding:
    snapshot = text(member, "snapshot")
    train, test = evidence.train, evidence.test
    if train is None or test is None:
        return Finding("labels", "snapshot", State.UNASKED, snapshot, "the commit they are in is missing")
    if isinstance(train, Silence) or isinstance(test, Silence):
        return silent("labels", "snapshot", _first_silence(train, test), snapshot)
    found, rows = digest([train.labels, test.labels]), train.rows + test.rows
    if found != snapshot and member.get("rows") != rows:
        why = f"files came or went, and with them label rows: found {rows}, expected {member.get('rows')}"
        return Finding("labels", "snapshot", State.UNASKED, snapshot, why)
    return same("labels", "snapshot", snapshot, found)


def _transforms(member: Mapping[str, JsonValue], evidence: Evidence) -> Finding:
    wanted = text(member, "digest")
    train, test = evidence.train, evidence.test
    known = [side for side in (train, test) if side is not None and not isinstance(side, Silence)]
    for side in known:
        if side.programs is None:
            return Finding("transforms", "steps", State.MISSING, wanted)
        if (found := digest(list(side.programs))) != wanted:
            return Finding("transforms", "steps", State.CHANGED, wanted, found)
    if isinstance(train, Silence) or isinstance(test, Silence):
        return silent("transforms", "steps", _first_silence(train, test), wanted)
    if not known:
        return Finding("transforms", "steps", State.UNASKED, wanted, "the commits they made are missing")
    return Finding("transforms", "steps", State.INTACT, wanted)


def _experiment(
    member: Mapping[str, JsonValue], data: Mapping[str, JsonValue], evidence: Evidence
) -> Iterator[Finding]:
    yield _kept("experiment", "config", member.get("config"), evidence)
    run = evidence.run
    name = f"run {text(member, 'run')}"
    if isinstance(run, Silence):
        yield silent("experiment", "run", run, name)
        return
    if run is None:
        yield Finding("experiment", "run", State.MISSING, name)
        return
    yield Finding("experiment", "run", State.INTACT, name)
    yield equal("experiment", "key", member.get("key"), run.key)
    yield equal("experiment", "seed", member.get("seed"), run.seed)
    yield from _asked(data, run, evidence)
    won = evidence.checkpoint
    if won is not None and not isinstance(won, Silence):
        for path, found in (("trial", won.trial), ("metric", won.metric), ("hparams", dict(won.hparams))):
            yield equal("experiment", path, member.get(path), found)


def _asked(data: Mapping[str, JsonValue], run: RunFound, evidence: Evidence) -> Iterator[Finding]:
    """The run was asked for by this configuration, on this commit: whoever asked may have added, not changed."""
    if evidence.config is not None:
        place = differs(evidence.config, dict(run.config))
        state = State.CHANGED if place else State.INTACT
        yield Finding("experiment", "run config", state, "what the Release says", f"another {place}" if place else "")
    pinned = table(table(table(run.config.get("integrations")).get("pachyderm")).get("dataset"))
    train = table(data.get("train"))
    yield equal(
        "experiment",
        "run data",
        [train.get("repo"), train.get("commit")],
        [pinned.get("repo"), pinned.get("commit")],
    )


def _checkpoint(member: Mapping[str, JsonValue], release: Release, evidence: Evidence) -> Iterator[Finding]:
    uuid, uri = text(member, "uuid"), text(member, "uri")
    recorded = member.get("files")
    files = {str(k): str(v) for k, v in recorded.items()} if isinstance(recorded, dict) else {}
    yield from _files(files, evidence.files)
    at = evidence.checkpoint
    if isinstance(at, Silence):
        yield silent("checkpoint", "engine", at, uuid)
    elif at is None:
        yield Finding("checkpoint", "engine", State.MISSING, uuid)
    else:
        yield same("checkpoint", "engine", uri, at.uri)
    version, number = evidence.version, f"version {release.spec.version} of {release.spec.model}"
    if isinstance(version, Silence):
        yield silent("checkpoint", "registry", version, number)
    elif version is None:
        yield Finding("checkpoint", "registry", State.MISSING, number)
    else:
        wanted, found = f"{uuid} for {release.spec.digest}", f"{version.checkpoint} for {version.digest or 'no digest'}"
        yield same("checkpoint", "registry", wanted, found)


def _files(files: Mapping[str, str], found: Mapping[str, str] | Silence) -> Iterator[Finding]:
    if isinstance(found, Silence):
        yield from (silent("checkpoint", path, found, wanted) for path, wanted in sorted(files.items()))
        return
    for path, wanted in sorted(files.items()):
        if path in found:
            yield same("checkpoint", path, wanted, f"sha256:{found[path].removeprefix('sha256:')}")
        else:
            yield Finding("checkpoint", path, State.MISSING, wanted)
    for path in sorted(found.keys() - files.keys()):
        yield Finding("checkpoint", path, State.CHANGED, "no such file", found[path])


def _evaluation(member: Mapping[str, JsonValue], evidence: Evidence) -> Iterator[Finding]:
    yield _kept("evaluation", "report", member.get("report"), evidence)
    run, name = evidence.measured, f"run {text(member, 'run')}"
    if isinstance(run, Silence):
        yield silent("evaluation", "run", run, name)
    elif run is None:
        yield Finding("evaluation", "run", State.MISSING, name)
    else:
        yield _reported(text(member.get("report"), "digest"), run)


def _reported(wanted: str, run: RunFound) -> Finding:
    if run.report is None:
        return Finding("evaluation", "run", State.MISSING, wanted)
    try:
        found = digest(dict(run.report))
    except ValueError as error:
        found = f"something that {error}"
    return same("evaluation", "run", wanted, found)


def differs(released: JsonValue, asked: JsonValue, path: str = "") -> str:
    """Name the first place where what was asked for is not what the Release says; empty: nothing but additions."""
    if isinstance(released, dict) and isinstance(asked, dict):
        inner = (
            f"{path}.{k}".lstrip(".") if k not in asked else differs(v, asked[k], f"{path}.{k}".lstrip("."))
            for k, v in released.items()
        )
        return next((place for place in inner if place), "")
    if isinstance(released, list) and isinstance(asked, list):
        same = spelt(released) == spelt(asked[: len(released)])
        return "" if same else path
    return "" if spelt(released) == spelt(asked) else path


def _kept(member: str, path: str, part: JsonValue, evidence: Evidence) -> Finding:
    uri, wanted = text(part, "uri"), text(part, "digest")
    if not uri or not wanted:
        return Finding(member, path, State.UNASKED, found="the Release does not say where it is")
    return _content(member, path, uri, wanted, evidence)


def _content(member: str, path: str, uri: str, wanted: str, evidence: Evidence) -> Finding:
    found = evidence.contents.get(uri, Silence(f"nobody looked at {uri}", asked=False))
    if isinstance(found, Silence):
        return silent(member, path, found, wanted)
    if found is None:
        return Finding(member, path, State.MISSING, wanted)
    return same(member, path, wanted, f"sha256:{found}")


def _first_silence(*answers: object) -> Silence:
    return next(a for a in answers if isinstance(a, Silence))


def addresses(release: Release) -> tuple[str, ...]:
    """Every kept file that the Release names, but the checkpoint's."""
    members = release.spec.members
    named = (
        ("code", "model"),
        ("code", "serve"),
        ("experiment", "config"),
        ("evaluation", "report"),
        ("environment", "lock"),
    )
    document = release.metadata.annotations.get(DOCUMENT_ANNOTATION, "")
    found = [document, address_of_list(release), *signed(release).values()]
    for member, part in named:
        whole = members.get(member)
        found.append(text(whole.get(part), "uri") if isinstance(whole, dict) else "")
    return tuple(dict.fromkeys(uri for uri in found if uri))


def snapshot_of(train: SideFound | Silence | None, test: SideFound | Silence | None) -> str | None:
    """Digest of the label rows of both sides; None where not both are at hand."""
    if train is None or test is None or isinstance(train, Silence) or isinstance(test, Silence):
        return None
    return digest([train.labels, test.labels])


def overall(findings: Iterable[Finding]) -> State:
    """Sum up: the worst there is, where not asking is not bad at all."""
    states = {finding.state for finding in findings}
    worst = (State.CHANGED, State.MISSING, State.UNREACHABLE)
    return next((state for state in worst if state in states), State.INTACT)


def may_be_served(release: Release) -> bool:
    """Somebody serves it, or was once allowed to: what is verified now and then."""
    status = release.status
    return bool(status.served_by) or status.approval.state in {ApprovalState.APPROVED, ApprovalState.VOID}


def verdict(findings: Iterable[Finding], before: Condition | None) -> Condition:
    """Say as a condition what was found. Who does not answer takes nothing back that was found broken before."""
    told = tuple(findings)
    broken = [f for f in told if f.state.broken]
    silent = [f for f in told if f.state is State.UNREACHABLE]
    if broken:
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        lost = all(f.state is State.MISSING for f in broken)
        reason = Reason.MEMBER_MISSING if lost else Reason.MEMBER_CHANGED
        return fact(ConditionType.VERIFIED, holds=False, reason=reason, message=f"{broken[0].sentence}{more}")
    if silent and before is not None and before.status == "False":
        return before
    if silent:
        said = silent[0].sentence
        return fact(ConditionType.VERIFIED, holds=None, reason=Reason.ENGINE_UNAVAILABLE, message=said)
    unasked = sum(f.state is State.UNASKED for f in told)
    note = f"{len(told) - unasked} parts were found as they were"
    return fact(ConditionType.VERIFIED, holds=True, reason=Reason.SUCCEEDED, message=note)
