"""The versions of datasets that anybody knows: pipelines, Experiments that work with them, Releases for good."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field

from cdl.api.meta import Frozen
from cdl.api.v1alpha1.datapipeline import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
    from cdl.api.v1alpha1.datapipeline import Dataset

    Note = Callable[[str, str, Mapping[str, object]], dict[str, object]]

MADE = "dataset"
"""What a pipeline's history calls the moment a version was made."""
SHORTEST = 4
"""Hexadecimal digits that may stand for a version."""


class Place(Frozen):
    """Where one side of a version lies at the data engine."""

    repo: str = Field(description="The repository.")
    commit: str = Field(description="The commit.")


class DatasetVersion(Frozen):
    """One version of a dataset, and who knows of it."""

    pipeline: str = Field(description="The DataPipeline that made it.")
    version: str = Field(description="Its digest.")
    current: bool = Field(False, description="It is what the pipeline has now.")
    at: datetime | None = Field(None, description="When it was made, as far as anybody remembers.")
    revision: str = Field("", description="Git commit in force at that moment.")
    train: Place | None = Field(None, description="The train side; absent: nobody remembers its commit.")
    test: Place | None = Field(None, description="The test side.")
    labels: str = Field("", description="Digest of all labels.")
    rows: int | None = Field(None, description="Labelled items.")
    transform: str = Field("", description="Digest of the steps.")
    releases: tuple[str, ...] = Field((), description="Releases that pin it, the oldest first.")
    experiments: tuple[str, ...] = Field((), description="Experiments that work with it now.")

    def side(self, side: Side) -> Place | None:
        """Where a side lies; None: nobody remembers."""
        return self.train if side is Side.TRAIN else self.test


def known(
    pipelines: Iterable[DataPipeline], experiments: Iterable[Experiment], releases: Iterable[Release]
) -> tuple[DatasetVersion, ...]:
    """Put together what is known of every version of every dataset: by dataset, the newest first."""
    found: dict[tuple[str, str], dict[str, object]] = {}

    def note(pipeline: str, version: str, facts: Mapping[str, object]) -> dict[str, object]:
        entry = found.setdefault((pipeline, version), {"pipeline": pipeline, "version": version})
        for name, value in facts.items():
            entry.setdefault(name, value)
        return entry

    for pipeline in pipelines:
        _of_pipeline(pipeline, note)
    for experiment in experiments:
        held = experiment.status.data
        if held is not None:
            entry = note(experiment.spec.data.pipeline or "", held.version, _facts(held))
            entry["experiments"] = (*_names(entry, "experiments"), experiment.metadata.name)
    made: dict[tuple[str, str], int] = {}
    for number, release in enumerate(sorted(releases, key=lambda r: (r.spec.model, r.spec.version))):
        pinned = _pinned(release)
        if pinned is not None:
            made[pinned] = number
            entry = note(*pinned, _of_release(release))
            entry["releases"] = (*_names(entry, "releases"), release.metadata.name)

    def place(version: DatasetVersion) -> tuple[str, bool, float, int]:
        at = version.at.timestamp() if version.at else 0.0
        return version.pipeline, not version.current, -at, -made.get((version.pipeline, version.version), -1)

    return tuple(sorted((DatasetVersion.model_validate(entry) for entry in found.values()), key=place))


def matching(versions: Iterable[DatasetVersion], pipeline: str, word: str) -> tuple[DatasetVersion, ...]:
    """Give the versions of a dataset that a word may mean: digits that it begins with, or a Release that pins it.

    An empty word means what the pipeline has now, else the newest that is known.
    """
    ours = tuple(v for v in versions if v.pipeline == pipeline)
    if not word:
        return ours[:1]
    pinned = tuple(v for v in ours if word in v.releases)
    digits = word.removeprefix("sha256:")
    return pinned or tuple(v for v in ours if len(digits) >= SHORTEST and v.version[7:].startswith(digits))


def _of_pipeline(pipeline: DataPipeline, note: Note) -> None:
    name, now = pipeline.metadata.name, pipeline.status.dataset
    for event in reversed(pipeline.status.history):
        if event.what == MADE and event.digest:
            note(name, event.digest, {"at": event.at, "revision": event.revision})
    if now is not None:
        note(name, now.version, _facts(now))["current"] = True


def _facts(dataset: Dataset) -> dict[str, object]:
    return {
        "train": Place(repo=dataset.train.repo, commit=dataset.train.commit),
        "test": Place(repo=dataset.test.repo, commit=dataset.test.commit),
        "labels": dataset.labels.snapshot,
        "rows": dataset.labels.rows,
        "transform": dataset.transform,
    }


def _pinned(release: Release) -> tuple[str, str] | None:
    data = _table(release.spec.members.get("data"))
    pipeline, version = data.get("pipeline"), data.get("version")
    return (pipeline, version) if isinstance(pipeline, str) and isinstance(version, str) else None


def _of_release(release: Release) -> dict[str, object]:
    """What a Release says of the data it was made from."""
    members = release.spec.members
    data, labels, steps = (_table(members.get(name)) for name in ("data", "labels", "transforms"))
    facts = {"labels": labels.get("snapshot"), "rows": labels.get("rows"), "transform": steps.get("digest")}
    return {
        **dict(_places(data)),
        **{name: value for name, value in facts.items() if value is not None},
    }


def _places(data: Mapping[str, JsonValue]) -> Iterator[tuple[str, Place]]:
    for side in Side:
        place = _table(data.get(side))
        repo, commit = place.get("repo"), place.get("commit")
        if isinstance(repo, str) and isinstance(commit, str):
            yield side.value, Place(repo=repo, commit=commit)


def _table(value: JsonValue | None) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _names(entry: Mapping[str, object], field: str) -> tuple[str, ...]:
    held = entry.get(field)
    return held if isinstance(held, tuple) else ()
