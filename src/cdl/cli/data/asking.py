"""Find the dataset version that somebody means, and read its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdl import compose
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.datapipeline import Side
from cdl.cli.context import settings_of
from cdl.cli.platform import answering
from cdl.cli.refusal import Refusal
from cdl.reconcile.release import Silence
from cdl.reconcile.versions import SHORTEST, known, matching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.compose import Shelf
    from cdl.ports.data import DataHistory
    from cdl.reconcile.versions import DatasetVersion, Place

SHOWN = 12
"""Digits of a digest that a table shows; enough to ask by."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that is known of datasets, and who has their files."""

    namespace: str
    versions: tuple[DatasetVersion, ...]
    engine: DataHistory | Silence

    def meant(self, name: str) -> DatasetVersion:
        """Give the version that NAME or NAME@VERSION means.

        Raises:
            Refusal: none, or more than one.
        """
        pipeline, at, word = name.partition("@")
        if not pipeline or (at and not word):
            message = f"{name}: allowed is NAME or NAME@VERSION, as in news@3f9a0c12"
            raise Refusal(message)
        found = matching(self.versions, pipeline, word)
        if len(found) == 1:
            return found[0]
        if found:
            message = f"{name}: means {len(found)} versions: {_listed(found)}; write more of the digest"
            raise Refusal(message)
        names = sorted({v.pipeline for v in self.versions})
        if pipeline not in names:
            message = f"{pipeline}: there is no version of such a dataset; datasets: {', '.join(names) or 'none'}"
            raise Refusal(message)
        ours = _listed(tuple(v for v in self.versions if v.pipeline == pipeline))
        message = (
            f"{name}: found no such version, allowed: at least {SHORTEST} digits of one of {ours}, "
            "or a Release that pins one"
        )
        raise Refusal(message)

    def history(self) -> DataHistory:
        """Give the data engine.

        Raises:
            Refusal: it cannot be asked.
        """
        if isinstance(self.engine, Silence):
            message = f"the files of a dataset lie at the data engine, which was not asked: {self.engine.why}"
            raise Refusal(message)
        return self.engine

    def files(self, version: DatasetVersion, side: Side) -> Mapping[str, str]:
        """Give the files of a side, path to digest.

        Raises:
            Refusal: nobody remembers where they lie, or they are gone.
        """
        place = where(version, side)
        found = self.history().manifest(place.repo, place.commit, self.namespace)
        if found is None:
            message = f"{spoken(version)}: commit {place.commit} of {place.repo} is not there any more"
            raise Refusal(message)
        return found


def asked(namespace: str, *, engine: bool) -> Asked:
    """Read what the resources know; the engine is looked for only when its files are wanted."""
    settings = settings_of()
    store: Shelf = compose.store(settings)
    pipelines, experiments = store.list(DataPipeline, namespace), store.list(Experiment, namespace)
    versions = known(pipelines, experiments, store.list(Release, namespace))
    if not engine:
        return Asked(namespace, versions, Silence("only what is remembered was asked for", asked=False))
    at, silent = answering(settings)
    return Asked(namespace, versions, compose.witnesses(at, store, silent).data)


def where(version: DatasetVersion, side: Side) -> Place:
    """Give the commit of a side.

    Raises:
        Refusal: nobody remembers it.
    """
    place = version.side(side)
    if place is None:
        message = (
            f"{spoken(version)}: nobody remembers its commits: it is not what the DataPipeline has now, "
            "no Release pins it and no Experiment works with it"
        )
        raise Refusal(message)
    return place


def spoken(version: DatasetVersion) -> str:
    """Call a version as people type it."""
    return f"{version.pipeline}@{short(version.version)}"


def short(digest: str) -> str:
    """Give as many digits of a digest as a table shows."""
    return digest.removeprefix("sha256:")[:SHOWN]


def _listed(versions: tuple[DatasetVersion, ...]) -> str:
    return ", ".join(short(v.version) for v in versions)
