"""Bring every picture to one size, as PNG; a broken one stays behind and is counted."""

import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs
import pictures

FITS = ("stretch", "contain", "cover")


def wish() -> tuple[tuple[int, int], str]:
    """Read the size and the way to it."""
    size, fit = os.environ.get("CDL_SIZE", ""), os.environ.get("CDL_FIT", "stretch")
    found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", size)
    if found is None:
        raise pfs.StepError(f"CDL_SIZE is {size or 'not set'}, allowed is a width and a height such as 28x28")
    if fit not in FITS:
        raise pfs.StepError(f"CDL_FIT is {fit}, allowed are {', '.join(FITS)}")
    return (int(found[1]), int(found[2])), fit


def resize(picture: Any, size: tuple[int, int], fit: str) -> Any:  # noqa: ANN401 - Pillow is loaded late, and so is its type
    """Give the picture in a size: distorted, with black edges, or with its own edges cut off."""
    pil = pictures.pillow()
    if picture.mode in {"1", "P"}:  # between two palette entries there is no colour
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB" if picture.mode == "P" else "L")
    if picture.size == size:
        return picture
    how = pil.Image.Resampling.LANCZOS
    if fit == "stretch":
        return picture.resize(size, how)
    return (pil.ImageOps.fit if fit == "cover" else pil.ImageOps.pad)(picture, size, how)


def work(report: pfs.Report) -> None:
    """Resize one datum's pictures; every other file passes through untouched."""
    size, fit = wish()
    taken: dict[str, str] = {}
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        if pictures.is_picture(name):
            try:
                raw = pictures.as_png(resize(pictures.opened(raw), size, fit))
            except pictures.BrokenPictureError as error:
                report.reject(name, "broken-picture", str(error))
                continue
            pictures.deliver(name, raw, taken)
        else:
            pfs.deliver(name, raw)
        report.accept(rows=1 if pfs.label_of(name) else 0)


if __name__ == "__main__":
    pfs.run("resize", work)
