"""What the chart's tests share: its values files, its rendering, and the pods in it."""

import json
from copy import deepcopy
from functools import cache

import yaml
from charts.render import CHART, rendering

VARIANTS = sorted([*CHART.glob("values-*.yaml"), *CHART.glob("ci/*.yaml")])
NAMES = ["values.yaml", *(path.relative_to(CHART).as_posix() for path in VARIANTS)]


def values_of(name):
    """What a values file says beyond the defaults."""
    return {} if name == "values.yaml" else yaml.safe_load((CHART / name).read_text())


def objects(name, **more):
    """Every object of a rendering; rendered once, for Helm makes a certificate every time."""
    return deepcopy(_objects(json.dumps({**values_of(name), **more})))


@cache
def _objects(values):
    return [document for found in rendering(json.loads(values)).values() for document in found]


def environments(documents):
    """Every environment variable of every container, with the name of its pod's maker."""
    for name, _, spec in pods(documents):
        for container in spec["containers"]:
            for variable in container.get("env", ()):
                yield name, variable


def pods(documents):
    """Every pod that the objects make, as (name, labels, spec)."""
    for document in documents:
        name = document["metadata"]["name"]
        if document["kind"] == "Pod":
            yield name, document["metadata"]["labels"], document["spec"]
        elif "template" in document.get("spec", {}):
            template = document["spec"]["template"]
            yield name, template["metadata"]["labels"], template["spec"]


def of_kind(documents, *kinds):
    return [document for document in documents if document["kind"] in kinds]


def selects(selector, labels):
    """Whether a label selector means a pod."""
    for name, value in selector.get("matchLabels", {}).items():
        if labels.get(name) != value:
            return False
    return all(
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", ())
    )
