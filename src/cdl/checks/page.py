"""The report of the checks as one page: no script, no address of another file, readable in print and in the dark."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from .rules import number_of

STYLE = """
:root { color-scheme: light dark; --line: #d7dbe0; --soft: #f4f5f7; --ink: #1c2127; --pale: #5d6772; --a: #2f6fd0;
  --b: #d07a2f; --good: #1d7f47; --bad: #b3261e; --odd: #93640a; }
@media (prefers-color-scheme: dark) { :root { --line: #3a4048; --soft: #23272d; --ink: #e6e8eb; --pale: #a0a8b2;
  --a: #6ea3f0; --b: #e8a262; --good: #5fc98c; --bad: #f2877f; --odd: #e3b65c; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 68rem; margin: 2rem auto; padding: 0
  1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: .2rem 0; }
.pale { color: var(--pale); }
code { font: .86em ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align:
  top; }
th { font-weight: 600; color: var(--pale); font-size: .85rem; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.card { background: var(--soft); border-radius: .5rem; padding: .7rem 1.1rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.name, th { white-space: nowrap; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.odd { color: var(--odd); }
.said { font-weight: 600; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.4rem; }
.bar { display: grid; grid-template-columns: 8.5rem 1fr 4.2rem; gap: .5rem; align-items: center; font-size: .82rem;
  margin: .15rem 0; }
.bar > span:first-child { text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color:
  var(--pale); }
.bar i { display: block; height: .5rem; background: var(--a); border-radius: 2px; margin: 1px 0; min-width: 1px; }
.bar i.test { background: var(--b); }
.bar > span:last-child { font-variant-numeric: tabular-nums; color: var(--pale); }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; background: var(--a); margin: 0
  .3rem 0 .8rem; }
.key i.test { background: var(--b); }
"""
MOST_BARS = 16

Told = Mapping[str, object]


def page(report: Told) -> str:
    """Write a report, as `report_of` makes it, for people."""
    sides = _map(report.get("sides"))
    title = f"Checks of {report.get('pipeline') or report.get('step') or 'a dataset'}"
    body = "".join(
        (
            _heading(title, report),
            _cards(sides),
            _checks(report),
            _overlap(report),
            _outline(report),
            _fields(sides),
            _examples(sides),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _heading(title: str, report: Told) -> str:
    broken = [check for check in _list(report.get("checks")) if check.get("verdict") == "broken"]
    names = ", ".join(str(check.get("name")) for check in broken)
    verdict = (
        f'<p class="said bad">Not kept: {escape(names)}</p>'
        if broken
        else '<p class="said good">Every check is kept.</p>'
    )
    version = report.get("dataset")
    return (
        f"<h1>{escape(title)}</h1>\n"
        + (f'<p class="pale">dataset <code>{escape(str(version))}</code></p>\n' if version else "")
        + verdict
    )


def _cards(sides: Mapping[str, object]) -> str:
    cards: list[tuple[str, str, str]] = []
    for name, told in sides.items():
        side = _map(told)
        cards.append((f"{name}: accepted" if name else "accepted", f"{_int(side.get('accepted')):,}", ""))
    for word, kind in (("rejected", "bad"), ("warned", "odd")):
        count = sum(sum(map(_int, _map(_map(side).get(word)).values())) for side in sides.values())
        cards.append((word if word == "rejected" else "warnings", f"{count:,}", kind if count else ""))
    shown = "".join(
        f'<div class="card"><b class="{kind}">{value}</b>{escape(name)}</div>' for name, value, kind in cards
    )
    return f'<div class="cards">{shown}</div>\n'


def _checks(report: Told) -> str:
    rows = [
        (
            f"<td class='name'><code>{escape(str(check.get('name')))}</code></td>",
            f"<td>{escape(str(check.get('asks', '')))}</td>",
            f"<td>{escape(str(check.get('onFail', '')))}</td>",
            f'<td class="n">{_int(check.get("broken")):,}</td>',
            f"<td>{_verdict(check)}</td>",
        )
        for check in _list(report.get("checks"))
    ]
    return _table("Checks", ("check", "asks", "on fail", "#items", "verdict"), rows)


def _verdict(check: Told) -> str:
    word = str(check.get("verdict", "kept"))
    kind = {"kept": "good", "broken": "bad"}.get(word, "odd")
    said = f'<br><span class="pale">{escape(str(check["said"]))}</span>' if check.get("said") else ""
    return f'<span class="{kind}">{escape(word)}</span>{said}'


def _overlap(report: Told) -> str:
    told = _map(report.get("overlap"))
    if not told:
        return ""
    counts = f"{_int(told.get('same'))} equal and {_int(told.get('near'))} nearly equal"
    intro = f"<p>Of {_int(told.get('items')):,} test items {counts} to a train item.</p>"
    rows = [
        (
            f"<td><code>{escape(str(twin.get('item')))}</code></td>",
            f"<td><code>{escape(str(twin.get('other')))}</code></td>",
            f'<td class="n">{number_of(twin.get("likeness")) or 0:.0%}</td>',
        )
        for twin in _list(told.get("examples"))
    ]
    table = _table("", ("test", "train", "#likeness"), rows) if rows else ""
    return f"<h2>On both sides</h2>\n{intro}{table}"


def _outline(report: Told) -> str:
    now, before = _map(report.get("outline")), _map(report.get("before"))
    if not now:
        return ""
    rows = []
    for name in sorted(now.keys() | before.keys()):
        was, kind = before.get(name), now.get(name)
        change = "" if not before or was == kind else "new" if was is None else f"was {was}"
        shown = str(kind) if kind is not None else "gone"
        rows.append(
            (
                f"<td><code>{escape(name)}</code></td>",
                f"<td>{escape(shown)}</td>",
                f'<td class="odd">{escape(change)}</td>',
            )
        )
    return _table("Fields", ("field", "kind", "since the last version"), rows)


def _fields(sides: Mapping[str, object]) -> str:
    names = sorted({name for side in sides.values() for name in _map(_map(side).get("fields"))})
    blocks = "".join(filter(None, (_field(name, sides) for name in names)))
    if not blocks:
        return ""
    key = "".join(f'<i class="{escape(name)}"></i>{escape(name)}' for name in sides if name)
    return f'<h2>Values</h2>\n<p class="pale key">{key}</p>\n<div class="fields">{blocks}</div>\n'


def _field(name: str, sides: Mapping[str, object]) -> str:
    told = {side: _map(_map(_map(known).get("fields")).get(name)) for side, known in sides.items()}
    what = next((w for w in ("values", "buckets", "lengths") if any(_map(f.get(w)) for f in told.values())), "")
    if what == "values" and any(f.get("count") and f.get("values") is None for f in told.values()):
        what = next((w for w in ("buckets", "lengths") if any(_map(f.get(w)) for f in told.values())), "")
    if not what:
        return ""
    counts = {side: {k: _int(v) for k, v in _map(facts.get(what)).items()} for side, facts in told.items()}
    title = {"values": name, "buckets": name, "lengths": f"{name}, length"}[what]
    return f"<section><h3>{escape(title)}</h3>{_facts(told)}{''.join(_bars(counts, ranges=what != 'values'))}</section>"


def _facts(told: Mapping[str, Told]) -> str:
    said = []
    for side, facts in told.items():
        count, nulls, numbers = _int(facts.get("count")), _int(facts.get("nulls")), _int(facts.get("numbers"))
        parts = [f"{count:,} values"] + ([f"{nulls:,} missing"] if nulls else [])
        if numbers:
            mean = (number_of(facts.get("sum")) or 0.0) / numbers
            parts.append(f"{number_of(facts.get('min')):g} to {number_of(facts.get('max')):g}, mean {mean:.4g}")
        said.append(f"{escape(side)}: {', '.join(parts)}" if side else ", ".join(parts))
    return "".join(f'<p class="pale">{line}</p>' for line in said)


def _bars(counts: Mapping[str, Mapping[str, int]], *, ranges: bool) -> Iterator[str]:
    """Draw each bucket as a bar a side, each side by its own share: sides differ in size."""
    totals = {side: sum(found.values()) or 1 for side, found in counts.items()}
    keys = {key for found in counts.values() for key in found}
    ordered = sorted(keys, key=lambda key: number_of(key) or 0.0) if ranges else _by_weight(keys, counts)
    highest = max((found.get(key, 0) / totals[side] for side, found in counts.items() for key in keys), default=1.0)
    for key in ordered[:MOST_BARS]:
        bars = "".join(
            f'<i class="{escape(side)}" style="width:{100 * found.get(key, 0) / totals[side] / highest:.1f}%"></i>'
            for side, found in counts.items()
        )
        numbers = " / ".join(f"{found.get(key, 0):,}" for found in counts.values())
        label = _range(key) if ranges else key
        shown = f'<span title="{escape(label)}">{escape(label)}</span>'
        yield f'<div class="bar">{shown}<span>{bars}</span><span>{numbers}</span></div>'
    if len(ordered) > MOST_BARS:
        yield f'<p class="pale">and {len(ordered) - MOST_BARS} more</p>'


def _by_weight(keys: Iterable[str], counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    return sorted(keys, key=lambda key: (-sum(found.get(key, 0) for found in counts.values()), key))


def _range(low: str) -> str:
    """Name a bucket by both of its ends."""
    value = number_of(low) or 0.0
    if value == 0:
        return "0"
    first = f"{abs(value):e}"[0]
    factor = {"1": 2.0, "2": 2.5, "5": 2.0}.get(first, 2.0)
    ends = (value, value * factor)
    return f"{min(ends):g} to {max(ends):g}"


def _examples(sides: Mapping[str, object]) -> str:
    rows = [
        (
            f"<td><code>{escape(str(example.get('path')))}</code></td>",
            f"<td><code>{escape(str(example.get('reason')))}</code></td>",
            f"<td>{escape(str(example.get('found')))}</td>",
        )
        for side in sides.values()
        for example in _list(_map(side).get("examples"))
    ]
    return _table("Examples", ("item", "check", "found"), rows) if rows else ""


def _table(title: str, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(
        f'<th class="n">{escape(word[1:])}</th>' if word.startswith("#") else f"<th>{escape(word)}</th>"
        for word in heading
    )
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    above = f"<h2>{escape(title)}</h2>\n" if title else ""
    return f"{above}<table><thead><tr>{names}</tr></thead><tbody>\n{body}</tbody></table>\n"


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Told]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list | tuple) else []


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
