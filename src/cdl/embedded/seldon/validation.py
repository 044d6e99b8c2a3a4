"""The rules of Seldon's admission webhook. Pure: an object in, (field, what is wrong) out."""

from __future__ import annotations

from collections.abc import Iterator

from cdl.embedded.seldon.fields import Object, listing, mapping, meta, text

Faults = Iterator[tuple[str, str]]

PROTOCOLS = ("", "seldon", "tensorflow", "kfserving", "v2")
TRANSPORTS = ("", "rest", "grpc")
TYPES = ("", "UNKNOWN_TYPE", "ROUTER", "COMBINER", "MODEL", "TRANSFORMER", "OUTPUT_TRANSFORMER")
PARAMETER_TYPES = ("INT", "FLOAT", "DOUBLE", "STRING", "BOOL")
OWN_CODE = ("", "UNKNOWN_IMPLEMENTATION")
BUILT_IN = ("SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER")
NAME_RULE = "expected lower-case letters, digits, '-' and '.'"
KAFKA_VARIABLES = ("KAFKA_BROKER", "KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC")


def faults(document: Object) -> list[tuple[str, str]]:
    """List everything that is wrong with an object."""
    spec = document.get("spec")
    if not isinstance(spec, dict):
        return [("spec", "is missing; expected an object with predictors")]
    return [
        *_one_of(spec, "spec", "protocol", PROTOCOLS),
        *_one_of(spec, "spec", "transport", TRANSPORTS),
        *_number(spec, "spec", "replicas", 0),
        *_predictors(spec),
    ]


def _predictors(spec: Object) -> Faults:
    predictors = spec.get("predictors")
    if not isinstance(predictors, list) or not predictors:
        yield "spec.predictors", "is empty; expected at least one predictor"
        return
    names: set[str] = set()
    services: set[str] = set()
    for number, predictor in enumerate(predictors):
        where = f"spec.predictors[{number}]"
        if not isinstance(predictor, dict):
            yield where, "is not an object"
            continue
        name = text(predictor.get("name"))
        if not plain_name(name):
            yield f"{where}.name", f"is {name!r}; {NAME_RULE}"
        elif name in names:
            yield f"{where}.name", f"{name!r} is the name of another predictor"
        names.add(name)
        service = text(mapping(predictor.get("annotations")).get("seldon.io/svc-name"))
        if service and service in services:
            yield f"{where}.annotations", f"seldon.io/svc-name {service!r} is that of another predictor"
        services.add(service)
        yield from _predictor(predictor, where, spec)
    if all(isinstance(predictor, dict) for predictor in predictors):
        yield from _traffic([mapping(predictor) for predictor in predictors])


def _predictor(predictor: Object, where: str, spec: Object) -> Faults:
    yield from _number(predictor, where, "traffic", 0)
    yield from _number(predictor, where, "replicas", 0)
    yield from _number(predictor, where, "progressDeadlineSeconds", 0)
    shadow = predictor.get("shadow", False)
    if not isinstance(shadow, bool):
        yield f"{where}.shadow", f"is {shadow!r}; expected true or false"
    graph = predictor.get("graph")
    if not isinstance(graph, dict):
        yield f"{where}.graph", "is missing; expected an object with a name"
        return
    containers: set[str] = set()
    for number, component in enumerate(listing(predictor.get("componentSpecs"))):
        inner = f"{where}.componentSpecs[{number}].spec.containers"
        listed = listing(mapping(mapping(component).get("spec")).get("containers"))
        for place, container in enumerate(listed):
            if not text(mapping(container).get("name")) or not text(mapping(container).get("image")):
                yield f"{inner}[{place}]", "has no name or no image"
        containers |= {text(mapping(container).get("name")) for container in listed}
    transport = text(spec.get("transport")) or "rest"
    yield from _unit(graph, f"{where}.graph", containers, transport)
    if mapping(predictor.get("annotations")).get("seldon.io/no-engine") == "true" and graph.get("children"):
        yield f"{where}.annotations", "seldon.io/no-engine is only for a graph of one unit"
    if spec.get("serverType") == "kafka":
        variables = {text(mapping(v).get("name")) for v in listing(mapping(predictor.get("svcOrchSpec")).get("env"))}
        for name in KAFKA_VARIABLES:
            if name not in variables:
                yield f"{where}.svcOrchSpec.env", f"has no {name}; serverType kafka needs it"


