"""Tables as rows: CSV and TSV with a heading, JSON lines."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping

SEPARATORS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")


class NoTableError(ValueError):
    """A file that its name calls a table and that is none; the text says where it stops being one."""


def is_table(name: str) -> bool:
    """Tell by its ending whether a file holds rows."""
    return name.lower().endswith((*SEPARATORS, *LINES))


def rows_of(name: str, text: str) -> list[dict[str, object]]:
    """Read every row as column to value; an empty cell is None.

    Raises:
        NoTableError: a row has too many or too few cells, or a line is no JSON object.
    """
    return list(_lines(text) if name.lower().endswith(LINES) else _cells(text, _separator(name)))


def written(name: str, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Write rows as the file's ending asks, the other way round from `rows_of`."""
    if name.lower().endswith(LINES):
        return "".join(f"{_line(row)}\n" for row in rows)
    page = _Page()
    writer = csv.writer(page, delimiter=_separator(name), lineterminator="\n")
    heading = list(columns)
    writer.writerow(heading)
    writer.writerows([_cell(row.get(column)) for column in heading] for row in rows)
    return "".join(page.lines)


def columns_of(name: str, text: str) -> list[str]:
    """Name the columns: the heading, or every name that a line of JSON uses, in order of appearance."""
    if name.lower().endswith(LINES):
        return list(dict.fromkeys(column for row in rows_of(name, text) for column in row))
    return next(csv.reader(_split(text), delimiter=_separator(name)), [])


class _Page:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> int:
        self.lines.append(line)
        return len(line)


def _separator(name: str) -> str:
    return next((mark for ending, mark in SEPARATORS.items() if name.lower().endswith(ending)), ",")


def _split(text: str) -> list[str]:
    """Cut at line ends alone, so that a quoted cell may hold one: `splitlines` knows ends that CSV does not."""
    return re.split(r"(?<=\n)", text.removeprefix("\ufeff"))


def _cells(text: str, separator: str) -> Iterator[dict[str, object]]:
    reader = csv.reader(_split(text), delimiter=separator)
    try:
        heading = next(reader, [])
        if len(set(heading)) != len(heading):
            raise NoTableError("line 1: two columns have one name")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(heading):
                raise NoTableError(f"line {reader.line_num}: {len(cells)} cells, the heading has {len(heading)}")
            yield {column: cell if cell.strip() else None for column, cell in zip(heading, cells, strict=True)}
    except csv.Error as error:
        raise NoTableError(f"line {reader.line_num}: {error}") from error


def _lines(text: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise NoTableError(f"line {number}: no JSON") from error
        if not isinstance(row, dict):
            raise NoTableError(f"line {number}: {type(row).__name__}, a JSON object is needed")
        yield row


def _line(row: Mapping[str, object]) -> str:
    line = json.dumps(row, ensure_ascii=False)
    # half a character cannot be written as UTF-8, but JSON can spell it out
    return line if line.isascii() or not re.search("[\ud800-\udfff]", line) else json.dumps(row)


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict | list) else value
