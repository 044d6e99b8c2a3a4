"""The figures of trials as TensorBoard reads them: one folder a trial, one file of events in it.

The form is that of TFRecord: length, its checksum, the record, its checksum; a record is an Event in protobuf's words.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cdl.reconcile.experiment import Point, TrialFound

POLYNOMIAL = 0x82F63B78
DELTA = 0xA282EAD8
VERSION = b"brain.Event:2"
DOUBLE, NUMBER, FLOAT, TEXT = 1, 0, 5, 2
"""How a field is written: eight bytes, a number, four bytes, or a length and so many bytes."""


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
        found.append(crc)
    return tuple(found)


TABLE = _table()


def write(trials: tuple[TrialFound, ...], folder: Path) -> int:
    """Write what every trial reported, over what an earlier call wrote; gives how many trials had something to tell."""
    count = 0
    for trial in trials:
        at = trial.status.started_at.timestamp() if trial.status.started_at else 0.0
        records = b"".join(_records(trial, at))
        if not records:
            continue
        place = folder / f"trial-{trial.status.id}"
        place.mkdir(parents=True, exist_ok=True)
        begun = _field(1, DOUBLE, struct.pack("<d", at)) + _field(3, TEXT, _counted(VERSION))
        # the name is always the same, so that what is written again is not beside what was written before
        (place / f"events.out.tfevents.{int(at)}.cdl").write_bytes(_record(begun) + records)
        count += 1
    return count


def _records(trial: TrialFound, at: float) -> Iterator[bytes]:
    for kind, points in (("training", trial.training), ("validation", trial.validations)):
        for point in points:
            yield _record(_event(kind, point, at))


def _event(kind: str, point: Point, at: float) -> bytes:
    summary = b"".join(
        _field(1, TEXT, _counted(_value(f"{kind}/{name}", value))) for name, value in _sorted(point.metrics)
    )
    moment = _field(1, DOUBLE, struct.pack("<d", at + point.steps))  # when it was said is not known: its order is
    return moment + _field(2, NUMBER, _number(point.steps)) + _field(5, TEXT, _counted(summary))


def _sorted(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(metrics.items())


def _value(tag: str, value: float) -> bytes:
    largest = 3.4e38
    bounded = min(max(value, -largest), largest)
    return _field(1, TEXT, _counted(tag.encode(errors="replace"))) + _field(2, FLOAT, struct.pack("<f", bounded))


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _number(number << 3 | kind) + content


def _counted(content: bytes) -> bytes:
    return _number(len(content)) + content


def _number(value: int) -> bytes:
    found = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _checked(length) + content + _checked(content)


def _checked(content: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in content:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + DELTA) & 0xFFFFFFFF)
