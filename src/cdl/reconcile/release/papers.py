"""A Release with everything that was kept beside it: what exports are written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.experiment import ExperimentStatus

    from .statement import Table


@dataclass(frozen=True, slots=True)
class Papers:
    """One Release, the documents that its members name, and the statements signed about it."""

    release: Release
    builder_version: str
    """Which cdl wrote this."""
    report: Table = field(default_factory=dict)
    """Everything the evaluator reported."""
    config: Table = field(default_factory=dict)
    """The engine's whole configuration of the run."""
    lock: Table = field(default_factory=dict)
    """All that was installed where it was measured."""
    statements: tuple[Table, ...] = ()
    """Signed envelopes: of what it was made from, and of what was decided."""
    experiment: ExperimentStatus | None = None
    """What the Experiment that made it says; None where it is gone or has made another one since."""

    @property
    def metrics(self) -> dict[str, float]:
        """What the evaluation measured over all of the test side."""
        evaluation = self.release.spec.members.get("evaluation")
        return _numbers(evaluation.get("metrics") if isinstance(evaluation, dict) else None)

    @property
    def per_class(self) -> dict[str, dict[str, float]]:
        """What it measured for each class, where the evaluator reports that as the manual says."""
        return per_class(self.report)

    @property
    def measured(self) -> int | None:
        """How many items of the test side were measured."""
        return measured(self.report)

    @property
    def confusion(self) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None:
        """Class names, and how many of each were taken for which; None where the evaluator reports no such thing."""
        return confusion(self.report)

    @property
    def packages(self) -> dict[str, str]:
        """Every distribution that was installed, with its version."""
        found = self.lock.get("packages")
        return {name: str(version) for name, version in found.items()} if isinstance(found, dict) else {}

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Name every statement that is kept, and where it lies."""
        status = self.release.status
        for name, uri in (("provenance", status.provenance), ("approval", status.approval.attestation)):
            if uri:
                yield name, uri


def per_class(report: Mapping[str, JsonValue]) -> dict[str, dict[str, float]]:
    """Read from an evaluator's report what it measured for each class."""
    found = report.get("perClass")
    return {name: _numbers(row) for name, row in found.items()} if isinstance(found, dict) else {}


def measured(report: Mapping[str, JsonValue]) -> int | None:
    """Read how many items were measured."""
    return _count(report.get("n"))


def confusion(report: Mapping[str, JsonValue]) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None:
    """Read class names, and how many of each were taken for which; None where nothing of that shape is reported."""
    names, rows = report.get("classes"), report.get("confusion")
    if not isinstance(names, list) or not isinstance(rows, list) or len(names) != len(rows) or not names:
        return None
    table = tuple(_counts(row) for row in rows)
    if any(len(row) != len(names) for row in table):
        return None
    return tuple(str(name) for name in names), table


def _numbers(value: JsonValue) -> dict[str, float]:
    rows = value.items() if isinstance(value, dict) else ()
    return {name: found for name, found in rows if isinstance(found, int | float) and not isinstance(found, bool)}


def _counts(row: JsonValue) -> tuple[int, ...]:
    cells = [_count(cell) for cell in row] if isinstance(row, list) else []
    return tuple(cell for cell in cells if cell is not None)


def _count(value: JsonValue) -> int | None:
    """A whole number, however it is spelled: canonical JSON knows one kind of number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value)
