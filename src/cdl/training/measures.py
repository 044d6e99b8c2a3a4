"""What an evaluation amounts to: figures overall, per class and per group, each with its 95 % interval, and its costs.

A user's function need only say what each item is and what the model takes it for; whatever it says itself stays. Of a
confusion matrix all but calibration and groups can be told too. Intervals are of a bootstrap with a fixed seed: the
same answers have the same intervals.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdl.training.failures import TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 7
RESAMPLES = 1000
AT_ONCE = 50
"""Resamples that are counted together: their memory stays small, whatever the number of items."""
BINS = 15
"""Classes of confidence that the calibration error is told by."""
MOST_CLASSES = 1000
MOST_CELLS = 5_000_000
MOST_VALUES = 200
"""Values of a group that are told apart; the rest would be noise."""
LOW, HIGH = 2.5, 97.5

Document = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What each item is, and what it was taken for, as numbers of classes."""

    labels: "NDArray[Any]"
    predicted: "NDArray[Any]"
    classes: list[str]


def completed(said: Mapping[str, Any], seconds: float, size: int) -> Document:
    """Add to a user's document what follows from it; `seconds` the function took, `size` bytes the checkpoint has.

    Raises:
        TrainingError: what it says of the items does not fit together.
    """
    document: Document = dict(said)
    answers = _answers(document)
    matrix = _matrix(document, answers)
    metrics: Document = dict(document.get("metrics") or {})
    intervals: Document = {}
    if answers is not None:
        right = answers.labels == answers.predicted
        document["correct"] = "".join("1" if one else "0" for one in right)
        document["n"] = len(answers.labels)
        document["classes"] = answers.classes
        document["answers"] = {"labels": answers.labels.tolist(), "predicted": answers.predicted.tolist()}
        _calibrate(document, answers, metrics, intervals)
        _group(document, answers)
    if matrix is not None:
        _tell(document, matrix, metrics, intervals)
    elif "accuracy" in metrics and _is_ones(document.get("correct")):
        counts = _numpy().array([[document["correct"].count("1"), document["correct"].count("0")], [0, 0]])
        intervals["accuracy"] = _intervals(counts, lambda m: {"accuracy": m[:, 0, 0] / m.sum(axis=(1, 2))})["accuracy"]
    document["metrics"] = metrics
    if intervals:
        document["intervals"] = {name: bounds for name, bounds in sorted(intervals.items()) if name in metrics}
    document["costs"] = _costs(document, seconds, size)
    for used in ("labels", "predicted", "probabilities", "seconds"):
        document.pop(used, None)
    return document


def scores(matrix: "NDArray[Any]") -> "tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]":
    """Give figures overall, and of each class, of a stack of confusion matrices (a row is what an item is).

    A class without items counts for nothing in macro figures; one that nothing is taken for has a precision of 0.
    """
    np = _numpy()
    hits = np.einsum("bii->bi", matrix).astype(float)
    support, taken = matrix.sum(axis=2).astype(float), matrix.sum(axis=1).astype(float)
    of = {
        "precision": np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0),
        "recall": np.divide(hits, support, out=np.zeros_like(hits), where=support > 0),
        "f1": np.divide(2 * hits, support + taken, out=np.zeros_like(hits), where=support + taken > 0),
    }
    total, there = support.sum(axis=1), support > 0
    whole = {"accuracy": hits.sum(axis=1) / total}
    for name, each in of.items():
        whole[f"macro_{name}"] = (each * there).sum(axis=1) / there.sum(axis=1)
        whole[f"weighted_{name}"] = (each * support).sum(axis=1) / total
    return whole, of


