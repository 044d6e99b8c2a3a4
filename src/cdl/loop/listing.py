"""Keep which files the data of a Release has, before anybody can take them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.ports.errors import NotPermitted
from cdl.reconcile.release import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from .controller import Engines

GONE = "a commit was not there any more when the release was written"


def files_kept(engines: Engines, namespace: str, members: Mapping[str, JsonValue]) -> dict[str, str]:
    """Keep the list of files, and give the annotation that says where; or the one that says why there is none."""
    data = members.get("data")
    parts = data if isinstance(data, dict) else {}
    try:
        found = {side: _files(engines, namespace, parts.get(side)) for side in listed.SIDES}
    except NotPermitted as error:  # a Release is no worse for a list that its operator may not read
        return {listed.LEFT_OUT_ANNOTATION: f"the data could not be read when the release was written: {error}"}
    known = {side: files for side, files in found.items() if files is not None}
    why = GONE if len(known) < len(found) else listed.too_many(known)
    if why:
        return {listed.LEFT_OUT_ANNOTATION: why}
    return {listed.FILES_ANNOTATION: engines.artifacts.keep(listed.packed(known), listed.SUFFIX)}


def _files(engines: Engines, namespace: str, side: JsonValue) -> Mapping[str, str] | None:
    if not isinstance(side, dict):
        return None
    return engines.data.manifest(str(side.get("repo")), str(side.get("commit")), namespace)
