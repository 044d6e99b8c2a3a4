"""Defaults of pipeline specs: the cluster's, over them a project's, over them what the user wrote.

Each is JSON and is merged as RFC 7396 says: an object is merged, null takes away, anything else replaces.
"""

import json
import sqlite3

from google.protobuf import json_format

from cdl.embedded.pachd import specs, wire
from cdl.embedded.pachd.refusals import invalid
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.wire import Msg

Json = object
NONE = "{}"


def read(db: sqlite3.Connection, project: str | None = None) -> tuple[str, int]:
    """Read the defaults of a project, or the cluster's, and since when they hold."""
    row = db.execute("SELECT body, created FROM defaults WHERE project IS ?", (project,)).fetchone()
    return (str(row[0]), int(row[1])) if row else (NONE, 0)


def write(db: sqlite3.Connection, text: str, project: str | None = None) -> None:
    """Keep defaults, as they were written."""
    kind = "project_defaults_json" if project else "cluster_defaults_json"
    check(kind, text)
    db.execute("DELETE FROM defaults WHERE project IS ?", (project,))
    db.execute("INSERT INTO defaults VALUES (?, ?, ?)", (project, text, now()))


def check(kind: str, text: str) -> None:
    """Refuse defaults that are not JSON, or have a field that no spec has."""
    try:
        if not isinstance(json.loads(text), dict):
            raise invalid(f"{kind} is not a JSON object")
        json_format.Parse(text, wire.pps.ClusterDefaults())
    except json.JSONDecodeError as error:
        raise invalid(f"{kind} is not JSON: {error}") from error
    except json_format.ParseError as error:
        raise invalid(f"{kind}: {specs.sentence(str(error))}") from error


def applied(db: sqlite3.Connection, spec: Msg, user_json: str) -> Msg:
    """Fill in what a spec leaves to the cluster's and its project's defaults."""
    found = [read(db)[0], read(db, spec.pipeline.project.name or "default")[0]]
    if all(text == NONE for text in found):
        return spec
    merged: Json = {}
    for text in found:
        merged = merge(merged, _canonical(json.loads(text), wire.pps.ClusterDefaults.DESCRIPTOR))
    written = {"createPipelineRequest": json.loads(user_json)}
    merged = merge(merged, _canonical(written, wire.pps.ClusterDefaults.DESCRIPTOR))
    made = json_format.ParseDict(merged, wire.pps.ClusterDefaults()).create_pipeline_request
    for flag in ("update", "reprocess", "dry_run"):
        setattr(made, flag, getattr(spec, flag))
    return made


def merge(target: Json, patch: Json) -> Json:
    """Merge a patch into a target, neither of which is changed."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merge(made.get(name), value)
    return made


def _canonical(value: Json, kind: Msg) -> Json:
    """Name every field as JSON names it, so that `datum_tries` and `datumTries` are one."""
    if not isinstance(value, dict) or kind is None or kind.full_name.startswith("google.protobuf."):
        return value
    fields = {name: field for field in kind.fields for name in (field.name, field.json_name)}
    made: dict[str, Json] = {}
    for name, given in value.items():
        field = fields.get(name)
        if field is None:
            made[name] = given
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            made[field.json_name] = given
        elif isinstance(given, list):
            made[field.json_name] = [_canonical(item, field.message_type) for item in given]
        else:
            made[field.json_name] = _canonical(given, field.message_type)
    return made
