"""What a Determined cluster has and this master has not: each refused in one sentence."""

from cdl.embedded.determined.errors import ApiError, Code
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.web import Answer, Call, Handler, Routes

ONLY_TRIALS = "{} are not run by this master, which runs the trials of experiments only"
KEPT = "logs are kept until their experiment is deleted; this master has no retention of logs by days"
RIGHTS = "groups, roles and access tokens belong to Determined's Enterprise Edition, which this master is not"
POLICIES = "config policies belong to Determined's Enterprise Edition, which this master is not"
POOLS = "there is one resource pool, which every workspace may use"
NAMESPACES = "workspaces are not bound to Kubernetes namespaces; this master runs on one machine"
UNMANAGED = "this master runs managed experiments only"
SETTINGS = "the settings of this master are those it was started with"
HISTORY = "this master keeps no accounts of past use of slots"
ROOMS = ("notebooks", "commands", "shells", "tensorboards")

REFUSED = (
    *(
        (method, f"/{room}{rest}", ONLY_TRIALS.format(room))
        for room in ROOMS
        for method, rest in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{id}"),
            ("POST", "/{id}/kill"),
            ("POST", "/{id}/set_priority"),
        )
    ),
    ("POST", "/generic-tasks", ONLY_TRIALS.format("generic tasks")),
    ("POST", "/tasks/{task}/kill", ONLY_TRIALS.format("generic tasks")),
    ("POST", "/tasks/{task}/pause", ONLY_TRIALS.format("generic tasks")),
    ("POST", "/tasks/{task}/unpause", ONLY_TRIALS.format("generic tasks")),
    ("GET", "/tasks/{task}/config", ONLY_TRIALS.format("generic tasks")),
    ("PUT", "/experiments/{id}/retain_logs", KEPT),
    ("PUT", "/trials/{id}/retain_logs", KEPT),
    ("POST", "/cleanup_logs", KEPT),
    ("PUT", "/experiments/by-external-id/{id}", UNMANAGED),
    ("POST", "/trials", UNMANAGED),
    ("PUT", "/trials", UNMANAGED),
    ("PATCH", "/master/config", SETTINGS),
    ("POST", "/groups", RIGHTS),
    ("POST", "/groups/search", RIGHTS),
    ("GET", "/groups/{id}", RIGHTS),
    ("PUT", "/groups/{id}", RIGHTS),
    ("DELETE", "/groups/{id}", RIGHTS),
    ("GET", "/permissions/summary", RIGHTS),
    ("GET", "/roles/workspace/{id}", RIGHTS),
    ("POST", "/roles/search/by-assignability", RIGHTS),
    ("POST", "/tokens", RIGHTS),
    ("GET", "/tokens", RIGHTS),
    ("PATCH", "/tokens/{id}", RIGHTS),
    *(
        (method, f"/config-policies/{place}/{{kind}}", POLICIES)
        for method in ("GET", "PUT", "DELETE")
        for place in ("global", "workspaces/{id}")
    ),
    *((method, "/resource-pools/{name}/workspace-bindings", POOLS) for method in ("GET", "POST", "PUT", "DELETE")),
    ("GET", "/workspaces/{id}/list-namespace-bindings", NAMESPACES),
    ("POST", "/workspaces/{id}/namespace-bindings", NAMESPACES),
    ("DELETE", "/workspaces/{id}/namespace-bindings", NAMESPACES),
    ("POST", "/workspaces/{id}/set-resource-quota", NAMESPACES),
    ("GET", "/resources/allocation/raw", HISTORY),
    ("GET", "/resources/allocation/aggregated", HISTORY),
    ("GET", "//resources/allocation/raw", HISTORY),
    ("GET", "//resources/allocation/aggregated", HISTORY),
    ("GET", "//resources/allocation/allocations-csv", HISTORY),
)


class Refusals:
    """Endpoints that exist to say no."""

    def __init__(self, master: Master) -> None:
        """Nothing of the master is needed."""
        del master

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        for method, path, why in REFUSED:
            routes.add(method, path, _refuse(why))


def _refuse(why: str) -> Handler:
    def answer(_call: Call) -> Answer:
        raise ApiError(Code.UNIMPLEMENTED, why)

    return answer
