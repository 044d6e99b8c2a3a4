"""Gates: what an evaluation must have found before there may be a Release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.api.v1alpha1.experiment import GateStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdl.api.v1alpha1.experiment import Gate

    from .seen import Measurement


def judged(gates: Iterable[Gate], measurement: Measurement) -> tuple[GateStatus, ...]:
    """Say of each gate how it went."""
    return tuple(_gate(gate, measurement) for gate in gates)


def _gate(gate: Gate, measurement: Measurement) -> GateStatus:
    value = measurement.metrics.get(gate.metric)
    passed = value is not None and (gate.min is None or value >= gate.min) and (gate.max is None or value <= gate.max)
    return GateStatus(metric=gate.metric, value=value, min=gate.min, max=gate.max, passed=passed)


def lost(gate: GateStatus, measurement: Measurement) -> tuple[Reason, str]:
    """Say why a gate was not met."""
    if gate.value is None:
        known = ", ".join(sorted(measurement.metrics)) or "nothing"
        return Reason.NO_METRIC, f"gate {gate.metric}: the evaluation reported no such metric, but {known}"
    bounds = [f"at least {gate.min:g}" for _ in [0] if gate.min is not None] + [
        f"at most {gate.max:g}" for _ in [0] if gate.max is not None
    ]
    return Reason.BELOW_GATE, f"gate {gate.metric}: found {gate.value:.4f}, allowed: {' and '.join(bounds)}"
