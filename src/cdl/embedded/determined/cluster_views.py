"""People, places and machines as the wire's objects; ``bindings`` is the schema here too."""

import os
from collections.abc import Iterable, Mapping

from determined.common.api import bindings

from cdl.embedded.determined.fields import Tree, section, text, whole
from cdl.embedded.determined.records import Allocation, Experiment, Project, Workspace
from cdl.embedded.determined.web import User, stamp

AGENT = "local"
POOL = "default"
NO_STATE = "WORKSPACE_STATE_UNSPECIFIED"


def user(found: User) -> Tree:
    """Show a user."""
    return _json(
        bindings.v1User(
            id=found.id,
            username=found.username,
            admin=found.admin,
            active=found.active,
            displayName=found.display_name,
            remote=found.remote,
        )
    )


def workspace(found: Workspace, username: str, projects: int, experiments: int) -> Tree:
    """Show a workspace."""
    return _json(
        bindings.v1Workspace(
            archived=found.archived,
            errorMessage="",
            id=found.id,
            immutable=found.immutable,
            name=found.name,
            numExperiments=experiments,
            numProjects=projects,
            pinned=False,
            state=bindings.v1WorkspaceState(NO_STATE),
            userId=found.user_id,
            username=username,
            checkpointStorageConfig=found.storage or None,
            defaultComputePool=POOL,
            defaultAuxPool=POOL,
        )
    )


def project(found: Project, home: Workspace, username: str, held: Iterable[Experiment], runs: int) -> Tree:
    """Show a project with what it holds."""
    inside = list(held)
    last = max((experiment.start_time for experiment in inside), default=None)
    return _json(
        bindings.v1Project(
            archived=found.archived or home.archived,
            errorMessage="",
            id=found.id,
            immutable=found.immutable,
            key=found.key,
            name=found.name,
            notes=[bindings.v1Note.from_json(note) for note in found.notes if isinstance(note, dict)],
            numActiveExperiments=sum(experiment.live for experiment in inside),
            numExperiments=len(inside),
            numRuns=runs,
            state=bindings.v1WorkspaceState(NO_STATE),
            userId=found.user_id,
            username=username,
            workspaceId=home.id,
            workspaceName=home.name,
            description=found.description,
            lastExperimentStartedAt=stamp(last),
        )
    )


def template(name: str, config: Tree, workspace_id: int) -> Tree:
    """Show a template."""
    return _json(bindings.v1Template(name=name, config=config, workspaceId=workspace_id))


def webhook(row: Mapping[str, object], triggers: Iterable[object]) -> Tree:
    """Show a webhook."""
    number = int(str(row["id"]))
    shown = [
        bindings.v1Trigger(
            id=place,
            webhookId=number,
            triggerType=bindings.v1TriggerType(text(trigger, "triggerType")),
            condition=section(trigger, "condition"),
        )
        for place, trigger in enumerate(triggers, 1)
        if isinstance(trigger, dict)
    ]
    return _json(
        bindings.v1Webhook(
            id=number,
            name=str(row["name"]),
            url=str(row["url"]),
            webhookType=bindings.v1WebhookType(str(row["kind"])),
            mode=bindings.v1WebhookMode(str(row["mode"])),
            workspaceId=int(str(row["workspace_id"])) or None,
            triggers=shown,
        )
    )


def slot(number: int, held: Allocation | None, *, enabled: bool, draining: bool) -> Tree:
    """Show a slot and who is on it."""
    return _json(
        bindings.v1Slot(
            id=str(number),
            device=_device(number),
            enabled=enabled,
            draining=draining,
            container=_container(held) if held else None,
        )
    )


def agent(slots: Mapping[int, Tree], live: Iterable[Allocation], since: float, version: str, *, enabled: bool) -> Tree:
    """Show the one agent, which is this master itself."""
    count = len(slots)
    stats = {"brandStats": {}, "typeStats": {"TYPE_CPU": {"total": count, "disabled": 0, "draining": 0, "states": {}}}}
    return _json(
        bindings.v1Agent(
            id=AGENT,
            slotStats=bindings.v1SlotStats.from_json(stats),
            addresses=["127.0.0.1"],
            containers={held.id: _container(held) for held in live},
            draining=any(found.get("draining") for found in slots.values()),
            enabled=enabled,
            registeredTime=stamp(since),
            resourcePools=[POOL],
            slots={f"{number:03}": bindings.v1Slot.from_json(found) for number, found in sorted(slots.items())},
            version=version,
        )
    )


