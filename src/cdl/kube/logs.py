"""One log for all of the process: ours, kopf's, the SDKs'. Text for people, JSON for machines, secrets for nobody.

Everybody goes on using the standard library's loggers; structlog writes the lines.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from cdl.loop.context import subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from types import TracebackType

    Line = MutableMapping[str, Any]

HIDDEN = "***"
SHORTEST_SECRET = 6
"""A shorter one would be found in half of all words."""
TALKATIVE = ("aiohttp", "asyncio", "grpc", "httpcore", "httpx", "kubernetes", "urllib3")
"""Libraries that tell of every request."""
UNSAID = frozenset({"color_message", "k8s_ref", "k8s_skip", "memory", "settings", "taskName"})
"""What libraries attach to their lines for themselves."""
PLACE = ("kind", "namespace", "name", "generation")

_WORDS = r"(?:pass(?:wor[dt]|wd|phrase)|secret|token|api[-_]?key|private[-_]?key|credentials?|cookie|authorization)"
SECRET_NAME = re.compile(rf"[\w-]*{_WORDS}", re.IGNORECASE)
SPOKEN = (
    # Bearer abc, as in a header
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # password=abc, "token": "abc", ?access_token=abc
    (
        re.compile(
            rf"""(?i)\b([\w-]*{_WORDS}\b['"]?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|(?:bearer|basic)\s+\S+|[^\s'",;&}}\]]+)"""
        ),
        rf"\1{HIDDEN}",
    ),
    # scheme://user:abc@host
    (re.compile(r"(\w+://[^\s/:@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    # a JSON Web Token, wherever it stands
    (re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"), HIDDEN),
)
HINTS = (
    *("bearer", "basic", "pass", "secret", "token", "api", "private", "credential", "cookie", "authorization"),
    *("://", "eyj"),
)
"""A plain text without any of these, in small letters, is nothing to the patterns above; they take longer to say so."""
CONTROL = {code: "?" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}

log = logging.getLogger(__name__)


def configure(
    form: Literal["text", "json"],
    *,
    level: int = logging.INFO,
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Write the log of this process from now on, in place of whoever did. None of `secrets` is ever written."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(form, secrets))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_ended
    sys.excepthook = _process_ended


def formatter(form: Literal["text", "json"], secrets: Iterable[str] = ()) -> logging.Formatter:
    """Give what turns a record of the standard library into a line."""
    write = structlog.processors.JSONRenderer(ensure_ascii=False) if form == "json" else _text
    return ProcessorFormatter(
        processors=[
            structlog.stdlib.ExtraAdder(),
            _placed,
            _described,
            structlog.processors.format_exc_info,
            Discreet(secrets),
            write,
        ]
    )


class Discreet:
    """Takes secrets out of a line: those it was told, those called so, and those that look so."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Learn which secrets there are."""
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)

    def __call__(self, _logger: object, _method: str, line: Line) -> Line:
        """Clean a line."""
        return {name: self._clean(name, value) for name, value in line.items()}

    def _clean(self, name: str, value: object) -> object:
        if _is_secret(name) and value is not None:
            return HIDDEN
        if isinstance(value, str):
            return self.spoken(value)
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, dict):
            return {str(key): self._clean(str(key), inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean("", inner) for inner in value]
        return self.spoken(repr(value))

    def spoken(self, text: str) -> str:
        """Clean a text."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        small = text.lower()
        if not text.isascii() or any(hint in small for hint in HINTS):
            for pattern, instead in SPOKEN:
                text = pattern.sub(instead, text)
        return text


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    """Tell whether something called so is a secret; the names in log lines are few."""
    return SECRET_NAME.fullmatch(name) is not None


def _placed(_logger: object, _method: str, line: Line) -> Line:
    """Say which resource a line is about: what we work on, or what kopf says it is about."""
    about, ref = subject(), line.get("k8s_ref")
    said = {name: value for name, value in line.items() if name not in UNSAID}
    if about is not None:
        key = about.key
        place: Mapping[str, object] = dict(
            zip(PLACE, (key.kind, key.namespace, key.name, about.generation), strict=True)
        )
    else:
        place = {name: ref[name] for name in PLACE if name in ref} if isinstance(ref, dict) else {}
    return {**said, **{name: value for name, value in place.items() if value}}


def _described(_logger: object, _method: str, line: Line) -> Line:
    """Put time, level, logger and message first, under the names everybody looks for."""
    record: logging.LogRecord = line["_record"]
    rest = {name: value for name, value in line.items() if name not in {"event", "_record", "_from_structlog"}}
    return {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": line["event"],
        **rest,
    }


def _text(_logger: object, _method: str, line: Line) -> str:
    """Write a line for people. What follows a line break is indented: no text can pass for a line of its own."""
    rest = dict(line)
    head = [rest.pop("time"), rest.pop("level").upper(), f"{rest.pop('logger')}:", rest.pop("message")]
    exception = rest.pop("exception", None)
    place = [f"{name}={rest.pop(name)}" for name in PLACE if name in rest]
    body = " ".join([*map(str, head), *place, *(f"{name}={value!r}" for name, value in rest.items())])
    whole = body if exception is None else f"{body}\n{exception}"
    return whole.translate(CONTROL).replace("\n", "\n    ")


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        where = args.thread.name if args.thread is not None else "?"
        log.critical("thread %s ended in an error", where, exc_info=args.exc_value)


def _process_ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the process ended in an error", exc_info=(kind, error, trace))
