"""What the programs about pictures share: Pillow, opened so that a hostile file costs a sentence and not a machine."""

import io
import os
from types import ModuleType
from typing import Any

import pfs

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".pgm", ".ppm", ".pbm", ".tif", ".tiff")
MOST_PIXELS = 100_000_000
"""A picture that claims more is refused before a byte of it is decoded; `CDL_MAX_PIXELS` says otherwise."""


class BrokenPictureError(Exception):
    """A file that cannot be decoded to its end; the text says why."""


def pillow() -> ModuleType:
    """Load Pillow, which the image of the steps brings along."""
    try:
        import PIL.Image  # noqa: PLC0415 - the other steps need nothing but Python
        import PIL.ImageOps  # noqa: PLC0415 - the same
    except ImportError as error:
        raise pfs.StepError("this step needs Pillow: use the image cdl/steps, or install pillow") from error
    return PIL


def is_picture(name: str) -> bool:
    """Tell by its ending whether a file is a picture."""
    return name.lower().endswith(SUFFIXES)


def opened(raw: bytes) -> Any:  # noqa: ANN401 - Pillow is loaded late, and so is its type
    """Decode a picture to its end, as its camera meant it to stand."""
    pil = pillow()
    try:
        with pil.Image.open(io.BytesIO(raw)) as file:
            pixels = file.width * file.height
            if pixels > most_pixels():
                raise BrokenPictureError(f"{file.width}x{file.height} pixels, allowed are {most_pixels()}")
            file.load()
            return pil.ImageOps.exif_transpose(file)
    except (OSError, SyntaxError, ValueError, EOFError, pil.Image.DecompressionBombError) as error:
        raise BrokenPictureError(str(error).partition("<")[0].strip() or type(error).__name__) from error


def most_pixels() -> int:
    """Read the limit."""
    told = os.environ.get("CDL_MAX_PIXELS", str(MOST_PIXELS))
    if not told.isdecimal():
        raise pfs.StepError(f"CDL_MAX_PIXELS is {told}, allowed is a whole number")
    return int(told)


def as_png(picture: Any) -> bytes:  # noqa: ANN401 - the same
    """Write a picture without loss and without anything but its pixels: equal pixels, equal bytes."""
    page = io.BytesIO()
    plain = picture.copy()
    plain.info = {}
    plain.save(page, "PNG", optimize=False)
    return page.getvalue()


def called_png(name: str) -> str:
    """Name the output after the input."""
    return name.rpartition(".")[0] + ".png"


def deliver(name: str, raw: bytes, taken: dict[str, str]) -> None:
    """Write a PNG under its new name, which no other file may have got before it."""
    target = called_png(name)
    if taken.setdefault(target, name) != name:
        raise pfs.StepError(f"{name}: {taken[target]} becomes {target} too; give them different names")
    pfs.deliver(target, raw)