def pool(url: str, slots: int, used: int, queued: int, scheduled: int) -> Tree:
    """Show the one pool: the cores of this machine, the most urgent and then the oldest first."""
    nothing: tuple[str, ...] = ("agentDockerImage", "agentDockerNetwork", "agentDockerRuntime", "agentFluentImage")
    nothing += ("containerStartupScript", "imageId", "instanceType", "masterCertName", "startupScript")
    none: tuple[str, ...] = ("auxContainerCapacity", "auxContainerCapacityPerAgent", "auxContainersRunning")
    none += ("maxAgentStartingPeriod", "maxIdleAgentPeriod")
    return _json(
        bindings.v1ResourcePool.from_json(
            dict.fromkeys(nothing, "")
            | dict.fromkeys(none, 0)
            | {
                "clusterName": "embedded",
                "defaultAuxPool": True,
                "defaultComputePool": True,
                "description": "the cores of this machine",
                "details": {"priorityScheduler": {"preemption": False, "defaultPriority": 42}},
                "location": "on-prem",
                "masterUrl": url,
                "maxAgents": 1,
                "minAgents": 1,
                "name": POOL,
                "numAgents": 1,
                "preemptible": False,
                "resourceManagerMetadata": {},
                "schedulerFittingPolicy": "FITTING_POLICY_BEST",
                "schedulerType": "SCHEDULER_TYPE_PRIORITY",
                "slotType": "TYPE_CPU",
                "slotsAvailable": slots,
                "slotsPerAgent": slots,
                "slotsUsed": used,
                "stats": {"queuedCount": queued, "scheduledCount": scheduled},
                "type": "RESOURCE_POOL_TYPE_STATIC",
            }
        )
    )


def job(found: Experiment, home: Project, username: str, slots: tuple[int, int], ahead: int) -> Tree:
    """Show an experiment as an entry of the queue; ``slots`` are the held and the wanted ones."""
    held, wanted = slots
    state = "STATE_SCHEDULED" if held else "STATE_QUEUED"
    return _json(
        bindings.v1Job(
            allocatedSlots=held,
            entityId=str(found.id),
            isPreemptible=False,
            jobId=f"job-{found.id}",
            name=text(found.config, "name"),
            requestedSlots=wanted,
            resourcePool=POOL,
            submissionTime=stamp(found.start_time) or "",
            type=bindings.jobv1Type.EXPERIMENT,
            username=username,
            workspaceId=home.workspace_id,
            priority=whole(found.config, "resources", "priority"),
            progress=found.progress,
            summary=bindings.v1JobSummary(jobsAhead=ahead, state=bindings.jobv1State(state)),
            userId=found.user_id,
            weight=float(whole(found.config, "resources", "weight", default=1)),
        )
    )


def allocation_summary(held: Allocation, found: Experiment) -> Tree:
    """Show what occupies slots."""
    devices = {"devices": [_device(number).to_json(True) for number in held.slot_ids]}
    taken = {
        "allocationId": held.id,
        "containerId": held.id,
        "resourcesId": held.id,
        "resourcesType": "docker-container",
        "agentDevices": {AGENT: devices},
    }
    return _json(
        bindings.v1AllocationSummary(
            allocationId=held.id,
            name=f"Trial {held.trial_id} (Experiment {found.id})",
            priority=whole(found.config, "resources", "priority"),
            registeredTime=stamp(held.start_time),
            resourcePool=POOL,
            resources=[bindings.v1ResourcesSummary.from_json(taken)],
            schedulerType="priority",
            slotsNeeded=len(held.slot_ids),
            taskId=held.task_id,
        )
    )


def _container(held: Allocation) -> "bindings.v1Container":
    return bindings.v1Container(
        id=held.id,
        state=bindings.containerv1State.RUNNING if held.ready else bindings.containerv1State.STARTING,
        devices=[_device(number) for number in held.slot_ids],
        parent="",
        permissionDenied=False,
    )


def _device(number: int) -> "bindings.v1Device":
    brand = os.uname().machine
    return bindings.v1Device(id=number, brand=brand, type=bindings.devicev1Type.CPU, uuid=str(number))


def _json(shown: object) -> Tree:
    found = shown.to_json(True) if hasattr(shown, "to_json") else {}
    return dict(found)
