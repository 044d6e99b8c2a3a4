"""The checks of a DataPipeline inside a trial: the same words, the same sentences."""

from collections.abc import Iterable, Mapping

from cdl.checks import BrokenError, Finding, Judge, WrongCheckError
from cdl.training.failures import TrainingError


def hold(rows: Iterable[Mapping[str, object]], checks: object) -> tuple[Finding, ...]:
    """Hold rows against a list of checks as a DataPipeline writes it; give the warnings.

    Checks about a whole dataset are left out. A row is a mapping from field to value.

    Raises:
        TrainingError: a check cannot be applied, or refuses a row; one sentence with the number of the row, from 0.
    """
    warnings: list[Finding] = []
    try:
        judge = Judge.of(checks)
        for number, row in enumerate(rows):
            warnings += judge.hold(row, f"row {number}")
    except (BrokenError, WrongCheckError) as error:
        raise TrainingError(str(error)) from error
    return tuple(warnings)
