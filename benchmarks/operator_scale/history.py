"""The part of the ports that `cdl verify`, `diff` and `reproduce` read: of it the burst asks for manifests alone.

A Release is verified for the first time a whole interval after it was written, and that is longer than a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cdl.ports.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cdl.api.v1alpha1.datapipeline import Labels
    from cdl.reconcile.datapipeline import LabelRow
    from cdl.reconcile.experiment import TrialFound
    from cdl.reconcile.release.found import CheckpointFound, RunFound, SideFound, VersionFound


def _untold() -> NoReturn:
    raise Unavailable("a stub remembers nothing")


class NoDataHistory:
    """A DataHistory that does not answer."""

    def manifest(self, repo: str, commit: str, namespace: str = "default") -> Mapping[str, str] | None:
        """Do not answer."""
        _untold()

    def evidence(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> SideFound | None:
        """Do not answer."""
        _untold()

    def labels(self, repo: str, commit: str, labels: Labels, namespace: str = "default") -> tuple[LabelRow, ...] | None:
        """Do not answer."""
        _untold()

    def export(self, repo: str, commit: str, folder: Path, namespace: str = "default") -> None:
        """Do not answer."""
        _untold()


class NoTrainingHistory:
    """A TrainingHistory that does not answer."""

    def run(self, run: str) -> RunFound | None:
        """Do not answer."""
        _untold()

    def trials(self, run: str) -> tuple[TrialFound, ...] | None:
        """Do not answer."""
        _untold()

    def checkpoint(self, uuid: str) -> CheckpointFound | None:
        """Do not answer."""
        _untold()

    def version(self, namespace: str, model: str, number: int) -> VersionFound | None:
        """Do not answer."""
        _untold()
