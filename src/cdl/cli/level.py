"""`cdl level`: how far a project is automated, and what is missing for the next level."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl import compose
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.reconcile.level import HIGHEST, Facts, Score, score

from . import project
from .context import settings_of
from .platform import running
from .platform.database import POSTGRES
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdl.api.v1alpha1 import Resource
    from cdl.settings import Settings

PIPELINES = (
    *(".gitlab-ci.yml", ".gitlab-ci.yaml", ".gitlab/**/*.yml"),
    *(".github/workflows/*.yml", ".github/workflows/*.yaml"),
)
"""Where a CI service is told what to do, included files among it."""
TESTS = re.compile(r"\bcdl validate\b|\bpytest\b|\bmake (test|check)\b|\btox\b|\bnox\b")
DELIVERS = re.compile(r"\bcdl (apply|run)\b|\bkubectl apply\b|\bhelm upgrade\b")


@click.command("level", help="Score the project in FOLDER, or the model called NAME, by the levels of automation.")
@click.argument("what", metavar="FOLDER|NAME", default=".")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(what: str, namespace: str, output: str) -> None:
    """Score."""
    with one_sentence():
        settings = settings_of()
        folder = Path(what)
        facts = _of_folder(folder, settings) if folder.is_dir() else _of_model(what, namespace, settings)
    found = score(facts)
    if output == "json":
        click.echo(json.dumps(_plain(found), indent=2))
        return
    _show(found)


def _of_folder(folder: Path, settings: Settings) -> Facts:
    told = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in _ci(folder))
    git = any((parent / ".git").exists() for parent in (folder.resolve(), *folder.resolve().parents))
    return _facts(
        (document.resource for document in project.read(folder)),
        committed=git,
        built=bool(TESTS.search(told)),
        delivered=bool(DELIVERS.search(told)),
        ledger=_kept(settings),
    )


def _of_model(name: str, namespace: str, settings: Settings) -> Facts:
    """Collect what a store has of a model; what runs at a commit cannot be seen there.

    Raises:
        Refusal: nothing there is about such a model.
    """
    store = compose.store(settings)
    deployments = [d for d in store.list(ModelDeployment, namespace) if name in {d.metadata.name, d.spec.model.name}]
    models = {deployment.spec.model.name for deployment in deployments} | {name}
    experiments = [e for e in store.list(Experiment, namespace) if e.spec.model.name in models]
    needed = {experiment.spec.data.pipeline for experiment in experiments}
    found = [p for p in store.list(DataPipeline, namespace) if p.metadata.name in needed]
    resources: list[Resource] = [*found, *experiments, *deployments]
    if not resources:
        message = f"{name}: found neither a folder nor a model of that name in namespace {namespace}"
        raise Refusal(message)
    return _facts(
        resources,
        committed=all(resource.metadata.revision for resource in resources),
        built=None,
        delivered=None,
        ledger=_kept(settings),
    )


def _facts(resources: Iterable[Resource], **seen: bool | None) -> Facts:
    specs: dict[str, list[dict[str, object]]] = {}
    for resource in resources:
        spec = resource.plain().get("spec")
        specs.setdefault(resource.kind, []).append(spec if isinstance(spec, dict) else {})
    kinds = (DataPipeline, Experiment, ModelDeployment)
    pipelines, experiments, deployments = (tuple(specs.get(kind.__name__, ())) for kind in kinds)
    return Facts(pipelines, experiments, deployments, **seen)


def _kept(settings: Settings) -> bool:
    return bool(settings.database) or POSTGRES in running(settings)


def _ci(folder: Path) -> list[Path]:
    """Find what CI is told, in the folder and above it up to the root of its repository."""
    found: list[Path] = []
    for place in (folder.resolve(), *folder.resolve().parents):
        found += [path for pattern in PIPELINES for path in sorted(place.glob(pattern)) if path.is_file()]
        if (place / ".git").exists():
            break
    return found


def _show(found: Score) -> None:
    click.echo(f"level {found.level} of {HIGHEST}" if found.level is not None else "below level 0: no model is served")
    states = {id(point): "yes" for point in found.held} | {id(point): "unknown" for point in found.unknown}
    points = sorted((*found.held, *found.missing, *found.unknown), key=lambda point: point.level)
    rows = (
        (
            point.level,
            point.name,
            state := states.get(id(point), "no"),
            point.asks,
            "" if state == "yes" else point.missing,
        )
        for point in points
    )
    table("", ("LEVEL", "POINT", "HELD", "THE LECTURE ASKS FOR", "WHAT IS MISSING"), rows)
    if found.unknown:
        click.echo("what is unknown can be seen in the project's FOLDER alone")


def _plain(found: Score) -> dict[str, object]:
    return {
        "level": found.level,
        "held": [point.name for point in found.held],
        "missing": [{"level": point.level, "point": point.name, "do": point.missing} for point in found.missing],
        "unknown": [{"level": point.level, "point": point.name} for point in found.unknown],
    }
