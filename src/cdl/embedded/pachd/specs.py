"""Pipeline specs: read strictly, completed with defaults, checked."""

import json
import re

from google.protobuf import json_format

from cdl.embedded.pachd import inputs, wire
from cdl.embedded.pachd.refusals import RefusedError, absent, invalid
from cdl.embedded.pachd.wire import Msg

DEFAULT_IMAGE = "ubuntu:20.04"
DEFAULT_TRIES = 3
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*")
_UNKNOWN_FIELD = re.compile(r'has no field named "(?P<name>[^"]*)" at "(?P<at>[^"]*)"')
_WIRE_NAME = re.compile(r"pachyderm\.wire\.\w+\.")
# Parts of a spec that a real cluster acts on and this server cannot; refused, because silence would lie.
_ABSENT = ("tf_job", "service", "spout", "s3_out")


def parse(text: str) -> Msg:
    """Read a CreatePipelineRequest from JSON, in camelCase or snake_case; unknown fields are refused."""
    try:
        if not isinstance(json.loads(text), dict):
            raise invalid("the pipeline spec is not a JSON object")
        return json_format.Parse(text, wire.pps.CreatePipelineRequest())
    except json.JSONDecodeError as error:
        raise invalid(f"the pipeline spec is not JSON: {error}") from error
    except json_format.ParseError as error:
        raise invalid(sentence(str(error))) from error


def sentence(text: str) -> str:
    """Make one sentence of protobuf's complaint about a spec."""
    found = _UNKNOWN_FIELD.search(text)
    if found:
        place = found["at"].removeprefix("CreatePipelineRequest").lstrip(".")
        return f"the pipeline spec has an unknown field {found['name']!r}" + (f" in {place!r}" if place else "")
    return "the pipeline spec cannot be read: " + _WIRE_NAME.sub("", " ".join(text.split())).rstrip(".")


def to_json(spec: Msg) -> str:
    """Write a spec as protojson."""
    return str(json_format.MessageToJson(spec, indent=None))


def complete(spec: Msg) -> Msg:
    """Fill in what the spec leaves to the defaults."""
    made = wire.pps.CreatePipelineRequest.FromString(spec.SerializeToString())
    made.pipeline.project.name = made.pipeline.project.name or "default"
    made.transform.image = made.transform.image or DEFAULT_IMAGE
    made.output_branch = made.output_branch or "master"
    made.datum_tries = made.datum_tries or DEFAULT_TRIES
    made.reprocess_spec = made.reprocess_spec or "until_success"
    if not made.parallelism_spec.constant:
        made.parallelism_spec.constant = 1
    inputs.complete(made.input, made.pipeline)
    return made


def check(spec: Msg) -> None:
    """Refuse a completed spec that cannot become a pipeline here."""
    name = spec.pipeline.name
    if not name:
        raise invalid("the pipeline spec has no pipeline.name")
    if not _NAME.fullmatch(name) or len(name) > 51:
        raise RefusedError(
            f"pipeline name {name!r} is not allowed: use at most 51 letters, digits, '-' and '_', "
            "beginning with a letter or digit"
        )
    if len(f"{spec.pipeline.project.name}-{name}-v99") > 63:
        raise RefusedError(f"pipeline name {name!r} is too long: with project and version it has more than 63 letters")
    for part in _ABSENT:
        if spec.HasField(part) if spec.DESCRIPTOR.fields_by_name[part].message_type else getattr(spec, part):
            raise absent(f"pipeline {name}: {part} is not offered by the embedded pachd")
    if spec.transform.datum_batching:
        raise absent(f"pipeline {name}: transform.datum_batching is not offered by the embedded pachd")
    if spec.reprocess_spec not in {"until_success", "every_job"}:
        raise RefusedError(
            f"pipeline {name}: reprocess_spec is {spec.reprocess_spec!r}; until_success and every_job are allowed"
        )
    if spec.HasField("maximum_expected_uptime") and not spec.autoscaling:
        raise RefusedError(f"pipeline {name}: maximum_expected_uptime needs autoscaling")
    if spec.datum_tries < 0:
        raise RefusedError(f"pipeline {name}: datum_tries is {spec.datum_tries}; at least 1 is allowed")
    inputs.check(name, spec.input)
