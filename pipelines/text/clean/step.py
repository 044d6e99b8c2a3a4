"""Make every text file valid UTF-8 with Unix line ends; pass other files through untouched.

Bytes that are no UTF-8 become U+FFFD in the output itself, so whoever reads the file next needs no special care.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs

SUFFIXES = (".txt", ".text", ".md", ".csv", ".tsv")


def clean(raw: bytes) -> tuple[str, int]:
    """Return the text with every undecodable byte replaced, and how many replacements that took."""
    body = raw.removeprefix(b"\xef\xbb\xbf")
    text = body.decode("utf-8", errors="replace")
    replaced = text.count("\ufffd") - body.count("\ufffd".encode())
    return text.replace("\r\n", "\n").replace("\r", "\n"), replaced


def work(report: pfs.Report) -> None:
    """Clean one datum's files."""
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        if name.lower().endswith(SUFFIXES):
            text, replaced = clean(raw)
            if replaced:
                report.warn(name, "invalid-utf8", f"{replaced} undecodable byte sequences, replaced by U+FFFD")
            raw = text.encode()
        pfs.deliver(name, raw)
        report.accept(rows=1 if pfs.label_of(name) else 0)


if __name__ == "__main__":
    pfs.run("clean", work)
