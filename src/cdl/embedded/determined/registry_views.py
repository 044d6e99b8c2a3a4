"""Models and their versions as the wire's objects."""

from collections.abc import Mapping

from determined.common.api import bindings

from cdl.embedded.determined.fields import Tree, as_number, text
from cdl.embedded.determined.web import stamp


def model(row: Mapping[str, object], labels: list[str], meta: Tree, versions: int, username: str) -> Tree:
    """Show a registered model."""
    shown = bindings.v1Model(
        archived=bool(row["archived"]),
        creationTime=_when(row, "created"),
        id=int(str(row["id"])),
        lastUpdatedTime=_when(row, "updated"),
        metadata=meta,
        name=str(row["name"]),
        numVersions=versions,
        userId=int(str(row["user_id"])),
        username=username,
        workspaceId=int(str(row["workspace_id"])),
        description=str(row["description"]),
        labels=labels,
        notes=str(row["notes"]),
    )
    return dict(shown.to_json(True))


def model_version(row: Mapping[str, object], parent: Tree, saved: Tree, labels: list[str], meta: Tree) -> Tree:
    """Show one version of a model with its checkpoint."""
    shown = bindings.v1ModelVersion(
        checkpoint=bindings.v1Checkpoint.from_json(saved),
        creationTime=_when(row, "created"),
        id=int(str(row["id"])),
        lastUpdatedTime=_when(row, "updated"),
        model=bindings.v1Model.from_json(parent),
        version=int(str(row["version"])),
        name=str(row["name"]),
        comment=str(row["comment"]),
        notes=str(row["notes"]),
        labels=labels,
        metadata=meta,
        userId=int(str(row["user_id"])),
        username=text(parent, "username"),
    )
    return dict(shown.to_json(True))


def _when(row: Mapping[str, object], name: str) -> str:
    return stamp(as_number(row[name])) or ""
