"""What an API server is told of the admission server: where it is, what it is asked, and what to do without it.

Without an answer everything is let through but a change of a Release: the API must not stand still because one of our
processes does, and removing a finalizer is an update that would be refused too, so nothing could be deleted any more.
Nothing is lost by it. The loop adds a finalizer that is missing before it does anything, and marks what it cannot read
as Stalled; and a current API server evaluates the rules itself. A decision about a Release must be signed, so it waits
until there is somebody to sign it.

A wish is asked about once, not twice: the webhook that adds the finalizer and the name of who wishes judges too. Others
may still change the document after that. `reinvocationPolicy: IfNeeded` has us judge again what they made of it. An API
server asks again only once; what slips through even so is no worse than with no admission server at all: the
definition's schema is checked after the last of them, and the operator reads each spec before it acts on it and marks a
wrong one as Stalled. A Release, on which we write nothing but decisions, goes past the validating webhook. So does its
deletion, the only one that is asked about: what is served stays.

These documents are applied by `cdl up` and by the chart and belong to nobody at run time: kopf would empty
configurations of its own whenever one of two replicas ends, and would need rights over everybody's webhooks for it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cdl.api.meta import GROUP, VERSION
from cdl.api.v1alpha1 import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

Node = dict[str, object]

VALIDATE, MUTATE, DECIDE, SIGN = "validate", "mutate", "decide", "sign"
"""The last part of the address, and the name of the handler behind it: kopf answers other names with a yes."""
NAME = "cdl"
SECONDS = 3
"""How long a create may be held up by a server that does not answer; an answer takes milliseconds."""
PLURALS = tuple(f"{kind.lower()}s" for kind in KINDS)
RECONCILED = tuple(plural for plural in PLURALS if plural != "releases")
"""The kinds with objects at the engines, which a finalizer guards from their creation on."""


def at_address(url: str, authority: bytes) -> Node:
    """Describe an admission server by its address, for one machine."""
    return {"url": url.rstrip("/"), "caBundle": base64.b64encode(authority).decode()}


def at_service(namespace: str, name: str, authority: bytes) -> Node:
    """Describe an admission server by its Service, inside a cluster."""
    service = {"namespace": namespace, "name": name, "port": 443, "path": ""}
    return {"service": service, "caBundle": base64.b64encode(authority).decode()}


def configurations(server: Mapping[str, object]) -> tuple[Node, Node]:
    """Give the two documents that send every new and changed resource past an admission server."""
    releases = ("releases",)
    judged, decided = _rule(releases, "CREATE", "UPDATE", "DELETE"), _rule(releases, "UPDATE")
    return (
        _configuration(
            "Validating", _webhook(server, VALIDATE, judged), _webhook(server, DECIDE, decided, otherwise="Fail")
        ),
        _configuration(
            "Mutating",
            _webhook(server, MUTATE, _rule(RECONCILED, "CREATE", "UPDATE")) | {"reinvocationPolicy": "IfNeeded"},
            _webhook(server, SIGN, decided, otherwise="Fail"),
        ),
    )


def _configuration(sort: str, *webhooks: Node) -> Node:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{sort}WebhookConfiguration",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/part-of": "cdl"}},
        "webhooks": list(webhooks),
    }


def _rule(plurals: tuple[str, ...], *operations: str) -> Node:
    return {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "resources": list(plurals),  # without /status: what the operator writes most is not asked about
        "operations": list(operations),
        "scope": "Namespaced",
    }


def _webhook(server: Mapping[str, object], part: str, *rules: Node, otherwise: str = "Ignore") -> Node:
    return {
        "name": f"{part}.{GROUP}",
        "clientConfig": _below(server, part),
        "rules": list(rules),
        "failurePolicy": otherwise,
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": SECONDS,
        "admissionReviewVersions": ["v1"],
    }


def _below(server: Mapping[str, object], part: str) -> Node:
    made = dict(server)
    service = made.get("service")
    if isinstance(service, dict):
        made["service"] = service | {"path": f"{service.get('path', '')}/{part}"}
    else:
        made["url"] = f"{made['url']}/{part}"
    return made
