"""Write every text file in one form: Unicode normalised, blanks and control characters tidied; others pass untouched.

Two texts that look alike are then the same bytes, so that a split by content and a search for duplicates know them.
"""

import os
import re
import sys
import unicodedata
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs

SUFFIXES = (".txt", ".text", ".md")
Form = Literal["NFC", "NFKC", "NFD", "NFKD"]
FORMS: tuple[Form, ...] = ("NFC", "NFKC", "NFD", "NFKD")
SWITCHES = ("true", "false")
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
"""Characters of no width: they tell two texts apart that nobody can tell apart."""


def normalise(text: str, form: Form = "NFC", *, lower: bool = False) -> str:
    """Give the text in a form of Unicode, with single blanks, none at a line's ends, and one line end at its own."""
    told = unicodedata.normalize(form, text).translate(INVISIBLE)
    told = told.replace("\r\n", "\n").replace("\r", "\n")
    told = "".join(c for c in told if c in "\n\t" or unicodedata.category(c) != "Cc")
    told = re.sub(r"[^\S\n]+", " ", told)
    told = re.sub(r" ?\n ?", "\n", told)
    told = re.sub(r"\n{3,}", "\n\n", told).strip()
    # lower case can leave a form, as the Turkish capital I with a dot does, and so can a character that went
    told = unicodedata.normalize(form, told.lower() if lower else told)
    return f"{told}\n" if told else ""


def _wish() -> tuple[Form, bool]:
    named, lower = os.environ.get("CDL_FORM", "NFC"), os.environ.get("CDL_LOWER", "false")
    form = next((known for known in FORMS if known == named), None)
    if form is None:
        raise pfs.StepError(f"CDL_FORM is {named}, allowed are {', '.join(FORMS)}")
    if lower not in SWITCHES:
        raise pfs.StepError(f"CDL_LOWER is {lower}, allowed are {', '.join(SWITCHES)}")
    return form, lower == "true"


def work(report: pfs.Report) -> None:
    """Normalise one datum's files."""
    form, lower = _wish()
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        if name.lower().endswith(SUFFIXES):
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                sentence = f"{name}: byte 0x{raw[error.start]:02x} at {error.start} is no UTF-8; run text/clean before"
                raise pfs.StepError(sentence) from error
            raw = normalise(text, form, lower=lower).encode()
        pfs.deliver(name, raw)
        report.accept(rows=1 if pfs.label_of(name) else 0)


if __name__ == "__main__":
    pfs.run("normalise", work)
