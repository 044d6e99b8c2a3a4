"""Hold rows against checks, one after the other."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real

from .rules import RULES, quoted
from .words import Check, checks_in, strings

Row = Mapping[str, object]


class BrokenError(ValueError):
    """A row that a check refuses; its text is one sentence."""


@dataclass(frozen=True)
class Finding:
    """One check that one row broke."""

    check: str
    on_fail: str
    field: str
    found: str
    allowed: str

    @property
    def sentence(self) -> str:
        """Say it all, but where."""
        return f"check {self.check} found {self.field} {self.found}, allowed is {self.allowed}"

    @property
    def warns(self) -> bool:
        """The row goes on all the same."""
        return self.on_fail == "warn"


@dataclass
class Judge:
    """Checks in their order, and what a `unique` one of them has met so far."""

    checks: tuple[Check, ...] = ()
    _met: dict[str, dict[bytes, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: object) -> "Judge":
        """Read checks as a DataPipeline writes them; those about a whole dataset are left out.

        Raises:
            WrongCheckError: one of them cannot be applied.
        """
        return cls(tuple(check for check in checks_in(documents) if not check.whole))

    def judge(self, row: Row, where: str = "") -> tuple[Finding, ...]:
        """Give what the row breaks: warnings, and last the one check that refuses it, after which none is tried.

        Where the row comes from is what a later row that equals it is told.
        """
        found: list[Finding] = []
        for check in self.checks:
            broken = broken_by(check, row) or self._met_before(check, row)
            if broken is not None:
                found.append(Finding(check.name, check.on_fail, *broken))
                if check.on_fail != "warn":
                    return tuple(found)
        self._remember(row, where)
        return tuple(found)

    def hold(self, row: Row, where: str = "") -> tuple[Finding, ...]:
        """Refuse a row that a check refuses, and give the warnings about one that goes on.

        Raises:
            BrokenError: with the sentence of the check.
        """
        found = self.judge(row, where)
        if found and not found[-1].warns:
            raise BrokenError(f"{where}: {found[-1].sentence}" if where else found[-1].sentence)
        return found

    def hold_all(self, rows: Iterable[Row]) -> int:
        """Hold rows one after the other and count them; a refused one is named by its number, from 0.

        Raises:
            BrokenError: with the number of the row and the sentence of the check.
        """
        count = 0
        for number, row in enumerate(rows):
            self.hold(row, f"row {number}")
            count += 1
        return count

    def _met_before(self, check: Check, row: Row) -> tuple[str, str, str] | None:
        value = row.get(check.field)
        if not check.asks.get("unique") or value is None:
            return None
        met = self._met.get(check.name, {})
        key = _key(value)
        if key not in met:
            return None
        before = f"as in {met[key]}" if met[key] else "a second time"
        return check.field, f"{quoted(value)}, {before}", "a value that comes once"

    def _remember(self, row: Row, where: str) -> None:
        """A row that was refused does not count: the next one with its value is the first."""
        for check in self.checks:
            if check.asks.get("unique") and row.get(check.field) is not None:
                self._met.setdefault(check.name, {}).setdefault(_key(row[check.field]), where)


def broken_by(check: Check, row: Row) -> tuple[str, str, str] | None:
    """Give the field, what was found and what is allowed; None when the row keeps the check.

    A value that is not there breaks `notNull` alone; a field that the row does not even know breaks every check on it.
    """
    for name in check.fields:
        if name not in row:
            return name, "no such field", f"one of {', '.join(sorted(row))}"
    for name in strings(check.asks.get("notNull", ())):
        if is_null(row[name]):
            return name, "nothing", "some content"
    if not check.field or row[check.field] is None:
        return None
    for word, rule in RULES.items():
        if word in check.asks:
            # a text was decoded already; whether it could be is seen in its bytes
            value = row["bytes"] if word == "encoding" and "bytes" in row else row[check.field]
            broken = rule(value, check.asks[word])
            if broken is not None:
                return check.field, *broken
    return None


def is_null(value: object) -> bool:
    """Nothing there: no value, blanks alone, or what a calculation gives in place of a number."""
    if isinstance(value, Real):
        return bool(value != value)  # noqa: PLR0124 - the one value that differs from itself is NaN
    return value is None or (isinstance(value, str | bytes) and not value.strip())


def _key(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else f"{type(value).__name__}:{value}".encode(errors="surrogatepass")
    return hashlib.blake2b(raw, digest_size=16).digest()
