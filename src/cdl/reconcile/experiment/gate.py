"""Gates: what an evaluation must have found before there may be a Release."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.experiment import GateStatus

from .paired import Part, adds_up, paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1.experiment import Gate

    from .seen import Measurement

EACH = "*"
"""Stands for every class or group that the evaluation tells of."""
FIRST = "nothing answers in production yet: there is nothing to compare with"
ITSELF = "it is what answers in production"


@dataclass(frozen=True, slots=True)
class Beside:
    """What is compared with: the Release that answers, and its evaluation on the same test commit."""

    release: str = ""
    """Empty: nothing answers."""
    report: Mapping[str, JsonValue] = field(default_factory=dict)
    itself: bool = False
    """What is judged is what answers."""


def judged(
    gates: Iterable[Gate], measurement: Measurement, beside: Beside | None = None, kept: Iterable[GateStatus] = ()
) -> tuple[GateStatus, ...]:
    """Say of each gate how it went; a comparison that a Release was written with is not made again."""
    known = {_wish(status): status for status in kept if status.against}
    found = (one for gate in gates for one in _gate(gate, measurement, beside or Beside()))
    return tuple(known.get(_wish(one), one) for one in found)


def undecided(gates: Iterable[Gate], measurement: Measurement, kept: Iterable[GateStatus]) -> bool:
    """Tell whether a gate is to be compared with production that was not when a Release was written."""
    known = {_wish(status) for status in kept if status.against}
    return any(one.against and _wish(one) not in known for one in judged(gates, measurement))


def lost(gate: GateStatus, measurement: Measurement) -> tuple[Reason, str]:
    """Say why a gate was not met."""
    name = gate.about
    if gate.value is None:
        return Reason.NO_METRIC, f"gate {name}: {gate.words or _absent(gate, measurement)}"
    if gate.against:
        return Reason.BELOW_GATE, f"gate {name}: {gate.words}"
    bounds = [f"at least {gate.min:g}" for _ in [0] if gate.min is not None] + [
        f"at most {gate.max:g}" for _ in [0] if gate.max is not None
    ]
    return Reason.BELOW_GATE, f"gate {name}: found {gate.value:.4f}, allowed: {' and '.join(bounds)}"


def _wish(status: GateStatus) -> tuple[object, ...]:
    return status.metric, status.of_class, status.group, bool(status.against), status.max_drop


def _gate(gate: Gate, measurement: Measurement, beside: Beside) -> Iterator[GateStatus]:
    for of_class, group in _parts(gate, measurement):
        value = _value(gate.metric, of_class, group, measurement)
        status = GateStatus(
            metric=gate.metric,
            of_class=of_class,
            group=group,
            value=value,
            min=gate.min,
            max=gate.max,
            max_drop=gate.max_drop,
            against=gate.against or "",
            passed=False,
        )
        if value is None:
            yield status.model_copy(update={"words": _absent(status, measurement)})
        elif gate.against is not None:
            yield _compared(status, value, measurement, beside)
        else:
            high_enough, low_enough = gate.min is None or value >= gate.min, gate.max is None or value <= gate.max
            yield status.model_copy(update={"passed": high_enough and low_enough})


def _parts(gate: Gate, measurement: Measurement) -> Iterator[tuple[str, str]]:
    """Give class and group of every figure that a gate is about; of nothing it is about the star itself."""
    if gate.of_class == EACH:
        yield from (((name, "") for name in sorted(measurement.per_class)) if measurement.per_class else [(EACH, "")])
    elif gate.group == EACH or gate.group.endswith(f"={EACH}"):
        start = gate.group.removesuffix(EACH)
        names = sorted(name for name in measurement.per_group if name.startswith(start))
        yield from ((("", name) for name in names) if names else [("", gate.group)])
    else:
        yield gate.of_class, gate.group


def _value(metric: str, of_class: str, group: str, measurement: Measurement) -> float | None:
    """Find a figure; one that is no finite number is none."""
    if of_class:
        found = measurement.per_class.get(of_class, {}).get(metric)
    elif group:
        found = measurement.per_group.get(group, {}).get(metric)
    else:
        found = measurement.metrics.get(metric, measurement.costs.get(metric))
    return found if found is not None and math.isfinite(found) else None


def _absent(gate: GateStatus, measurement: Measurement) -> str:
    """Say what was reported instead."""
    place, name = ("perClass", gate.of_class) if gate.of_class else ("perGroup", gate.group)
    told: Mapping[str, Mapping[str, float]] = measurement.per_class if gate.of_class else measurement.per_group
    if (gate.of_class or gate.group) and name not in told:
        kind = "class" if gate.of_class else "group"
        return f"the evaluation tells of no such {kind}, but of {_listed(told)}"
    said = _table(measurement.raw.get(place)).get(name) if name else measurement.raw.get("metrics")
    if gate.metric in _table(said):
        return f"the evaluation reported {_table(said)[gate.metric]!r}, which is no number to compare"
    names = told[name] if name else {**measurement.metrics, **measurement.costs}
    return f"the evaluation reported no such metric, but {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:20]) or "nothing"


def _compared(status: GateStatus, value: float, measurement: Measurement, beside: Beside) -> GateStatus:
    if not beside.release or beside.itself:
        return status.model_copy(update={"passed": True, "words": ITSELF if beside.itself else FIRST})
    status = status.model_copy(update={"against": beside.release})
    found = paired(Part(status.metric, status.of_class, status.group), measurement.raw, beside.report)
    if found.why:
        return status.model_copy(update={"words": f"not comparable with {beside.release}: {found.why}"})
    if not adds_up(value, found):
        told = f"reported {value:.4f}, but the answers it tells of amount to {found.mine:.4f}"
        return status.model_copy(update={"words": f"not comparable with {beside.release}: the evaluation {told}"})
    # without a margin only what is worse by more than chance is turned away; with one it must be shown to be kept
    passed = not found.worse if status.max_drop is None else found.low >= -status.max_drop
    margin = "worse by more than chance: no" if passed else "worse by more than chance"
    if status.max_drop is not None:
        margin = f"at most {status.max_drop:g} may be lost: {'shown' if passed else 'not shown'}"
    test = f", p = {found.p:.3g} (McNemar, exact)" if found.p is not None else " (jackknife)"
    words = (
        f"{value:.4f} here, {found.theirs:.4f} in {beside.release}, of the same {found.items} items; difference "
        f"{found.difference:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}{test}; {margin}"
    )
    told_too = {"production": found.theirs, "interval": (round(found.low, 6), round(found.high, 6)), "p": found.p}
    return status.model_copy(update={"passed": passed, "words": words, **told_too})


def _table(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
