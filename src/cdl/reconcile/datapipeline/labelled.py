"""Label rows: which item has which label, as folders or tables say it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cdl.checks.tables import LINES, SEPARATORS, NoTableError, columns_of, is_table, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdl.api.v1alpha1.datapipeline import Column


NOTE = "/_labels.jsonl"
"""Lies beside files that people labelled, no file of theirs: which label each item has, and who said so."""


class UnusableLabelsError(ValueError):
    """Tables that do not say one label for each item; the text is one sentence that names the place."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One item's label, with who gave it and when as far as that is known."""

    item: str
    """The path of a file, beginning with a slash, or the id that a table gives."""
    label: str
    annotator: str = ""
    at: datetime | None = None


def in_folders(paths: Iterable[str]) -> tuple[LabelRow, ...]:
    """Label each file by the folder it lies in, in the order given; one that lies at the top has no label."""
    folders = ((path, path.rpartition("/")[0].rpartition("/")[2]) for path in paths)
    return tuple(LabelRow(path, folder) for path, folder in folders if folder)


def in_note(content: bytes) -> tuple[LabelRow, ...]:
    """Read the note beside files that people labelled, ordered by item.

    Raises:
        UnusableLabelsError: somebody else wrote it.
    """
    try:
        told = [json.loads(line) for line in content.decode().splitlines()]
        found = [
            LabelRow(str(one["item"]), str(one["label"]), str(one["annotator"]), datetime.fromisoformat(one["at"]))
            for one in told
        ]
    except (ValueError, KeyError, TypeError) as error:
        message = f"{NOTE}: is not what was written there: {error}"
        raise UnusableLabelsError(message) from error
    return tuple(sorted(found, key=lambda row: row.item))


def matching(paths: Iterable[str], pattern: str) -> list[str]:
    """Give the files of a pattern, which is about a path or its last part, in order of their paths."""

    def meant(path: str) -> bool:
        inner = path.removeprefix("/")
        return fnmatchcase(inner, pattern) or fnmatchcase(inner.rpartition("/")[2], pattern)

    return sorted(path for path in paths if meant(path))


def in_tables(tables: Iterable[tuple[str, bytes]], column: Column) -> tuple[LabelRow, ...]:
    """Read the labels of all tables of a side, path and content, ordered by item; each item stands there once.

    Raises:
        UnusableLabelsError: there is no table or no row, a table is none or lacks a column, a row lacks its id or its
            label, or two rows give one item different labels.
    """
    found: dict[str, str] = {}
    places: dict[str, str] = {}
    any_table = False
    for path, content in tables:
        any_table = True
        for place, item, label in _rows(path, content, column):
            if found.setdefault(item, label) != label:
                message = f"{place}: item {item!r} has the label {label!r}, and {found[item]!r} in {places[item]}"
                raise UnusableLabelsError(message)
            places.setdefault(item, place)
    if not found:
        what = "the tables have no rows" if any_table else "there is no such file"
        message = f"labels.column.files: found {column.files!r}: {what}"
        raise UnusableLabelsError(message)
    return tuple(LabelRow(item, found[item]) for item in sorted(found))


def _rows(path: str, content: bytes, column: Column) -> Iterator[tuple[str, str, str]]:
    """Give place, id and label of each row."""
    if not is_table(path):
        message = f"{path}: matches labels.column.files and is no table, allowed: {', '.join((*SEPARATORS, *LINES))}"
        raise UnusableLabelsError(message)
    try:
        text = content.decode()
        rows, heading = rows_of(path, text), columns_of(path, text)
    except UnicodeDecodeError as error:
        message = f"{path}: holds bytes at {error.start} that are no UTF-8"
        raise UnusableLabelsError(message) from error
    except NoTableError as error:
        message = f"{path}: {error}"
        raise UnusableLabelsError(message) from error
    for field, name in (("id", column.id), ("label", column.label)):
        if heading and name not in heading:
            message = f"{path}: has no column {name!r}, which labels.column.{field} names; columns: {_listed(heading)}"
            raise UnusableLabelsError(message)
    for number, row in enumerate(rows, 1):
        place = f"{path} row {number}"
        item = _cell(row.get(column.id), place, column.id)
        if not item:
            message = f"{place}: column {column.id!r} is empty, so nobody knows which item its label is of"
            raise UnusableLabelsError(message)
        label = _cell(row.get(column.label), place, column.label)
        if not label:
            message = f"{place}: item {item!r} has no label: column {column.label!r} is empty"
            raise UnusableLabelsError(message)
        yield place, item, label


def _cell(value: object, place: str, column: str) -> str:
    """Read a cell as text; lines of JSON may hold numbers and truths as well."""
    if isinstance(value, dict | list):
        message = (
            f"{place}: column {column!r} holds {'an object' if isinstance(value, dict) else 'a list'}, not one value"
        )
        raise UnusableLabelsError(message)
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        message = f"{place}: column {column!r} holds {text!a}, with characters that are no text"
        raise UnusableLabelsError(message)
    return text


def _listed(columns: list[str]) -> str:
    shown = ", ".join(repr(name) for name in columns[:10])
    return f"{shown} and {len(columns) - 10} more" if len(columns) > 10 else shown
