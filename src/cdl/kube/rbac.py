"""Who may do what in a cluster, as one table: `python -m cdl.kube.rbac` writes charts/cdl/files/rbac.yaml again.

The chart, `manifests/base`, `cdl up` and the tests read this table; no rule is written anywhere else. Approving has a
verb of its own, because a permission to patch cannot be narrowed to one annotation: docs/adr/0010.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from cdl.api.meta import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Node = dict[str, object]

SYSTEM = "cdl-system"
"""The namespace of the platform, unless an installation chooses another."""
APPROVE = "approve"
"""The verb of whoever may decide about a Release; the API server only keeps it, admission asks for it."""

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete")
RBAC_GROUP = "rbac.authorization.k8s.io"


class Where(StrEnum):
    """In which namespaces a row holds."""

    RESOURCES = "resources"
    """Where people keep their resources: everywhere, or in the namespaces an installation is limited to."""
    SCANNING = "scanning"
    """Everywhere, and only when an installation is not limited to namespaces."""
    PLATFORM = "platform"
    """In the namespace of the platform."""
    CLUSTER = "cluster"
    """Everywhere, however an installation is limited: what is asked about has no namespace."""
    PREVIEWS = "previews"
    """Everywhere, and only for who gives merge requests namespaces of their own."""


@dataclass(frozen=True)
class Row:
    """One permission, and why it is given."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    reason: str
    where: Where = Where.RESOURCES
    names: tuple[str, ...] = ()

    @property
    def rule(self) -> Node:
        """The row as Kubernetes writes it."""
        rule: Node = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


def _ours(kinds: Iterable[str], verbs: tuple[str, ...], reason: str) -> Row:
    return Row(GROUP, tuple(kinds), verbs, reason)


DATA, EXPERIMENTS, DEPLOYMENTS, RELEASES = "datapipelines", "experiments", "modeldeployments", "releases"
WISHES = (DATA, EXPERIMENTS, DEPLOYMENTS)
ALL = (*WISHES, RELEASES)
STATUSES = tuple(f"{name}/status" for name in ALL)

READS = _ours(ALL, READ, "sees what everybody else's work depends on and leads to")
EVENTS = Row("", ("events",), READ, "`kubectl describe` tells the story of a resource by its events")
PODS = Row("", ("pods",), READ, "finds the pods of a model server")
LOGS = Row("", ("pods/log",), ("get",), "finds out why a model server does not answer")

PEOPLE: Mapping[str, tuple[Row, ...]] = {
    "data-engineer": (
        _ours((DATA,), WRITE, "provides the data: collects, splits, cleans, checks"),
        READS,
        EVENTS,
    ),
    "labeler": (
        _ours((DATA,), READ, "sees which data set waits for labels; the labels themselves are given in Label Studio"),
        EVENTS,
    ),
    "data-scientist": (
        _ours((EXPERIMENTS,), WRITE, "builds models: writes, runs, suspends and ends experiments"),
        READS,
        EVENTS,
    ),
    "model-validator": (
        _ours((RELEASES,), (APPROVE,), "takes responsibility for what is served"),
        _ours((RELEASES,), ("patch",), "notes the decision on the Release; admission lets no other change through"),
        READS,
        EVENTS,
    ),
    "software-engineer": (
        _ours(
            (EXPERIMENTS, DEPLOYMENTS),
            ("update", "patch"),
            "brings a prototype's code, and the interface of what is served, into a form for production",
        ),
        READS,
        EVENTS,
        PODS,
        LOGS,
    ),
    "devops-engineer": (
        _ours((DEPLOYMENTS,), WRITE, "brings models into production, and back"),
        READS,
        EVENTS,
        PODS,
        LOGS,
        Row("", ("services",), READ, "finds what reaches a model server"),
        Row("apps", ("deployments",), READ, "finds what keeps a model server running"),
        Row("machinelearning.seldon.io", ("seldondeployments",), READ, "sees what the operator asked Seldon for"),
    ),
}
"""The six roles of a machine learning team. None may write a status, and none may write what a Release holds."""

READER = (READS, EVENTS)
"""Whoever may view a namespace may view this too: it joins the cluster's own role `view`."""

PIPELINE = (
    _ours(WISHES, ("get", "create", "patch"), "applies what a commit says, and waits for what it leads to"),
    _ours((EXPERIMENTS, DEPLOYMENTS), ("list",), "reports what became of a commit"),
    _ours((RELEASES,), ("get", "list"), "reports what a commit led to"),
    Row("machinelearning.seldon.io", ("seldondeployments",), ("get",), "plans with the model servers that there are"),
)
"""What a job of a CI pipeline needs: it takes nothing away and decides nothing."""

OPERATOR = (
    _ours(WISHES, ("list", "watch"), "follows what people wish"),
    _ours(WISHES, ("patch",), "adds and removes its finalizer"),
    _ours((RELEASES,), ("list", "watch", "create"), "writes a Release once; nobody writes it again"),
    _ours(STATUSES, ("patch",), "reports, and nobody else does"),
    Row("", ("events",), ("create", "patch"), "tells people what happened, and counts what happens again"),
    Row(
        "machinelearning.seldon.io",
        ("seldondeployments",),
        ("get", "list", "create", "update", "delete"),
        "runs model servers",
    ),
    Row(
        "apiextensions.k8s.io",
        ("customresourcedefinitions",),
        ("list", "watch"),
        "notices when a kind arrives or changes",
        Where.SCANNING,
    ),
    Row(
        "coordination.k8s.io",
        ("leases",),
        ("get", "create", "update"),
        "of two operators only the holder of the lease acts",
        Where.PLATFORM,
    ),
)

