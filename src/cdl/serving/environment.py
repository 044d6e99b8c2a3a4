"""What the process is told from outside: Seldon's and MLServer's variables for model containers, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from cdl.serving.faults import BAD_SETTING, Refused

OURS = ("release_uri", "release_digest", "interface")
DEFAULT_PORT = 9000
HTTP_PORTS = ("PREDICTIVE_UNIT_HTTP_SERVICE_PORT", "MLSERVER_HTTP_PORT", "PREDICTIVE_UNIT_SERVICE_PORT")
GRPC_PORTS = ("PREDICTIVE_UNIT_GRPC_SERVICE_PORT", "MLSERVER_GRPC_PORT")
METRICS_PORTS = ("PREDICTIVE_UNIT_METRICS_SERVICE_PORT", "MLSERVER_METRICS_PORT")
METRICS_PATHS = ("PREDICTIVE_UNIT_METRICS_ENDPOINT", "MLSERVER_METRICS_ENDPOINT")
TRUE_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class Environment:
    """Everything the server may be told; nothing else of the environment counts."""

    host: str
    port: int
    grpc_port: int | None
    metrics_port: int | None
    metrics_path: str
    unit: str
    predictor: str
    deployment: str
    image: str
    release_uri: str
    release_digest: str
    interface: str
    approval_uri: str
    approval_keys: str
    concurrency: int
    queue: int
    timeout_seconds: float
    drain_seconds: float
    head_seconds: float
    body_seconds: float
    parameters: dict[str, object] = field(default_factory=dict)


def read(environ: Mapping[str, str]) -> Environment:
    """Read the variables; a value that cannot be understood is refused by the variable's name."""
    parameters = _parameters(environ.get("PREDICTIVE_UNIT_PARAMETERS", "[]"))
    ours = {name: str(parameters.pop(name, environ.get(f"CDL_{name.upper()}", ""))) for name in OURS}
    for name in ("release_uri", "release_digest"):
        if not ours[name]:
            raise Refused(
                f"PREDICTIVE_UNIT_PARAMETERS has no parameter {name!r}; it is needed to load a release", BAD_SETTING
            )
    port = _port(environ, HTTP_PORTS)
    return Environment(
        host=environ.get("CDL_HOST", "127.0.0.1"),
        port=DEFAULT_PORT if port is None else port,
        grpc_port=_port(environ, GRPC_PORTS),
        metrics_port=_port(environ, METRICS_PORTS),
        metrics_path=next((environ[name] for name in METRICS_PATHS if environ.get(name)), "/metrics"),
        unit=environ.get("PREDICTIVE_UNIT_ID") or environ.get("MLSERVER_MODEL_NAME", ""),
        predictor=environ.get("PREDICTOR_ID", ""),
        deployment=environ.get("SELDON_DEPLOYMENT_ID", ""),
        image=environ.get("PREDICTIVE_UNIT_IMAGE", ""),
        release_uri=ours["release_uri"],
        release_digest=ours["release_digest"],
        interface=ours["interface"],
        # Never a parameter: whoever deploys a model writes those.
        approval_uri=environ.get("CDL_APPROVAL_URI", ""),
        approval_keys=environ.get("CDL_APPROVAL_KEYS", "").strip(),
        # One at a time is what a class written for Seldon's wrapper expects (its default worker is serial).
        concurrency=int(_number(environ, "CDL_CONCURRENCY", 1, least=1)),
        queue=int(_number(environ, "CDL_QUEUE", 128, least=0)),
        timeout_seconds=_number(environ, "CDL_TIMEOUT_SECONDS", 30, least=0.001),
        drain_seconds=_number(environ, "CDL_DRAIN_SECONDS", 0, least=0),
        # Whoever sends more slowly than this holds a place that somebody else may need.
        head_seconds=_number(environ, "CDL_HEAD_SECONDS", 20, least=0.001),
        body_seconds=_number(environ, "CDL_BODY_SECONDS", 60, least=0.001),
        parameters=parameters,
    )


def _port(environ: Mapping[str, str], names: Sequence[str]) -> int | None:
    """The first of these variables that says something; 0 is any port that is free."""
    for name in names:
        if environ.get(name):
            port = _number(environ, name, 0, least=0)
            if port != int(port) or port > 65535:
                raise Refused(f"{name} is {environ[name]!r}; expected a port from 0 to 65535", BAD_SETTING)
            return int(port)
    return None


def _number(environ: Mapping[str, str], name: str, default: float, least: float) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise Refused(f"{name} is {text!r}; expected a number of at least {least:g}", BAD_SETTING)
    return value


def _parameters(text: str) -> dict[str, object]:
    name = "PREDICTIVE_UNIT_PARAMETERS"
    try:
        entries = orjson.loads(text or "[]")
    except orjson.JSONDecodeError as error:
        raise Refused(f"{name} is not JSON ({error}); expected a list of parameters", BAD_SETTING) from error
    if not isinstance(entries, list):
        raise Refused(f"{name} is not a list; expected [{{name, value, type}}, ...]", BAD_SETTING)
    found: dict[str, object] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Refused(f"{name}[{number}] has no name; expected {{name, value, type}}", BAD_SETTING)
        found[entry["name"]] = _typed(f"{name}[{number}]", entry.get("value", ""), entry.get("type", "STRING"))
    return found


def _typed(where: str, value: object, kind: object) -> object:
    text = str(value)
    try:
        match kind:
            case "STRING":
                return text
            case "INT":
                return int(text)
            case "FLOAT" | "DOUBLE":
                return float(text)
            case "BOOL":
                return TRUE_WORDS[text.lower()]
    except (ValueError, KeyError) as error:
        raise Refused(f"{where} has the value {text!r}, which is not of type {kind}", BAD_SETTING) from error
    raise Refused(f"{where} has the type {kind!r}; allowed: INT, FLOAT, DOUBLE, STRING, BOOL", BAD_SETTING)