def _unit(unit: Object, where: str, containers: set[str], transport: str) -> Faults:
    name, implementation = text(unit.get("name")), text(unit.get("implementation"))
    if not name:
        yield f"{where}.name", "is missing; expected a text"
    yield from _one_of(unit, where, "type", TYPES)
    if implementation in OWN_CODE and name not in containers:
        yield f"{where}.name", f"{name!r} is the name of no container in componentSpecs; expected one of the same name"
    if implementation not in (*OWN_CODE, *BUILT_IN, "HUGGINGFACE_SERVER") and not unit.get("modelUri"):
        yield f"{where}.modelUri", f"is missing; {implementation} needs it"
    wired = text(mapping(unit.get("endpoint")).get("type"), transport).lower() or transport
    if wired != transport:
        yield f"{where}.endpoint.type", f"is {wired.upper()}; expected {transport.upper()}, the transport"
    if "logger" in unit and mapping(unit.get("logger")).get("mode") not in ("all", "request", "response"):
        yield f"{where}.logger.mode", "is missing; expected all, request or response"
    for number, parameter in enumerate(listing(unit.get("parameters"))):
        inner = f"{where}.parameters[{number}]"
        entry = mapping(parameter)
        if not text(entry.get("name")) or not isinstance(entry.get("value"), str):
            yield inner, "has no name, or a value that is not a text"
        yield from _one_of(entry, inner, "type", PARAMETER_TYPES, required=True)
    for number, child in enumerate(listing(unit.get("children"))):
        yield from _unit(mapping(child), f"{where}.children[{number}]", containers, transport)


def _traffic(predictors: list[Object]) -> Faults:
    shares = [predictor.get("traffic") or 0 for predictor in predictors]
    if any(isinstance(share, bool) or not isinstance(share, int) for share in shares):
        return  # said already
    numbers = [share for share in shares if isinstance(share, int)]
    shadows = [bool(predictor.get("shadow")) for predictor in predictors]
    if sum(shadows) > 1:
        yield "spec.predictors", "has more than one shadow; expected at most one"
    if all(shadows):
        yield "spec.predictors", "has only a shadow; expected a predictor that answers"
    for number, share in enumerate(numbers):
        if shadows[number] and share > 100:
            yield f"spec.predictors[{number}].traffic", f"is {share}; a shadow takes from 0 to 100"
    answering = [share for share, shadow in zip(numbers, shadows, strict=True) if not shadow]
    if len(answering) == 1 and answering[0] not in (0, 100):
        yield "spec.predictors", f"has one predictor with traffic {answering[0]}; expected 100 or none"
    if len(answering) > 1 and sum(answering) != 100:
        yield "spec.predictors", f"has traffic {' + '.join(map(str, answering))} = {sum(answering)}; expected 100"


def _one_of(entry: Object, where: str, name: str, allowed: tuple[str, ...], *, required: bool = False) -> Faults:
    value = entry.get(name, None if required else "")
    if value not in allowed:
        yield f"{where}.{name}", f"is {value!r}; allowed: {', '.join(filter(None, allowed))}"


def _number(entry: Object, where: str, name: str, least: int) -> Faults:
    value = entry.get(name, least)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        yield f"{where}.{name}", f"is {value!r}; expected a whole number of at least {least}"


def identity_faults(document: Object) -> list[tuple[str, str]]:
    """List what is wrong with kind, version and names."""
    wrong = []
    for field, expected in (("apiVersion", "machinelearning.seldon.io/v1"), ("kind", "SeldonDeployment")):
        if document.get(field) != expected:
            wrong.append((field, f"is {document.get(field)!r}; expected {expected}"))
    for field in ("name", "namespace"):
        value = text(meta(document).get(field), "default")
        if not plain_name(value) or len(value) > 253:
            wrong.append((f"metadata.{field}", f"is {value!r}; {NAME_RULE}"))
    return wrong


def plain_name(name: str) -> bool:
    """Whether a name may become part of a host name, and so of a path."""
    return all(
        part
        and part[0] != "-" != part[-1]
        and all(c.isascii() and (c.isdigit() or c.islower() or c == "-") for c in part)
        for part in name.split(".")
    )
