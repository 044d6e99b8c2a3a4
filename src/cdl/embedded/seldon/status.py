"""What the controller writes into `.status`, as Seldon's operator does. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cdl.embedded.seldon.fields import Object, listing, mapping, text
from cdl.embedded.seldon.plan import Arm, Plan, Wish

AVAILABLE, CREATING, FAILED = "Available", "Creating", "Failed"
KEPT = ("deploymentStatus", "serviceStatus", "address", "replicas")
STALLED = "Deployment is no longer progressing and not available."


@dataclass(frozen=True)
class Seen:
    """What is known of the processes of a plan."""

    ready: frozenset[Wish]
    last_words: dict[Wish, str]  # of those that ended before they were ready
    overdue: bool


def state_of(plan: Plan, seen: Seen) -> tuple[str, str]:
    """Judge a plan: (state, description)."""
    if plan.wishes <= seen.ready:
        return AVAILABLE, ""
    said = [
        f"predictor {wish.predictor}, container {wish.container}: {seen.last_words[wish]}"
        for arm in plan.arms
        for wish in arm.wishes
        if wish in seen.last_words
    ]
    if said:
        return FAILED, said[0]
    return (FAILED, STALLED) if seen.overdue else (CREATING, "")


def status_of(plan: Plan, seen: Seen, router: str, before: Object, at: str) -> Object:
    """Spell everything out; conditions keep the time of their last change."""
    state, description = state_of(plan, seen)
    deployments = {name: entry for arm in plan.arms for name, entry in _deployments(arm, seen)}
    status: Object = {
        "state": state,
        "observedGeneration": plan.generation,
        "deploymentStatus": deployments,
        "serviceStatus": _services(plan),
        "address": {"url": f"{router}/seldon/{plan.namespace}/{plan.name}{_path(plan)}"},
        "replicas": sum(wish in seen.ready for arm in plan.arms for wish in arm.answering),
    }
    if description:
        status["description"] = description
    status["conditions"] = _conditions(state, description, before, at)
    return status


def failed(sentence: str, generation: int, before: Object, at: str) -> Object:
    """Spell out that an object cannot be served at all; what was served before is still there."""
    kept: Object = {name: before[name] for name in KEPT if name in before}
    return {
        **kept,
        "state": FAILED,
        "observedGeneration": generation,
        "description": sentence,
        "conditions": _conditions(FAILED, sentence, before, at),
    }


def _path(plan: Plan) -> str:
    return f"/v2/models/{plan.arms[0].unit}/infer" if plan.protocol in ("v2", "kfserving") else "/api/v1.0/predictions"


def _deployments(arm: Arm, seen: Seen) -> list[tuple[str, Object]]:
    entries: list[tuple[str, Object]] = []
    for name, containers in arm.workloads:
        wishes = [wish for wish in arm.wishes if wish.container in containers]
        pods = {wish.replica for wish in wishes}
        up = sum(all(wish in seen.ready for wish in wishes if wish.replica == pod) for pod in pods)
        entries.append((name, {"availableReplicas": up, "replicas": len(pods)}))
    return entries


def _services(plan: Plan) -> Object:
    services: Object = {}
    for arm in plan.arms:
        name = f"{plan.name}-{arm.name}"
        services[name] = {
            "svcName": name,
            "httpEndpoint": f"{name}.{plan.namespace}:8000",
            "grpcEndpoint": f"{name}.{plan.namespace}:5001",
        }
        containers = [container for _, names in arm.workloads for container in names]
        for number, container in enumerate(containers):
            inner = f"{name}-{container}"
            services[inner] = {
                "svcName": inner,
                "httpEndpoint": f"{inner}.{plan.namespace}:{9000 + number}",
                "grpcEndpoint": f"{inner}.{plan.namespace}:{9500 + number}",
            }
    return services


def _conditions(state: str, description: str, before: Object, at: str) -> list[Object]:
    ready = "True" if state == AVAILABLE else "False"
    reason = {AVAILABLE: "Deployment has minimum availability", CREATING: "Deployments are not ready"}
    wanted: list[Object] = [
        {"type": "DeploymentsReady", "status": ready, "reason": reason.get(state, "Deployments have failed")},
        {"type": "HpasReady", "status": "True", "reason": "No HPAs defined"},
        {"type": "KedaReady", "status": "True", "reason": "No KEDA resources defined"},
        {"type": "PdbsReady", "status": "True", "reason": "No PDBs defined"},
        {"type": "Ready", "status": ready, "reason": reason.get(state, "Deployments have failed")},
        {"type": "ServicesReady", "status": "True", "reason": "All services created"},
    ]
    old = {text(mapping(entry).get("type")): mapping(entry) for entry in listing(before.get("conditions"))}
    for condition in wanted:
        if description and condition["status"] != "True":
            condition["message"] = description
        known = old.get(str(condition["type"]), {})
        same = known.get("status") == condition["status"]
        condition["lastTransitionTime"] = known.get("lastTransitionTime", at) if same else at
    return wanted
