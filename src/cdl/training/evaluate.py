"""Run a user's evaluation of one checkpoint on one dataset version, as a Determined experiment of a single trial.

    python3 -m cdl.training.evaluate --entrypoint evaluate:evaluate --checkpoint UUID

The function is called as `evaluate(checkpoint: Path, data: Path)` and answers a document: best with `labels` and
`predicted` (a class an item, in the same order each time), and as far as they apply `classes`, `probabilities`,
`groups` and `seconds`; or with `metrics` (numbers) and, as far as they apply, `perClass`, `confusion`, `classes`, `n`
and `correct` (a truth value an example, or a text of 1 and 0: what lets two evaluations be compared pair by pair).
`cdl.training.measures` adds what follows from it. The numbers become validation metrics, the whole document the metric
group `evaluation`. An exception of the function ends the trial with its traceback in the log.
"""

import argparse
import contextlib
import hashlib
import importlib
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

from cdl.training import data
from cdl.training.failures import TrainingError
from cdl.training.measures import completed

GROUP = "evaluation"
STEPS = 1
"""An evaluation is one step long: Determined files every metric under a step."""
PACKAGES = ("determined", "keras", "nltk", "numpy", "tensorflow", "tensorflow-cpu", "torch")
"""What decides about figures; a Release names their versions."""

Evaluate = Callable[[Path, Path], Mapping[str, object]]


def main(arguments: list[str] | None = None) -> int:
    """Evaluate the checkpoint and report; the exit status of the trial."""
    parser = argparse.ArgumentParser(
        prog="cdl.training.evaluate", description="Evaluate one checkpoint on the trial's dataset."
    )
    parser.add_argument("--entrypoint", default="evaluate:evaluate", help="module:function of the model folder")
    parser.add_argument("--checkpoint", required=True, help="UUID of the Determined checkpoint")
    chosen = parser.parse_args(arguments)
    try:
        evaluate = resolve(chosen.entrypoint)
        _run(evaluate, chosen.checkpoint)
    except TrainingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def resolve(entrypoint: str) -> Evaluate:
    """Import the user's function; `module:function`, the module lying in the working folder."""
    module_name, _, function_name = entrypoint.partition(":")
    if not module_name or not function_name:
        raise TrainingError(f"--entrypoint is {entrypoint!r}, allowed is module:function")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise  # a module that the user's own code lacks: the traceback is the answer
        raise TrainingError(
            f"--entrypoint {entrypoint}: there is no module {module_name} in the model folder"
        ) from error
    function: Evaluate | None = getattr(module, function_name, None)
    if not callable(function):
        raise TrainingError(f"--entrypoint {entrypoint}: module {module_name} has no function {function_name}")
    return function


def verified(answer: object) -> dict[str, object]:
    """Return the user's document as plain JSON values, or say what is wrong with it."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("metrics"), Mapping) or not answer["metrics"]:
        raise TrainingError('the evaluation must return a mapping whose "metrics" name at least one number')
    try:
        document = json.loads(json.dumps(answer, default=_plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TrainingError(f"the evaluation returned something that is no JSON: {error}") from error
    for name, value in document["metrics"].items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise TrainingError(f"the evaluation returned the metric {name} as {value!r}, allowed is a number")
    return dict(document)


def measured(evaluate: Evaluate, checkpoint: Path, folder: Path) -> dict[str, object]:
    """Ask the user's function, and add what follows from its answer and from the time that it took."""
    begun = time.perf_counter()
    answer: object = evaluate(checkpoint, folder)
    seconds = time.perf_counter() - begun
    if not isinstance(answer, Mapping):
        return verified(answer)
    size = sum(place.stat().st_size for place in checkpoint.rglob("*") if place.is_file())
    return verified(completed(answer, seconds, size))


def provenance(checkpoint: str, folder: Path) -> dict[str, object]:
    """Pin what was measured, and with what: every file of the checkpoint, and the packages that read it."""
    files = {
        place.relative_to(folder).as_posix(): f"sha256:{_sha256(place)}"
        for place in sorted(folder.rglob("*"))
        if place.is_file()
    }
    return {
        "checkpoint": {"uuid": checkpoint, "files": files},
        "environment": {"python": platform.python_version(), "packages": _versions(PACKAGES), "lock": lock()},
    }


def lock() -> dict[str, object]:
    """Everything installed here, and the machine: enough to make this environment again."""
    installed = {re.sub(r"[-_.]+", "-", d.name).lower(): d.version for d in metadata.distributions()}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": dict(sorted(installed.items())),
    }


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _sha256(place: Path) -> str:
    with place.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _plain(value: object) -> object:
    """Turn numpy's and torch's scalars and arrays into Python's."""
    convert = getattr(value, "tolist", None)
    if convert is None:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    plain: object = convert()
    return plain


def _run(evaluate: Evaluate, checkpoint: str) -> None:
    from determined import core

    if os.environ.get("CDL_CACHE"):  # what lies there is the test side: nobody else's
        Path(os.environ["CDL_CACHE"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    with core.init(tensorboard_mode=core.TensorboardMode.MANUAL) as context:
        folder = data.fetch()
        with context.checkpoint.restore_path(checkpoint) as path:
            document = measured(evaluate, Path(path), folder)
            document |= provenance(checkpoint, Path(path))
        context.train.report_metrics(GROUP, STEPS, document)
        metrics = document["metrics"]
        if isinstance(metrics, dict):
            context.train.report_validation_metrics(STEPS, metrics)


if __name__ == "__main__":
    sys.exit(main())
