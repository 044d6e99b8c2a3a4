"""Decode every picture to its end and write it as PNG in one mode; a broken one stays behind and is counted.

Turned as its camera noted, and without notes of any kind: two files with the same pixels become the same bytes.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs
import pictures

MODES = ("L", "RGB", "RGBA")


def decode(raw: bytes, mode: str) -> bytes:
    """Give a picture as PNG in a mode; what is see-through lies on white where the mode cannot say so."""
    picture = pictures.opened(raw)
    if picture.mode != mode:
        if mode != "RGBA" and ("A" in picture.getbands() or "transparency" in picture.info):
            seen = picture.convert("RGBA")
            white = pictures.pillow().Image.new("RGBA", seen.size, "white")
            picture = pictures.pillow().Image.alpha_composite(white, seen)
        picture = picture.convert(mode)
    return pictures.as_png(picture)


def work(report: pfs.Report) -> None:
    """Decode one datum's pictures; every other file passes through untouched."""
    mode = os.environ.get("CDL_MODE", "RGB")
    if mode not in MODES:
        raise pfs.StepError(f"CDL_MODE is {mode}, allowed are {', '.join(MODES)}")
    taken: dict[str, str] = {}
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        if pictures.is_picture(name):
            try:
                raw = decode(raw, mode)
            except pictures.BrokenPictureError as error:
                report.reject(name, "broken-picture", str(error))
                continue
            pictures.deliver(name, raw, taken)
        else:
            pfs.deliver(name, raw)
        report.accept(rows=1 if pfs.label_of(name) else 0)


if __name__ == "__main__":
    pfs.run("decode", work)
