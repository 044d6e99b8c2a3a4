"""What differs between two Releases, member by member."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue

from cdl.api.meta import Frozen
from cdl.reconcile.words import Absent, differences

from .files import CodeDiff, DataDiff, code_files, data_files
from .significance import MetricDiff, metrics_diff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.v1alpha1 import Release

PARTS = ("model", "serve")
SIDES = ("train", "test")
NOT_ASKED = "it was not read"


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A Release and what its members name; None: it could not be read."""

    release: Release
    code: Mapping[str, Mapping[str, bytes] | None] = field(default_factory=dict)
    """Files of each part's archive."""
    data: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    """Files of each side, path to digest."""
    config: JsonValue = None
    lock: JsonValue = None
    report: JsonValue = None
    why: Mapping[str, str] = field(default_factory=dict)
    """Why something could not be read, by its address, repository or side."""


class Changed(Frozen):
    """One value that differs."""

    path: str = Field(description="Where.")
    old: JsonValue = Field(None, description="In A; absent: it has none.")
    new: JsonValue = Field(None, description="In B; absent: it has none.")
    words: str = Field(description="The same in one sentence.")


class Named(Frozen):
    """One of the two Releases."""

    name: str = Field(description="Its name.")
    digest: str = Field(description="Its digest.")
    revision: str = Field("", description="The git commit it was made of.")


class ReleaseDiff(Frozen):
    """What differs."""

    schema_: Literal["cdl.dev/diff/v1"] = Field("cdl.dev/diff/v1", alias="schema", description="Which words these are.")
    a: Named = Field(description="The one that is compared.")
    b: Named = Field(description="The one it is compared with.")
    same: bool = Field(description="All members are the same, git aside.")
    members: dict[str, bool] = Field(description="Of each member, whether it differs.")
    code: tuple[CodeDiff, ...] = Field((), description="Archives of code that differ.")
    config: tuple[Changed, ...] = Field((), description="The experiment's configuration.")
    hparams: tuple[Changed, ...] = Field((), description="Hyperparameters of the trial that won.")
    data: tuple[DataDiff, ...] = Field((), description="Sides of the data whose commits differ.")
    labels: tuple[Changed, ...] = Field((), description="The snapshot of labels, and how many there are.")
    environment: tuple[Changed, ...] = Field((), description="Python, packages and image.")
    metrics: tuple[MetricDiff, ...] = Field((), description="What the evaluations found.")
    notes: tuple[str, ...] = Field((), description="What could not be read.")


def diff(a: ReleaseFacts, b: ReleaseFacts, *, full: bool = False) -> ReleaseDiff:
    """Compare two Releases; `full` adds the lines of code that differ."""
    old, new = a.release.spec.members, b.release.spec.members
    members = {name: old.get(name) != new.get(name) for name in old}
    config, notes = _config(a, b)
    return ReleaseDiff(
        a=_named(a.release),
        b=_named(b.release),
        same=not any(differs for name, differs in members.items() if name != "git"),
        members=members,
        code=tuple(one for part in PARTS if (one := _code(a, b, part, full=full)) is not None),
        config=config,
        hparams=changed(_at(old, "experiment", "hparams"), _at(new, "experiment", "hparams")),
        data=tuple(side for name in SIDES if (side := _data(a, b, name)) is not None),
        labels=changed(old.get("labels"), new.get("labels")),
        environment=_environment(a, b),
        metrics=_metrics(a, b),
        notes=notes,
    )


def _named(release: Release) -> Named:
    commit = _at(release.spec.members, "git", "commit")
    return Named(name=release.metadata.name, digest=release.spec.digest, revision=str(commit or ""))


def _at(tree: object, *path: str) -> JsonValue:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    found: JsonValue = tree  # type: ignore[assignment]  # members are plain JSON
    return found


def changed(old: object, new: object) -> tuple[Changed, ...]:
    """Name every place where two plain trees differ."""
    return tuple(
        Changed.model_validate({"path": d.path, "old": _value(d.old), "new": _value(d.new), "words": str(d)})
        for d in differences(old, new)
    )


def _value(value: object) -> object:
    return None if isinstance(value, Absent) else value


def _code(a: ReleaseFacts, b: ReleaseFacts, part: str, *, full: bool) -> CodeDiff | None:
    digests = [str(_at(f.release.spec.members, "code", part, "digest") or "") for f in (a, b)]
    if digests[0] == digests[1]:
        return None
    read = [f.code.get(part) if digest else {} for f, digest in zip((a, b), digests, strict=True)]
    old, new = read
    if old is None or new is None:
        silent = a if old is None else b
        unread = silent.why.get(part, NOT_ASKED)
        return CodeDiff(part=part, a=digests[0], b=digests[1], unread=f"{silent.release.metadata.name}: {unread}")
    return CodeDiff(part=part, a=digests[0], b=digests[1], files=code_files(old, new, full=full))


def _data(a: ReleaseFacts, b: ReleaseFacts, side: str) -> DataDiff | None:
    places = [(_at(f.release.spec.members, "data", side, "repo"), _commit(f, side)) for f in (a, b)]
    if places[0] == places[1]:
        return None
    commits = (places[0][1], places[1][1])
    old, new = a.data.get(side), b.data.get(side)
    if old is None or new is None:
        silent = a if old is None else b
        unread = silent.why.get(side, NOT_ASKED)
        return DataDiff(side=side, a=commits[0], b=commits[1], unread=f"{silent.release.metadata.name}: {unread}")
    return data_files(side, commits, old, new)


def _commit(facts: ReleaseFacts, side: str) -> str:
    return str(_at(facts.release.spec.members, "data", side, "commit") or "")


def _config(a: ReleaseFacts, b: ReleaseFacts) -> tuple[tuple[Changed, ...], tuple[str, ...]]:
    digests = [_at(f.release.spec.members, "experiment", "config", "digest") for f in (a, b)]
    if digests[0] == digests[1] and digests[0] is not None:
        return (), ()
    silent = next((f for f in (a, b) if f.config is None), None)
    if silent is not None:
        why = silent.why.get("config", NOT_ASKED)
        return (), (f"the configuration of {silent.release.metadata.name}: {why}",)
    return changed(a.config, b.config), ()


def _environment(a: ReleaseFacts, b: ReleaseFacts) -> tuple[Changed, ...]:
    """By everything installed where that can be read, else by the packages that the member itself names."""
    locks = [f.lock for f in (a, b)]
    told = [_at(f.release.spec.members, "environment") for f in (a, b)]
    if all(isinstance(lock, dict) for lock in locks):
        images = [{"image": _at(t, "image")} for t in told]
        return (*changed(locks[0], locks[1]), *changed(images[0], images[1]))
    plain = [{k: v for k, v in t.items() if k != "lock"} if isinstance(t, dict) else {} for t in told]
    return changed(plain[0], plain[1])


def _metrics(a: ReleaseFacts, b: ReleaseFacts) -> tuple[MetricDiff, ...]:
    tests = [(_at(f.release.spec.members, "data", "test", "repo"), _commit(f, "test")) for f in (a, b)]
    reports = [
        {
            **(f.report if isinstance(f.report, dict) else {}),
            "metrics": _at(f.release.spec.members, "evaluation", "metrics"),
        }
        for f in (a, b)
    ]
    return metrics_diff(reports[0], reports[1], same_test=tests[0] == tests[1] and bool(tests[0][1]))