ADMISSION = (
    Row(
        "authorization.k8s.io",
        ("subjectaccessreviews",),
        ("create",),
        f"asks whether the one who decides about a Release may `{APPROVE}` it",
        Where.CLUSTER,
    ),
)

GITOPS = (
    _ours(WISHES, ("get", "list", "create", "patch", "delete"), "makes what git says, and takes away what left it"),
    _ours((RELEASES,), ("get", "list"), "leaves the data that a Release needs, and tells the merge request of it"),
    Row("", ("events",), ("create", "patch"), "says on a resource that it was applied, corrected or pruned"),
    Row("", ("namespaces",), ("get", "create"), "gives each open merge request a namespace", Where.PREVIEWS),
)
"""Who follows one repository, in the one namespace it goes to."""

TABLE: Mapping[str, tuple[Row, ...]] = {
    **PEOPLE,
    "reader": READER,
    "pipeline": PIPELINE,
    "operator": OPERATOR,
    "admission": ADMISSION,
    "gitops": GITOPS,
}
"""Every role, without the prefix `cdl-` that it has in a cluster."""


def covers(role: str, event: Mapping[str, object], platform: str = SYSTEM) -> Row | None:
    """Find the row that allows what an audit event tells of; None when none does.

    Read from the event are `verb` and `objectRef` (apiGroup, resource, subresource, namespace, name).
    """
    ref = event.get("objectRef")
    asked = ref if isinstance(ref, dict) else {}
    resource = "/".join(str(asked[part]) for part in ("resource", "subresource") if asked.get(part))
    for row in TABLE[role]:
        here = row.where is not Where.PLATFORM or asked.get("namespace") == platform
        named = not row.names or asked.get("name") in row.names
        meant = row.group == asked.get("apiGroup", "") and resource in row.resources and event.get("verb") in row.verbs
        if here and named and meant:
            return row
    return None


def documents(platform: str = SYSTEM, namespaces: Iterable[str] = ()) -> list[Node]:
    """Give every role and binding of an installation, ready to be applied.

    Without namespaces the roles hold everywhere; with some, only there.
    """
    limited = tuple(namespaces)
    made = [
        _role(name, _rows(name, Where.RESOURCES), ns)
        for name in (*PEOPLE, "reader", "pipeline")
        for ns in limited or ("",)
    ]
    for name in ("operator", "admission"):
        for ns in limited or ("",):
            rows = _rows(name, Where.RESOURCES) + (() if ns else _rows(name, Where.SCANNING))
            made += _bound(name, rows, ns, platform)
        # a limited installation is one of several, and their names meet where there are no namespaces
        made += _bound(name, _rows(name, Where.CLUSTER), "", platform, f"-{platform}" if limited else "")
        made += _bound(name, _rows(name, Where.PLATFORM), platform, platform, "-platform")
    return made


def followed(name: str, namespace: str, platform: str = SYSTEM, *, previews: bool = False) -> list[Node]:
    """Give the role and the binding of one followed repository, whose ServiceAccount is `cdl-gitops-<name>`.

    With previews it holds everywhere: the namespace of a merge request has a name that nobody knows beforehand.
    """
    rows = _rows("gitops", Where.RESOURCES) + (_rows("gitops", Where.PREVIEWS) if previews else ())
    return _bound(f"gitops-{name}", rows, "" if previews else namespace, platform)


def _rows(name: str, where: Where) -> tuple[Row, ...]:
    return tuple(row for row in TABLE[name] if row.where is where)


def _role(name: str, rows: tuple[Row, ...], namespace: str, suffix: str = "") -> Node:
    labels: Node = {"app.kubernetes.io/part-of": "cdl"}
    if name == "reader" and not namespace:
        labels[f"{RBAC_GROUP}/aggregate-to-view"] = "true"
    metadata: Node = {"name": f"cdl-{name}{suffix}", "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": [row.rule for row in rows],
    }


def _bound(name: str, rows: tuple[Row, ...], namespace: str, platform: str, suffix: str = "") -> list[Node]:
    """Give a role with the binding to the ServiceAccount of the same name; nothing when it allows nothing."""
    if not rows:
        return []
    role = _role(name, rows, namespace, suffix)
    account: Node = {"kind": "ServiceAccount", "name": f"cdl-{name}", "namespace": platform}
    binding = {
        "apiVersion": role["apiVersion"],
        "kind": f"{role['kind']}Binding",
        "metadata": role["metadata"],
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": role["kind"], "name": f"cdl-{name}{suffix}"},
        "subjects": [account],
    }
    return [role, binding]


HEADER = "# Made from the table in src/cdl/kube/rbac.py by `python -m cdl.kube.rbac`; change that.\n"


def render() -> str:
    """Write the table as the chart reads it: for each role and place its rules, each with its reason."""
    table = {
        name: {
            where.value: [row.rule | {"reason": row.reason} for row in rows]
            for where in Where
            if (rows := _rows(name, where))
        }
        for name in TABLE
    }
    return HEADER + yaml.dump(table, Dumper=_Plain, sort_keys=False, width=120)


class _Plain(yaml.SafeDumper):
    """Repeats what is used twice instead of pointing at it."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def main(target: Path) -> None:
    """Write the chart's copy of the table."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("charts/cdl/files/rbac.yaml"))
