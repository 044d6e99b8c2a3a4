"""One line of JSON a fault, and figures at the end."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Journal:
    """What was done to the platform, and what it did."""

    seed: int
    out: Path | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def fault(self, kind: str, target: str, **more: Any) -> dict[str, Any]:
        """Note a fault; the line may be completed until it is written."""
        line = {
            "seed": self.seed,
            "step": len(self.lines) + 1,
            "at_s": round(time.monotonic() - self.begun, 3),
            "fault": kind,
            "target": target,
            **more,
        }
        self.lines.append(line)
        return line

    def converged(self, lines: list[dict[str, Any]], seconds: float, invariants: dict[str, bool]) -> None:
        """Complete lines whose fault was the last one before calm, and write them."""
        for line in lines:
            line.setdefault("converged_s", round(seconds, 3))
            line["invariants"] = "ok" if all(invariants.values()) else [k for k, v in invariants.items() if not v]
        self.write(lines)

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Append lines to the file."""
        if self.out is not None:
            with self.out.open("a") as file:
                file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)

    def summary(self) -> dict[str, Any]:
        """Give the figures."""
        times = [float(line["converged_s"]) for line in self.lines if "converged_s" in line]
        restarts = [float(line["back_s"]) for line in self.lines if "back_s" in line]
        return {
            "seed": self.seed,
            "seconds": round(time.monotonic() - self.begun, 1),
            "faults": len(self.lines),
            "kinds": dict(sorted(Counter(str(line["fault"]) for line in self.lines).items())),
            "took_effect": sum(bool(line.get("took_effect", True)) for line in self.lines),
            "convergence_s": figures(times),
            "operator_back_s": figures(restarts),
            "violations": self.violations,
        }


def figures(values: list[float]) -> dict[str, float]:
    """Give p50, p95 and max; nothing of nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    at = min(len(ordered) - 1, int(len(ordered) * 0.95))
    return {
        "count": len(ordered),
        "p50": round(statistics.median(ordered), 3),
        "p95": round(ordered[at], 3),
        "max": round(ordered[-1], 3),
    }
