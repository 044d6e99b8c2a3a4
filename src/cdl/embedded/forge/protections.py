"""Protected branches: who may push to them and merge into them."""

from __future__ import annotations

import fnmatch

from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER
from cdl.embedded.forge.store import Store, Tree

ADMIN = 60


def rule(store: Store, project: Tree, branch: str) -> Tree | None:
    """Give the rule of a branch, the most open one where several fit, as GitLab does."""
    found = [r for r in store.all("protected_branch", project["id"]) if fnmatch.fnmatchcase(branch, r["name"])]
    if not found:
        return None
    return {
        "push_access_level": min((r["push_access_level"] for r in found), key=_openness),
        "merge_access_level": min((r["merge_access_level"] for r in found), key=_openness),
        "allow_force_push": any(r["allow_force_push"] for r in found),
    }


def _openness(level: int) -> int:
    return level or ADMIN + 1


def allows(access: int, level: int) -> bool:
    """Say whether a role is enough; level 0 is nobody's."""
    return 0 < level <= access


def may_push(store: Store, project: Tree, branch: str, access: int) -> bool:
    """Say whether a role may push to a branch."""
    found = rule(store, project, branch)
    return allows(access, found["push_access_level"] if found else DEVELOPER)


def orders(store: Store, project: Tree, access: int) -> list[dict[str, object]]:
    """Give the rules of a project as the hook beside a repository reads them."""
    return [
        {
            "name": r["name"],
            "push": allows(access, r["push_access_level"]),
            "force": r["allow_force_push"],
        }
        for r in store.all("protected_branch", project["id"])
    ]


def protect(store: Store, project: Tree, name: str, push: int = MAINTAINER, merge: int = MAINTAINER) -> Tree:
    """Protect a branch, or all that fit a pattern."""
    document = {"project_id": project["id"], "name": name, "push_access_level": push, "merge_access_level": merge}
    return store.add("protected_branch", document | {"allow_force_push": False})
