"""Prometheus text for what the server counts; Seldon's metric names, so that existing dashboards work."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUESTS = "seldon_api_executor_server_requests_seconds"
CUSTOM_LIMIT = 200  # a model that invents a metric name for every request must not fill the memory

Labels = tuple[tuple[str, str], ...]


class Exposition:
    """Counts requests, feedback and what the model itself reports."""

    def __init__(
        self, labels: Mapping[str, str], release: Mapping[str, str], loading: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Take the labels of every sample, and when the model's own code began to load (Unix time) and for how long."""
        self._loading = loading
        self._labels: Labels = tuple(labels.items())
        self._release: Labels = tuple(release.items())
        self._lock = threading.Lock()
        self._requests: dict[Labels, list[float]] = {}  # one count a bucket, then all, then seconds
        self._feedback = 0
        self._reward = 0.0
        self._custom: dict[tuple[str, str], float] = {}

    def request(self, service: str, method: str, code: int | str, seconds: float) -> None:
        """Count an answered request."""
        key: Labels = (("service", service), ("method", method), ("code", str(code)))
        with self._lock:
            row = self._requests.setdefault(key, [0.0] * (len(BUCKETS) + 2))
            place = bisect_left(BUCKETS, seconds)
            if place < len(BUCKETS):
                row[place] += 1
            row[-2] += 1
            row[-1] += seconds

    def feedback(self, reward: float) -> None:
        """Count a judgement."""
        with self._lock:
            self._feedback += 1
            self._reward += reward

    def custom(self, metrics: Sequence[Mapping[str, object]]) -> None:
        """Take over what the model reports: COUNTER adds, GAUGE sets, TIMER adds milliseconds."""
        with self._lock:
            for metric in metrics:
                kind, name, value = metric.get("type"), metric.get("key"), metric.get("value")
                if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, (int, float)):
                    continue
                key = (_identifier(name), "gauge" if kind == "GAUGE" else "counter")
                if key not in self._custom and len(self._custom) >= CUSTOM_LIMIT:
                    continue
                self._custom[key] = value if kind == "GAUGE" else self._custom.get(key, 0.0) + value

    def text(self) -> str:
        """Write everything down."""
        with self._lock:
            lines = [
                "# HELP cdl_release_info The release being served.",
                "# TYPE cdl_release_info gauge",
                f"cdl_release_info{_spelt(self._labels + self._release)} 1",
                "# HELP cdl_model_load_start_seconds Unix time at which the model's own code began to load.",
                "# TYPE cdl_model_load_start_seconds gauge",
                f"cdl_model_load_start_seconds{_spelt(self._labels)} {self._loading[0]:.3f}",
                "# HELP cdl_model_load_seconds Seconds the model's own code took to import, build, load and warm up.",
                "# TYPE cdl_model_load_seconds gauge",
                f"cdl_model_load_seconds{_spelt(self._labels)} {self._loading[1]:.3f}",
                f"# HELP {REQUESTS} Seconds a request took.",
                f"# TYPE {REQUESTS} histogram",
            ]
            for key, row in self._requests.items():
                lines += self._histogram(self._labels + key, row)
            for name, value in (("feedback", float(self._feedback)), ("feedback_reward", self._reward)):
                lines += [
                    f"# TYPE seldon_api_model_{name}_total counter",
                    f"seldon_api_model_{name}_total{_spelt(self._labels)} {_number(value)}",
                ]
            for (name, kind), value in self._custom.items():
                lines += [f"# TYPE {name} {kind}", f"{name}{_spelt(self._labels)} {_number(value)}"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _histogram(labels: Labels, row: Sequence[float]) -> list[str]:
        lines, total = [], 0.0
        for bound, count in zip(BUCKETS, row, strict=False):
            total += count
            lines.append(f"{REQUESTS}_bucket{_spelt((*labels, ('le', f'{bound:g}')))} {_number(total)}")
        lines.append(f"{REQUESTS}_bucket{_spelt((*labels, ('le', '+Inf')))} {_number(row[-2])}")
        lines.append(f"{REQUESTS}_count{_spelt(labels)} {_number(row[-2])}")
        lines.append(f"{REQUESTS}_sum{_spelt(labels)} {_number(row[-1])}")
        return lines


def _identifier(name: str) -> str:
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_:") else "_" for c in name) or "_"
    return f"_{plain}" if plain[0].isdigit() else plain


def _number(value: float) -> str:
    return f"{value:.17g}"


def _spelt(labels: Labels) -> str:
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
