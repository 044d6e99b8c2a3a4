"""TensorBoard files are written without TensorBoard."""

import struct
from pathlib import Path

from cdl.embedded.determined.site.cdl_event_files import SummaryWriter, masked_crc


def records(path: Path) -> list[bytes]:
    found, raw = [], path.read_bytes()
    while raw:
        (length,) = struct.unpack("<Q", raw[:8])
        assert struct.unpack("<I", raw[8:12])[0] == masked_crc(raw[:8])
        event = raw[12 : 12 + length]
        assert struct.unpack("<I", raw[12 + length : 16 + length])[0] == masked_crc(event)
        found.append(event)
        raw = raw[16 + length :]
    return found


def test_the_guard_is_the_masked_castagnoli_crc() -> None:
    crc = 0xE3069283  # of these nine digits, as every table of check values says
    assert masked_crc(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_scalar_is_one_record_after_the_version(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "tb") as writer:
        writer.add_scalar("loss", 0.5, 300)
        writer.add_histogram("weights", [1, 2])
    (file,) = (tmp_path / "tb").iterdir()
    version, scalar = records(file)
    assert version.endswith(b"brain.Event:2")
    assert scalar[9:12] == b"\x10\xac\x02"  # step 300 as a varint
    assert b"loss" in scalar
    assert scalar.endswith(struct.pack("<f", 0.5))


def test_nothing_reported_writes_no_file(tmp_path: Path) -> None:
    SummaryWriter(tmp_path / "tb").close()
    assert not (tmp_path / "tb").exists()
