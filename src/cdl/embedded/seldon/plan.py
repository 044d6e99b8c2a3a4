"""From an object to the processes it wishes for. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cdl.embedded.seldon.fields import Object, key_of, listing, mapping, meta, text, whole

DEADLINE_SECONDS = 600
TIMEOUT_SECONDS = 60.0
OWN_CODE = ("", "UNKNOWN_IMPLEMENTATION")


class Unservable(Exception):  # noqa: N818 - it is said of an object: valid, but not for this machine
    """A valid object that this engine cannot serve; the message names the field."""


@dataclass(frozen=True)
class Wish:
    """One process: equal wishes are the same process, whatever else of the object changed."""

    predictor: str
    container: str
    replica: int
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    probed: bool


@dataclass(frozen=True)
class Arm:
    """One predictor: who answers for it, and how much of the traffic is its own."""

    name: str
    weight: int
    shadow: bool
    unit: str
    wishes: tuple[Wish, ...]
    workloads: tuple[tuple[str, tuple[str, ...]], ...]  # names of Deployments and the containers in each
    replicas: int

    @property
    def answering(self) -> tuple[Wish, ...]:
        """The processes that take requests."""
        return tuple(wish for wish in self.wishes if wish.container == self.unit)


@dataclass(frozen=True)
class Plan:
    """Everything an object wishes for."""

    namespace: str
    name: str
    uid: str
    generation: int
    protocol: str
    arms: tuple[Arm, ...]
    deadline_seconds: int
    timeout_seconds: float

    @property
    def wishes(self) -> frozenset[Wish]:
        """All processes."""
        return frozenset(wish for arm in self.arms for wish in arm.wishes)


def plan(document: Object) -> Plan:
    """Read a valid object; raises Unservable for what only a cluster can do."""
    spec = mapping(document.get("spec"))
    for where in _not_here(spec):
        raise Unservable(f"{where} is not available in the embedded Seldon")
    namespace, name = key_of(document)
    predictors = [mapping(entry) for entry in listing(spec.get("predictors"))]
    arms = tuple(_arm(name, spec, predictor) for predictor in predictors)
    answering = [arm for arm in arms if not arm.shadow]
    if len(answering) == 1:  # a single predictor may leave its traffic out
        arms = tuple(_weighted(arm, 100) if not arm.shadow else arm for arm in arms)
    deadlines = [whole(p.get("progressDeadlineSeconds")) or DEADLINE_SECONDS for p in predictors]
    return Plan(
        namespace=namespace,
        name=name,
        uid=text(meta(document).get("uid")),
        generation=whole(meta(document).get("generation")),
        protocol=text(spec.get("protocol")) or "seldon",
        arms=arms,
        deadline_seconds=max(deadlines),
        timeout_seconds=_timeout(spec),
    )


def _weighted(arm: Arm, weight: int) -> Arm:
    return Arm(arm.name, weight, arm.shadow, arm.unit, arm.wishes, arm.workloads, arm.replicas)


def _timeout(spec: Object) -> float:
    given = text(mapping(spec.get("annotations")).get("seldon.io/rest-timeout"))
    if given and not given.isdigit():
        raise Unservable(f"spec.annotations seldon.io/rest-timeout is {given!r}; expected milliseconds")
    return int(given) / 1000 if given and int(given) else TIMEOUT_SECONDS


def _not_here(spec: Object) -> Iterator[str]:
    """Name what is asked for and does not exist here; silence would be a lie."""
    if spec.get("transport") == "grpc":
        yield "spec.transport grpc"
    if spec.get("serverType") == "kafka":
        yield "spec.serverType kafka"
    if spec.get("protocol") == "tensorflow":
        yield "spec.protocol tensorflow"
    for number, predictor in enumerate(listing(spec.get("predictors"))):
        where = f"spec.predictors[{number}]"
        entry = mapping(predictor)
        graph = mapping(entry.get("graph"))
        for field in ("children", "logger", "modelUri"):
            if graph.get(field):
                yield f"{where}.graph.{field}"
        if text(graph.get("implementation")) not in OWN_CODE:
            yield f"{where}.graph.implementation {graph['implementation']}"
        if text(graph.get("type")) not in ("", "UNKNOWN_TYPE", "MODEL"):
            yield f"{where}.graph.type {graph['type']}"
        if mapping(entry.get("explainer")).get("type"):
            yield f"{where}.explainer"
        if entry.get("ssl"):
            yield f"{where}.ssl"
        for place, component in enumerate(listing(entry.get("componentSpecs"))):
            yield from _not_here_in_pods(mapping(component), f"{where}.componentSpecs[{place}]")


def _not_here_in_pods(component: Object, where: str) -> Iterator[str]:
    for field in ("hpaSpec", "kedaSpec"):
        if component.get(field):
            yield f"{where}.{field}"
    pod = mapping(component.get("spec"))
    for field in ("initContainers", "volumes"):
        if pod.get(field):
            yield f"{where}.spec.{field}"
    for number, container in enumerate(listing(pod.get("containers"))):
        entry = mapping(container)
        inside = f"{where}.spec.containers[{number}]"
        if entry.get("envFrom"):
            yield f"{inside}.envFrom"
        for place, variable in enumerate(listing(entry.get("env"))):
            if "valueFrom" in mapping(variable):
                yield f"{inside}.env[{place}].valueFrom"


def _arm(deployment: str, spec: Object, predictor: Object) -> Arm:
    name, graph = text(predictor.get("name")), mapping(predictor.get("graph"))
    unit = text(graph.get("name"))
    default = whole(spec.get("replicas"), 1) if spec.get("replicas") is not None else 1
    replicas = whole(predictor.get("replicas"), default)
    wishes: list[Wish] = []
    workloads = []
    for place, component in enumerate(listing(predictor.get("componentSpecs"))):
        pod = mapping(mapping(component).get("spec"))
        containers = [mapping(entry) for entry in listing(pod.get("containers"))]
        names = tuple(text(entry.get("name")) for entry in containers)
        workloads.append((f"{deployment}-{name}-{place}-{'-'.join(names)}", names))
        own = mapping(component).get("replicas")
        wishes += [
            _wish(deployment, predictor, graph, container, replica)
            for container in containers
            for replica in range(whole(own, replicas))
        ]
    return Arm(
        name=name,
        weight=whole(predictor.get("traffic")),
        shadow=predictor.get("shadow") is True,
        unit=unit,
        wishes=tuple(wishes),
        workloads=tuple(workloads),
        replicas=sum(wish.container == unit for wish in wishes),
    )


def _wish(deployment: str, predictor: Object, graph: Object, container: Object, replica: int) -> Wish:
    name, image = text(container.get("name")), text(container.get("image"))
    parameters = listing(graph.get("parameters")) if name == graph.get("name") else []
    labels = {"version": text(predictor.get("name")), **mapping(predictor.get("labels"))}
    environment = {
        "PREDICTIVE_UNIT_PARAMETERS": json.dumps(parameters),
        "PREDICTIVE_UNIT_ID": name,
        "PREDICTIVE_UNIT_IMAGE": image,
        "PREDICTIVE_UNIT_METRICS_ENDPOINT": "/prometheus",
        "PREDICTOR_ID": text(predictor.get("name")),
        "PREDICTOR_LABELS": json.dumps(labels, sort_keys=True),
        "SELDON_DEPLOYMENT_ID": deployment,
        "SELDON_EXECUTOR_ENABLED": "true",
        "MLSERVER_METRICS_ENDPOINT": "/prometheus",
        "MLSERVER_MODEL_NAME": name,
    }
    for entry in listing(container.get("env")):
        environment[text(mapping(entry).get("name"))] = str(mapping(entry).get("value", ""))
    return Wish(
        predictor=text(predictor.get("name")),
        container=name,
        replica=replica,
        image=image,
        command=_texts(container.get("command")),
        arguments=_texts(container.get("args")),
        environment=tuple(sorted(environment.items())),
        probed=name == graph.get("name"),
    )


def _texts(value: object) -> tuple[str, ...]:
    items: Sequence[object] = listing(value)
    return tuple(str(item) for item in items)
