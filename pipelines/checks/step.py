"""Hold every file against the checks of a DataPipeline: refuse it, fail the job, or let it through with a warning.

`CDL_CHECKS` is the JSON list under `spec.checks`. Fields: `text` (the content), `label` (the folder the file lies
in) and `file` (its path). Checks on the whole data set (`rows`, `rejected`) are judged later, from the reports.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the steps share pfs.py, wherever the folder is unpacked

import pfs

FIELDS = ("text", "label", "file")
OUTCOMES = ("reject", "fail", "warn")
WHOLE = ("rows", "rejected")
FRAME = ("name", "field", "onFail")

Check = dict[str, object]
Row = dict[str, str]
Rule = Callable[[str, object], tuple[str, str] | None]
"""A rule answers None when the value keeps it, else what was found and what is allowed."""


def _quoted(value: str) -> str:
    return f'"{value if len(value) <= 40 else value[:37] + "..."}"'


def _min_length(value: str, least: object) -> tuple[str, str] | None:
    found = len(value.strip())
    return (f"{found} characters", f"at least {least}") if found < int(str(least)) else None


def _max_length(value: str, most: object) -> tuple[str, str] | None:
    found = len(value.strip())
    return (f"{found} characters", f"at most {most}") if found > int(str(most)) else None


def _one_of(value: str, allowed: object) -> tuple[str, str] | None:
    words = [str(word) for word in allowed] if isinstance(allowed, list) else [str(allowed)]
    return None if value in words else (_quoted(value), f"one of {', '.join(words)}")


def _regex(value: str, pattern: object) -> tuple[str, str] | None:
    return None if re.fullmatch(str(pattern), value, re.DOTALL) else (_quoted(value), f"a match of {pattern}")


def _extension(value: str, allowed: object) -> tuple[str, str] | None:
    words = [str(word) for word in allowed] if isinstance(allowed, list) else [str(allowed)]
    suffix = os.path.splitext(value)[1]  # noqa: PTH122 - the field is a path in a repository, not one on this disk
    return (
        None
        if suffix in ["." + word.lstrip(".") for word in words]
        else (_quoted(suffix), f"extension {', '.join(words)}")
    )


RULES: dict[str, Rule] = {
    "minLength": _min_length,
    "maxLength": _max_length,
    "oneOf": _one_of,
    "regex": _regex,
    "extension": _extension,
}


def _reject_unknown(check: Check, place: str) -> None:
    known = (*FRAME, *RULES, "notNull", *WHOLE)
    for word in check:
        if word not in known:
            raise pfs.StepError(f"CDL_CHECKS: {place}: unknown word {word}, allowed are {', '.join(known)}")
    outcome = check.get("onFail", "reject")
    if outcome not in OUTCOMES:
        raise pfs.StepError(f"CDL_CHECKS: {place}: onFail is {outcome}, allowed are {', '.join(OUTCOMES)}")
    nulls = check.get("notNull", [])
    fields = [*nulls] if isinstance(nulls, list) else [nulls]
    if any(rule in check for rule in RULES):
        fields.append(check.get("field"))
    for field in fields:
        if field not in FIELDS:
            raise pfs.StepError(f"CDL_CHECKS: {place}: field {field} is unknown here, allowed are {', '.join(FIELDS)}")


def _reject_bad_bounds(check: Check, place: str) -> None:
    for word in ("minLength", "maxLength"):
        bound = check.get(word, 0)
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise pfs.StepError(f"CDL_CHECKS: {place}: {word} is {bound!r}, allowed is a whole number")
    try:
        re.compile(str(check.get("regex", "")))
    except re.error as error:
        raise pfs.StepError(f"CDL_CHECKS: {place}: regex {check['regex']!r} cannot be compiled: {error}") from error


def load() -> list[Check]:
    """Read and verify the checks; those on the whole data set are left to the operator."""
    raw = os.environ.get("CDL_CHECKS")
    if raw is None:
        raise pfs.StepError("CDL_CHECKS is not set: this step needs the JSON list of checks of its DataPipeline")
    try:
        checks = json.loads(raw)
    except ValueError as error:
        raise pfs.StepError(f"CDL_CHECKS is no JSON: {error}") from error
    if not isinstance(checks, list) or not all(isinstance(check, dict) for check in checks):
        raise pfs.StepError("CDL_CHECKS must be a JSON list of objects, each with a name and what it asks")
    # A document may spell out what it does not ask for.
    checks = [{word: value for word, value in check.items() if value is not None} for check in checks]
    for number, check in enumerate(checks):
        place = f"check {check.get('name', number)}"
        _reject_unknown(check, place)
        _reject_bad_bounds(check, place)
    return [check for check in checks if not any(word in check for word in WHOLE)]


def judge(check: Check, row: Row) -> tuple[str, str, str] | None:
    """Answer None when the row keeps the check, else the field, what was found and what is allowed."""
    nulls = check.get("notNull", [])
    for field in [*nulls] if isinstance(nulls, list) else [nulls]:
        if not row[str(field)].strip():
            return str(field), "nothing", "some content"
    for word, rule in RULES.items():
        if word in check:
            field = str(check["field"])
            verdict = rule(row[field], check[word])
            if verdict is not None:
                return field, *verdict
    return None


def _passes(name: str, row: Row, checks: list[Check], report: pfs.Report) -> bool:
    for number, check in enumerate(checks):
        verdict = judge(check, row)
        if verdict is None:
            continue
        field, found, allowed = verdict
        title = str(check.get("name", f"check-{number}"))
        outcome = check.get("onFail", "reject")
        if outcome == "fail":
            raise pfs.StepError(f"{name}: check {title} found {field} {found}, allowed is {allowed}")
        if outcome == "reject":
            report.reject(name, title, found)
            return False
        report.warn(name, title, found)
    return True


def work(report: pfs.Report) -> None:
    """Check one datum's files; what is refused stays out of the output."""
    checks = load()
    for name, path in pfs.incoming():
        raw = path.read_bytes()
        row = {"text": raw.decode("utf-8", errors="replace"), "label": pfs.label_of(name), "file": name}
        if _passes(name, row, checks, report):
            pfs.deliver(name, raw)
            report.accept(rows=1 if row["label"] else 0)


if __name__ == "__main__":
    pfs.run("checks", work)
