"""Clean tables row by row: cells trimmed, one way of writing nothing, no ragged, empty or doubled rows.

CSV and TSV files are rewritten; every other file passes through untouched.
"""

import csv
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs

SEPARATORS = {".csv": ",", ".tsv": "\t"}
NOTHING = ("na", "n/a", "null", "none", "nan", "-", "?")
"""What people write for no value, in lower case; `CDL_NULLS` names others."""
LONGEST_CELL = 16 * 1024 * 1024


def nulls() -> frozenset[str]:
    """Give the texts that mean nothing."""
    named = os.environ.get("CDL_NULLS")
    return frozenset(word.strip().lower() for word in named.split(",")) if named is not None else frozenset(NOTHING)


def cells_of(row: list[str], nothing: frozenset[str]) -> list[str]:
    """Give a row with its cells trimmed and empty where they say so."""
    trimmed = (" ".join(cell.split()) for cell in row)
    return ["" if cell.lower() in nothing else cell for cell in trimmed]


class Table:
    """One file on its way through."""

    def __init__(self, name: str, report: pfs.Report) -> None:
        """Remember what the file is called and where refused rows are counted."""
        self.name, self._report = name, report
        self._separator = next(mark for ending, mark in SEPARATORS.items() if name.lower().endswith(ending))
        self._met: dict[tuple[str, ...], int] = {}

    def clean(self, raw: bytes) -> tuple[bytes, int]:
        """Give the table as it should be, and how many rows it has."""
        text = raw.decode("utf-8", errors="replace").removeprefix("\ufeff")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._separator)
        page = io.StringIO()
        writer = csv.writer(page, delimiter=self._separator, lineterminator="\n")
        count = 0
        try:
            heading = [" ".join(cell.split()) for cell in next(reader, [])]
            self._refuse_bad_heading(heading)
            writer.writerow(heading)
            for row in self._rows(reader, len(heading)):
                writer.writerow(row)
                count += 1
        except csv.Error as error:
            raise pfs.StepError(f"{self.name} line {reader.line_num}: {error}") from error
        return page.getvalue().encode(), count

    def _rows(self, reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
        nothing = nulls()
        for number, row in enumerate(reader, 1):
            cells = cells_of(row, nothing)
            if not any(cells):
                continue  # an empty line is no row
            where = f"{self.name} row {number}"
            if len(cells) != width:
                self._report.reject(where, "ragged-row", f"{len(cells)} cells, the heading has {width}")
            elif (before := self._met.setdefault(tuple(cells), number)) != number:
                self._report.reject(where, "doubled-row", f"the same as row {before}")
            else:
                yield cells

    def _refuse_bad_heading(self, heading: list[str]) -> None:
        if not heading:
            raise pfs.StepError(f"{self.name}: the table is empty; its first line must name the columns")
        wrong = next((name for name in heading if not name or heading.count(name) > 1), None)
        if wrong is not None:
            what = f"two columns are called {wrong}" if wrong else "a column has no name"
            raise pfs.StepError(f"{self.name} line 1: {what}")


def work(report: pfs.Report) -> None:
    """Clean one datum's tables."""
    csv.field_size_limit(LONGEST_CELL)
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        if name.lower().endswith(tuple(SEPARATORS)):
            raw, rows = Table(name, report).clean(raw)
            report.accept(rows=rows, items=rows)
        else:
            report.accept(rows=1 if pfs.label_of(name) else 0)
        pfs.deliver(name, raw)
    report.more["items"] = report.accepted  # a row is an item, and so is any other file


if __name__ == "__main__":
    pfs.run("clean", work)