def calibration_error(confidence: "NDArray[Any]", right: "NDArray[Any]") -> float:
    """Give by how much confidence and the share of right answers differ, on average over 15 classes of confidence."""
    np = _numpy()
    gaps = np.bincount(_bin(confidence), weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


# --- reading ----------------------------------------------------------------------------------------------------------


def _answers(document: Document) -> Answers | None:
    labels, predicted = _list(document.get("labels")), _list(document.get("predicted"))
    if not labels:
        return None
    probabilities = document.get("probabilities")
    if not predicted and probabilities is not None:
        predicted = _rows(probabilities, len(labels)).argmax(axis=1).tolist()
    if len(labels) != len(predicted):
        raise TrainingError(f"the evaluation gave {len(labels)} labels and {len(predicted)} predicted, not as many")
    classes = [str(name) for name in _list(document.get("classes"))] or _named(labels, predicted)
    np = _numpy()
    place = {name: number for number, name in enumerate(classes)}
    read = [_number(one, place) for one in (*labels, *predicted)]
    numbers = np.array(read, dtype=int).reshape(2, len(labels))
    return Answers(numbers[0], numbers[1], classes)


def _named(labels: Sequence[Any], predicted: Sequence[Any]) -> list[str]:
    found = {*labels, *predicted}
    if all(isinstance(one, int) for one in found):
        return [str(number) for number in range(max(found) + 1)]
    return sorted(str(one) for one in found)


def _number(one: object, place: Mapping[str, int]) -> int:
    """Read a class by its name or its number."""
    if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(place):
        return one
    if str(one) in place:
        return place[str(one)]
    raise TrainingError(f"the evaluation took an item for {one!r}, which is none of its {len(place)} classes")


def _matrix(document: Document, answers: Answers | None) -> "NDArray[Any] | None":
    np = _numpy()
    if answers is not None:
        size = len(answers.classes)
        if size > MOST_CLASSES:
            return None
        matrix: NDArray[Any] = np.zeros((size, size), dtype=int)
        np.add.at(matrix, (answers.labels, answers.predicted), 1)
        document["confusion"] = matrix.tolist()
        return matrix
    said = document.get("confusion")
    if said is None:
        return None
    try:
        given: NDArray[Any] = np.asarray(said, dtype=int)
    except (TypeError, ValueError):
        return None
    square = given.ndim == 2 and given.shape[0] == given.shape[1]
    return given if square and 0 < given.shape[0] <= MOST_CLASSES and given.min() >= 0 and given.any() else None


def _rows(probabilities: object, items: int) -> "NDArray[Any]":
    np = _numpy()
    rows: NDArray[Any] = np.asarray(probabilities, dtype=float)
    if rows.ndim != 2 or len(rows) != items or not np.isfinite(rows).all():
        raise TrainingError("the evaluation's probabilities must be one row of finite numbers for each label")
    return rows


def _list(found: object) -> list[Any]:
    convert = getattr(found, "tolist", None)
    plain = convert() if convert is not None else found
    return list(plain) if isinstance(plain, list | tuple) else []


def _is_ones(found: object) -> bool:
    return isinstance(found, str) and bool(found) and set(found) <= {"0", "1"}


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell(document: Document, matrix: "NDArray[Any]", metrics: Document, intervals: Document) -> None:
    """Add the figures of a confusion matrix; what the user's function says of the same name stays."""
    names = [str(name) for name in _list(document.get("classes"))]
    names = names if len(names) == len(matrix) else [str(number) for number in range(len(matrix))]
    whole, of = scores(matrix[None])
    bounds = _intervals(matrix, lambda m: scores(m)[0])
    for name, value in whole.items():
        if math.isclose(metrics.setdefault(name, float(value[0])), float(value[0]), abs_tol=1e-9):
            intervals[name] = bounds[name]  # what the user calls by the same name may be something else
    document.setdefault("n", int(matrix.sum()))
    told: Document = {str(name): dict(row) for name, row in (document.get("perClass") or {}).items()}
    for number, name in enumerate(names):
        row = told.setdefault(name, {})
        row.setdefault("support", int(matrix[number].sum()))
        for figure, values in of.items():
            row.setdefault(figure, float(values[0, number]))
    document["perClass"] = told
    between = _intervals(matrix, lambda m: scores(m)[1])
    document["perClassIntervals"] = {
        name: {f: [between[f][0][number], between[f][1][number]] for f in of} for number, name in enumerate(names)
    }


def _calibrate(document: Document, answers: Answers, metrics: Document, intervals: Document) -> None:
    if document.get("probabilities") is None:
        return
    np = _numpy()
    rows = _rows(document["probabilities"], len(answers.labels))
    confidence, right = rows.max(axis=1), (answers.labels == answers.predicted).astype(float)
    metrics.setdefault("ece", calibration_error(confidence, right))
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), _bin(confidence)] = right - confidence
    chance, found = np.random.default_rng(SEED), []
    for _ in range(RESAMPLES // AT_ONCE):
        drawn = chance.multinomial(len(right), np.full(len(right), 1 / len(right)), size=AT_ONCE)
        found.append(np.abs(drawn @ gaps).sum(axis=1) / len(right))
    intervals["ece"] = np.percentile(np.concatenate(found), [LOW, HIGH]).tolist()


def _group(document: Document, answers: Answers) -> None:
    """Tell the same figures of the items of each group, by `name=value`."""
    groups, told, between = document.get("groups") or {}, {}, {}
    np = _numpy()
    for name, given in groups.items():
        values = [str(value) for value in _list(given)]
        if len(values) != len(answers.labels):
            raise TrainingError(
                f"the evaluation's group {name} has {len(values)} values for {len(answers.labels)} items"
            )
        for value in sorted(set(values))[:MOST_VALUES]:
            mine = np.array([one == value for one in values])
            matrix = np.zeros((len(answers.classes),) * 2, dtype=int)
            np.add.at(matrix, (answers.labels[mine], answers.predicted[mine]), 1)
            whole = {n: float(v[0]) for n, v in scores(matrix[None])[0].items()}
            told[f"{name}={value}"] = {"support": int(mine.sum()), **whole}
            between[f"{name}={value}"] = _intervals(matrix, lambda m: scores(m)[0])
        document["groups"] = {**document["groups"], name: values}
    if told:
        document["perGroup"], document["perGroupIntervals"] = told, between


def _intervals(matrix: "NDArray[Any]", figures: "Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]]") -> Document:
    """Draw as many items again and again from the cells of a matrix; drawing cells is the same as drawing items."""
    np = _numpy()
    total, places = int(matrix.sum()), np.flatnonzero(matrix)
    shares = matrix.ravel()[places] / total
    chance, found = np.random.default_rng(SEED), []
    some = max(1, min(AT_ONCE, MOST_CELLS // matrix.size))
    for _ in range(RESAMPLES // some):
        drawn = np.zeros((some, matrix.size), dtype=int)
        drawn[:, places] = chance.multinomial(total, shares, size=some)
        found.append(figures(drawn.reshape(some, *matrix.shape)))
    together = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    return {name: np.percentile(values, [LOW, HIGH], axis=0).tolist() for name, values in together.items()}


def _costs(document: Document, seconds: float, size: int) -> Document:
    """Say what answering costs: `latency_ms_*` of single answers, if they were timed; time and size in any case."""
    costs: Document = {"size_bytes": size, **(document.get("costs") or {})}
    items = document.get("n")
    if isinstance(items, int) and items > 0:
        costs.setdefault("evaluation_ms_per_item", seconds * 1000 / items)
    timed = _list(document.get("seconds"))
    if timed:
        np = _numpy()
        each = np.asarray(timed, dtype=float) * 1000
        costs["latency_ms_mean"] = float(each.mean())
        costs["latency_ms_p50"], costs["latency_ms_p95"] = (float(v) for v in np.percentile(each, [50, 95]))
    return costs


def _bin(confidence: "NDArray[Any]") -> "NDArray[Any]":
    np = _numpy()
    number: NDArray[Any] = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    return number


def _numpy() -> Any:  # noqa: ANN401 - the module itself, loaded when a figure is wanted
    import numpy as np

    return np
