"""What a picture's first bytes say: its format, its mode, its size. Nothing is decoded."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
PNM_MODES = {b"P1": "1", b"P4": "1", b"P2": "L", b"P5": "L", b"P3": "RGB", b"P6": "RGB"}
PNM = re.compile(rb"(P[1-6])\s+([0-9]{1,7})\s+([0-9]{1,7})\s")
BMP_MODES = {1: "1", 4: "P", 8: "P", 16: "RGB", 24: "RGB", 32: "RGB"}


@dataclass(frozen=True)
class Picture:
    """A picture's outline; modes are Pillow's words."""

    format: str
    mode: str
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.mode}"


def image(raw: bytes) -> Picture | None:
    """Read the outline of a PNG, JPEG, GIF, BMP, WebP or PNM file; None when it is none or its header is cut off."""
    for magic, read in READERS:
        if raw.startswith(magic):
            try:
                found = read(raw)
            except (struct.error, ValueError, IndexError):
                return None
            return found if found is not None and found.width > 0 and found.height > 0 else None
    return None


def _png(raw: bytes) -> Picture | None:
    if raw[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack(">IIBB", raw[16:26])
    mode = "1" if (colour, depth) == (0, 1) else "I;16" if (colour, depth) == (0, 16) else PNG_MODES.get(colour)
    return Picture("png", mode, width, height) if mode else None


def _gif(raw: bytes) -> Picture:
    width, height = struct.unpack("<HH", raw[6:10])
    return Picture("gif", "P", width, height)


def _bmp(raw: bytes) -> Picture | None:
    size, width, height, _, bits = struct.unpack("<IiiHH", raw[14:30])
    mode = BMP_MODES.get(bits) if size >= 40 else None
    return Picture("bmp", mode, width, abs(height)) if mode else None


def _jpeg(raw: bytes) -> Picture | None:
    """Walk from marker to marker until the frame's own."""
    at = 2
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        length = struct.unpack(">H", raw[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width, parts = struct.unpack(">HHB", raw[at + 5 : at + 10])
            mode = JPEG_MODES.get(parts)
            return Picture("jpeg", mode, width, height) if mode else None
        at += 2 + length
    return None


def _webp(raw: bytes) -> Picture | None:
    if raw[8:12] != b"WEBP":
        return None
    kind = raw[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(raw[at : at + 3], "little") + 1 for at in (24, 27))
        return Picture("webp", "RGBA" if raw[20] & 0x10 else "RGB", width, height)
    if kind == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        mode = "RGBA" if bits >> 28 & 1 else "RGB"
        return Picture("webp", mode, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack("<HH", raw[26:30])
    return Picture("webp", "RGB", width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else None


def _pnm(raw: bytes) -> Picture | None:
    found = PNM.match(re.sub(rb"#[^\n]*", b"", raw[:512]))  # a comment may stand between any two words
    return Picture("pnm", PNM_MODES[found[1]], int(found[2]), int(found[3])) if found else None


READERS: tuple[tuple[bytes, Callable[[bytes], Picture | None]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8", _jpeg),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    *((magic + blank, _pnm) for magic in PNM_MODES for blank in (b"\n", b" ", b"\r", b"\t")),
)
