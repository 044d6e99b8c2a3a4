"""`cdl reproduce`: build a Release's model again from its members, in a clean place, and compare."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdl import compose
from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.api.v1alpha1.experiment import Archive
from cdl.loop.papers import document
from cdl.reconcile import reproduce
from cdl.reconcile.experiment import RunPhase

from . import platform
from .context import settings_of
from .meant import meant
from .refusal import Refusal, one_sentence
from .screen import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.loop import Engines
    from cdl.reconcile.experiment import RunSeen, TrainWish
    from cdl.reconcile.reproduce import Comparison
    from cdl.settings import Settings

NEEDED = ("pachd", "determined")
BARE = DataPipelineSpec()
POLL_SECONDS = 0.5


@click.command("reproduce", help="Build the model of RELEASE (or MODEL@VERSION) again in a clean place, and compare.")
@click.argument("name", metavar="RELEASE|MODEL@VERSION")
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option("--tolerance", default=0.005, show_default=True, help="Largest difference of a metric that is equal.")
@click.option(
    "--place", type=click.Path(path_type=Path), help="Where to build; kept afterwards. Default: a new folder."
)
@click.option("--timeout", default=3600, show_default=True, help="Seconds for each of the two runs.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(name: str, namespace: str, tolerance: float, place: Path | None, timeout: int, output: str) -> None:
    """Rebuild and compare; the exit status is 1 when the two models differ."""
    settings = settings_of()
    with one_sentence():
        release = meant(compose.store(settings), name, namespace)
        with _clean(place) as home, _engines(settings, home) as there:
            comparison = _rebuilt(compose_original(settings), there, release, tolerance, timeout)
    if output == "json":
        click.echo(json.dumps(asdict(comparison), indent=2))
    else:
        _show(release, comparison)
    if comparison.verdict is reproduce.Verdict.DIFFERENT:
        message = f"release {release.metadata.name} was not reproduced: {comparison.reason}"
        raise Refusal(message)


def compose_original(settings: Settings) -> Engines:
    """Reach where the Release's members are."""
    reached = platform.reached(settings) if settings.kubeconfig is None else settings
    return compose.engines(reached, compose.store(settings), kinds=("DataPipeline",))


@contextlib.contextmanager
def _clean(place: Path | None) -> Iterator[Path]:
    """Give an empty folder; one that nobody named is removed afterwards."""
    if place is None:
        made = Path(tempfile.mkdtemp(prefix="cdl-reproduce-"))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        message = f"--place: found {str(place)!r}, which is not empty, allowed: an empty folder, or none yet"
        raise Refusal(message)
    place.mkdir(parents=True, exist_ok=True)
    yield place.resolve()


@contextlib.contextmanager
def _engines(settings: Settings, home: Path) -> Iterator[Engines]:
    """Start a data and a training engine that know nothing."""
    clean = settings.model_copy(update={"home": home, "kubeconfig": None})
    try:
        reached = platform.bring_up_engines(clean, NEEDED)
        click.echo(f"clean place {home}: started {' and '.join(NEEDED)}", err=True)
        yield compose.engines(reached, compose.local_store(reached), kinds=("DataPipeline", "Experiment"))
    finally:
        platform.take_down(clean)


def _rebuilt(then: Engines, now: Engines, release: Release, tolerance: float, timeout: int) -> Comparison:
    members: dict[str, Any] = dict(release.spec.members)
    config = document(then.artifacts, release, "experiment", "config")
    model = members["code"]["model"]
    code = then.artifacts.fetch(model["uri"], _bare(model["digest"])).read_bytes()
    archive = Archive(uri=now.artifacts.keep(code, ".tar.gz"), sha256=_bare(model["digest"]))
    data = {side: _moved(then, now, release, side) for side in Side}
    owner = Key("Experiment", "default", release.spec.model)
    train = reproduce.training(members, config, archive, *data[Side.TRAIN])
    run = _ended(now, owner, "train", train, timeout)
    if run.best is None:
        message = f"run {run.id}: ended without a checkpoint that has the searcher's metric"
        raise Refusal(message)
    wish = reproduce.measuring(train, members, *data[Side.TEST], run.best.uuid)
    measured = _ended(now, owner, "evaluate", wish, timeout).measurement
    if measured is None:
        raise Refusal("the evaluation of the rebuilt model reported nothing")
    return reproduce.compare(members, run.best, measured, tolerance)


def _moved(then: Engines, now: Engines, release: Release, side: Side) -> tuple[str, str]:
    """Bring one side of the data over, and make sure that it is the same; give its repository and commit there."""
    data: dict[str, Any] = dict(release.spec.members["data"])  # type: ignore[arg-type]  # checked when it was written
    repo, commit = data[side.value]["repo"], data[side.value]["commit"]
    namespace = release.metadata.namespace
    owner = Key(DataPipeline.model_fields["kind"].default, "default", release.spec.model)
    with tempfile.TemporaryDirectory(prefix="cdl-export-") as folder:
        then.data.export(repo, commit, Path(folder), namespace)
        now.data.ingest(owner, side, commit, Path(folder))
    head = next(s for s in now.data.look(owner, BARE).sides if s.side is side)
    found, wanted = now.data.manifest(head.repo, str(head.head)), then.data.manifest(repo, commit, namespace)
    if found != wanted:
        message = f"{side.value} data: commit {commit} of {repo} did not arrive as it is"
        raise Refusal(message)
    click.echo(f"{side.value} data: {len(wanted or ())} files of {repo}@{commit[:12]}", err=True)
    return head.repo, str(head.head)


def _ended(now: Engines, owner: Key, key: str, wish: TrainWish, timeout: int) -> RunSeen:
    """Run a wish to its end, and say meanwhile how far it is.

    Raises:
        Refusal: it failed, or takes too long.
    """
    now.training.start(owner, key, wish)
    deadline, said = time.monotonic() + timeout, ""
    while time.monotonic() < deadline:
        run = next((r for r in now.training.look(owner) if r.key == key), None)
        told = _told(key, run)
        if told != said:
            click.echo(told, err=True)
            said = told
        if run is not None and run.phase.over and (run.phase is not RunPhase.SUCCEEDED or run.best or run.measurement):
            if run.phase is RunPhase.SUCCEEDED:
                return run
            message = f"{key}: run {run.id} {run.phase.value.lower()}: {run.failure or 'see its log'}"
            raise Refusal(message)
        time.sleep(POLL_SECONDS)
    message = f"{key}: not over within {timeout} s"
    raise Refusal(message)


def _told(key: str, run: RunSeen | None) -> str:
    if run is None:
        return f"{key}: starting"
    over = sum(trial.finished_at is not None for trial in run.trials)
    return f"{key}: {run.phase.value.lower()}, {over} of {len(run.trials)} trials over"


def _show(release: Release, comparison: Comparison) -> None:
    click.echo(f"release {release.metadata.name}  {release.spec.digest}")
    table("files", ("file", "equal"), [(name, "yes" if same else "no") for name, same in comparison.files.items()])
    rows = [(name, then, now) for name, (then, now) in comparison.metrics.items()]
    table("metrics", ("metric", "released", "rebuilt"), rows)
    click.echo(f"{comparison.verdict.value}: {comparison.reason}")


def _bare(digest: str) -> str:
    return digest.removeprefix("sha256:")
