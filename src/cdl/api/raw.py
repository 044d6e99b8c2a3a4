"""Pachyderm pipeline specs as people have them: what is wrong with one is said before it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from .meta import Frozen

Spec = dict[str, JsonValue]

FIELDS = frozenset({
    "pipeline", "transform", "input", "parallelism_spec", "egress", "update", "reprocess", "output_branch",
    "s3_out", "resource_requests", "resource_limits", "sidecar_resource_requests", "sidecar_resource_limits",
    "description", "datum_set_spec", "datum_timeout", "job_timeout", "salt", "datum_tries", "scheduling_spec",
    "pod_spec", "pod_patch", "metadata", "reprocess_spec", "autoscaling", "tolerations", "determined",
    "maximum_expected_uptime"
})  # fmt: skip
OLD = frozenset({"standby", "enable_stats", "cache_size", "max_queue_size", "hashtree_spec", "chunk_spec"})
"""What 1.x had besides; it is translated, or left out where it changed only how a pipeline ran."""
NOT_HERE = {
    "spout": "it has no jobs, so it never gets ready",
    "service": "it has no end, so it never gets ready",
    "dry_run": "leave it out; `cdl plan` says what would happen",
    "spec_commit": "leave it out; it belongs to a backup",
    "tf_job": "Pachyderm 2 has it no more",
}
GROUPS = ("cross", "union", "join", "group")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,50}")


class MisplacedError(ValueError):
    """A fault of a part of a value that has no schema; `below` is where in the value it lies."""

    def __init__(self, below: str, message: str) -> None:
        """Say where and what."""
        super().__init__(message)
        self.below = below


class PipelineStatus(Frozen):
    """A raw pipeline and its newest job."""

    name: str = Field(description="Name of the pipeline.")
    state: str = Field("", description="What its newest job is doing, in the engine's words.")
    id: str = Field("", description="The engine's name of that job.")
    processed: int = Field(0, description="Datums processed.")
    skipped: int = Field(0, description="Datums that had not changed.")
    failed: int = Field(0, description="Datums that failed.")
    total: int = Field(0, description="All datums.")
    started_at: datetime | None = Field(None, description="When the job began.")
    finished_at: datetime | None = Field(None, description="When it ended.")


def snake(name: str) -> str:
    """Write a field's name in snake case, whichever of its two cases it came in."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def name_of(spec: Mapping[str, JsonValue]) -> str:
    """Give the name of a spec's pipeline; empty when there is none."""
    pipeline = spec.get("pipeline")
    name = pipeline.get("name") if isinstance(pipeline, dict) else None
    return name if isinstance(name, str) else ""


def project_of(spec: Mapping[str, JsonValue]) -> str:
    """Give the project that a spec names; empty when it names none."""
    pipeline = spec.get("pipeline")
    project = pipeline.get("project") if isinstance(pipeline, dict) else None
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) else ""


def read_by(spec: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Name the repositories that a spec's pipeline reads."""
    return tuple(sorted(set(_repos(spec.get("input")))))


def _repos(given: JsonValue) -> Iterator[str]:
    if not isinstance(given, dict):
        return
    for kind in ("pfs", "atom"):
        leaf = given.get(kind)
        repo = leaf.get("repo") if isinstance(leaf, dict) else None
        if isinstance(repo, str):
            yield repo
    for kind in GROUPS:
        arms = given.get(kind)
        for arm in arms if isinstance(arms, list) else ():
            yield from _repos(arm)


def in_order(specs: Iterable[Spec]) -> tuple[Spec, ...]:
    """Put each pipeline after those whose output it reads; otherwise they stay as they are listed.

    Raises:
        ValueError: two have one name, or some read each other in a circle.
    """
    listed = tuple(specs)
    by_name = {name_of(spec): spec for spec in listed}
    if len(by_name) != len(listed):
        raise ValueError("pachyderm: names of pipelines must differ from one another")
    reads = {name: [repo for repo in read_by(spec) if repo in by_name] for name, spec in by_name.items()}
    try:
        return tuple(by_name[name] for name in TopologicalSorter(reads).static_order())
    except CycleError as error:
        circle = tuple(dict.fromkeys(error.args[1]))
        what = "reads itself" if len(circle) == 1 else "read each other in a circle"
        raise ValueError(f"pachyderm: {', '.join(sorted(circle))} {what}") from error


def _checked(spec: Spec) -> Spec:
    for field, value in spec.items():
        _check_field(field)
        if snake(field) in {"pipeline", "transform", "input"} and not isinstance(value, dict):
            raise MisplacedError(f".{field}", "allowed: a mapping")
    name = name_of(spec)
    for field in ("pipeline", "transform", "input"):
        if field not in spec:
            raise MisplacedError(f".{field}", "missing, and required")
    if not _NAME.fullmatch(name):
        what = f"found {name!r}" if name else "missing"
        raise MisplacedError(".pipeline.name", f"{what}; allowed: up to 51 letters, digits, _ and -, no sign first")
    _check_input(spec["input"], ".input")
    return spec


def _check_field(field: str) -> None:
    where = f".{field}" if field.strip() and field.isprintable() else f".{field!a}"
    name = snake(field)
    if name in NOT_HERE:
        raise MisplacedError(where, f"not taken here: {NOT_HERE[name]}")
    if name not in FIELDS | OLD:
        meant = get_close_matches(name, FIELDS, n=1, cutoff=0.8)
        raise MisplacedError(where, f"unknown field{f'; it is called {meant[0]}' if meant else ''}")


def _check_input(given: JsonValue, where: str) -> None:
    kinds = [kind for kind in ("pfs", "atom", "cron", *GROUPS) if isinstance(given, dict) and kind in given]
    if not isinstance(given, dict) or len(kinds) != 1:
        raise MisplacedError(where, f"found {len(kinds)} inputs, allowed: one of pfs, cron, {', '.join(GROUPS)}")
    (kind,) = kinds
    value, below = given[kind], f"{where}.{kind}"
    if kind in GROUPS:
        if not isinstance(value, list) or not value:
            raise MisplacedError(below, "allowed: a list of inputs")
        for number, arm in enumerate(value):
            _check_input(arm, f"{below}[{number}]")
    elif not isinstance(value, dict):
        raise MisplacedError(below, "allowed: a mapping")
    elif kind != "cron" and not (isinstance(value.get("repo"), str) and value["repo"]):
        raise MisplacedError(f"{below}.repo", "missing, and required")


RawPipeline = Annotated[Spec, AfterValidator(_checked)]
"""One pipeline as Pachyderm takes it, in JSON or YAML."""
