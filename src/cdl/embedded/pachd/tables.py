"""Write files of rows into the tables of a PostgreSQL database: a folder is a table, its rows are replaced at once."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

from cdl.embedded.pachd.refusals import absent, invalid
from cdl.embedded.pachd.wire import Msg

SCHEMES = frozenset({"postgres", "postgresql"})
CSV, JSON = 1, 2
SECONDS = 30

Row = list[object]


@dataclass(frozen=True)
class Database:
    """A database, and how the files of rows are written; the password is shown to nobody but the database."""

    name: str
    address: str = field(repr=False)
    form: int
    columns: tuple[str, ...]

    @classmethod
    def of(cls, asked: Msg, password: str) -> "Database":
        """Read what a spec says.

        Raises:
            RefusedError: another database or format, or a password in the URL.
        """
        split = urlsplit(asked.url)
        if split.scheme not in SCHEMES or not split.hostname:
            raise absent(
                f"egress to a database {split.scheme!r} is not offered by the embedded pachd; use postgresql://…"
            )
        if split.password:
            raise invalid("egress.sql_database.url holds a password: put it into a secret and name that")
        form = asked.file_format.type
        if form not in {CSV, JSON}:
            raise invalid("egress.sql_database.file_format.type has to be CSV or JSON")
        columns = tuple(asked.file_format.columns)
        if form == JSON and not columns:
            raise invalid("egress.sql_database.file_format.columns are needed for JSON")
        user, _, place = split.netloc.rpartition("@")
        whole = f"{user}:{quote(password, safe='')}@{place}" if password else split.netloc
        return cls(
            f"{split.scheme}://{place}{split.path}",
            urlunsplit((split.scheme, whole, split.path, split.query, "")),
            form,
            columns,
        )

    def write(self, files: Iterable[tuple[str, bytes]]) -> dict[str, int]:
        """Empty each table that has files, and fill it with their rows, all in one transaction; counts rows.

        Raises:
            OSError: the database or a file does not allow it, in words without the password; nothing is changed.
        """
        try:
            import psycopg
        except ImportError as error:
            raise OSError("the package psycopg is not installed") from error
        written: dict[str, int] = {}
        try:
            with psycopg.connect(self.address, connect_timeout=SECONDS) as database, database.cursor() as cursor:
                for path, content in files:
                    table, sign, _ = path.partition("/")
                    if not sign:
                        raise OSError(f"/{path} lies in no folder: the folder's name is the table's")
                    if table not in written:
                        cursor.execute(psycopg.sql.SQL("DELETE FROM {}").format(_named(table)))
                        written[table] = 0
                    rows = self._rows(path, content)
                    marks = psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * (len(rows[0]) if rows else 0))
                    names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, self.columns))
                    into = psycopg.sql.SQL("({})").format(names) if self.columns else psycopg.sql.SQL("")
                    insert = psycopg.sql.SQL("INSERT INTO {} {} VALUES ({})").format(_named(table), into, marks)
                    cursor.executemany(insert, rows)
                    written[table] += len(rows)
        except psycopg.Error as error:
            raise OSError(f"{self.name}: {str(error).splitlines()[0]}") from error
        return written

    def _rows(self, path: str, content: bytes) -> list[Row]:
        """Read a file: rows of CSV without a header unless columns are named, or one object of JSON after another."""
        try:
            text = content.decode()
            rows = self._csv(text) if self.form == CSV else self._json(text)
        except (ValueError, csv.Error, KeyError) as error:
            raise OSError(f"/{path} cannot be read as rows: {error}") from error
        if len({len(row) for row in rows}) > 1:
            raise OSError(f"/{path} has rows of different lengths")
        return rows

    def _csv(self, text: str) -> list[Row]:
        rows: list[Row] = [[cell or None for cell in row] for row in csv.reader(io.StringIO(text), strict=True) if row]
        if not self.columns or not rows:
            return rows
        header, *rows = rows
        places = [header.index(column) for column in self.columns]
        return [[row[place] for place in places] for row in rows]

    def _json(self, text: str) -> list[Row]:
        decoder, found, at = json.JSONDecoder(), [], 0
        while rest := text[at:].lstrip():
            row, end = decoder.raw_decode(rest)
            if not isinstance(row, Mapping):
                raise ValueError("a row is no object")  # noqa: TRY004 - what the caller takes for an unreadable file
            found.append([_cell(row.get(column)) for column in self.columns])
            at = len(text) - len(rest) + end
        return found


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _named(table: str) -> "object":
    import psycopg

    return psycopg.sql.Identifier(*table.split("."))
