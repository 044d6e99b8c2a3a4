"""TensorBoard event files without TensorFlow and without the tensorboard package.

Stands in for ``determined.tensorboard.metric_writers.tensorflow`` (TFWriter) and for
``torch.utils.tensorboard`` (SummaryWriter). Scalars are written; everything else that a
SummaryWriter can do is accepted and dropped.
"""

import os
import socket
import struct
import time
from pathlib import Path
from typing import Self

POLYNOMIAL = 0x82F63B78
MASK_DELTA = 0xA282EAD8
WORD = 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for start in range(256):
        value = start
        for _ in range(8):
            value = (value >> 1) ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


TABLE = _table()


def masked_crc(octets: bytes) -> int:
    """Return the rotated CRC-32C that guards each record."""
    crc = WORD
    for octet in octets:
        crc = TABLE[(crc ^ octet) & 0xFF] ^ (crc >> 8)
    crc ^= WORD
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & WORD


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _field(number: int, octets: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(octets)) + octets


def scalar_event(name: str, value: float, step: int) -> bytes:
    """Encode Event{wall_time, step, summary{value{tag, simple_value}}}."""
    point = _field(1, name.encode()) + b"\x15" + struct.pack("<f", value)
    head = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step)
    return head + _field(5, _field(1, point))


def version_event() -> bytes:
    """Encode the event every file begins with."""
    return b"\x09" + struct.pack("<d", time.time()) + _field(3, b"brain.Event:2")


class EventFile:
    """One append-only file of records."""

    _count = 0

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Make a new file in the folder."""
        EventFile._count += 1
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{EventFile._count}"
        self.path = Path(folder) / name
        self.write(version_event())

    def write(self, event: bytes) -> None:
        """Append a record: length, its guard, the event, its guard."""
        length = struct.pack("<Q", len(event))
        guards = [struct.pack("<I", masked_crc(part)) for part in (length, event)]
        self.path.parent.mkdir(parents=True, exist_ok=True)  # the shared temporary folder may be swept
        with self.path.open("ab") as out:
            out.write(length + guards[0] + event + guards[1])


class SummaryWriter:
    """The part of torch's writer that the harness and plain scripts use."""

    def __init__(self, log_dir: str | os.PathLike[str] | None = None, *_: object, **__: object) -> None:
        """Write below log_dir."""
        self.log_dir = str(log_dir or "runs")
        self._file: EventFile | None = None

    def add_scalar(self, tag: str, scalar_value: object, global_step: int | None = None, *_: object) -> None:
        """Append one number."""
        number = float(scalar_value)  # type: ignore[arg-type]  # tensors and arrays have __float__
        self._file = self._file or EventFile(self.log_dir)
        self._file.write(scalar_event(tag, number, int(global_step or 0)))

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Let the next scalar begin a new file, as readers expect after a restart."""
        self._file = None

    def __enter__(self) -> Self:
        """Be a context, as the original is."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __getattr__(self, name: str) -> object:
        """Accept every other add_… and drop it."""
        if name.startswith("add_"):
            return lambda *_, **__: None
        raise AttributeError(name)


FileWriter = SummaryWriter


def _metric_writer() -> type:
    from determined import tensorboard

    class TFWriter(tensorboard.MetricWriter):  # type: ignore[misc]  # mypy does not read determined
        """Write reported metrics where the harness uploads them from."""

        def __init__(self) -> None:
            super().__init__()
            self.writer = SummaryWriter(tensorboard.get_base_path({}))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.writer.add_scalar(name, value, step)

        def reset(self) -> None:
            self.writer.close()

        def flush(self) -> None:
            self.writer.flush()

    return TFWriter


def __getattr__(name: str) -> object:
    """Build TFWriter when it is asked for: torch's stand-in must not import the harness."""
    if name == "TFWriter":
        return _metric_writer()
    raise AttributeError(name)
