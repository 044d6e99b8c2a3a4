"""What `cdl run` says at the end."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdl.api.v1alpha1 import KINDS, DataPipeline, Experiment, ModelDeployment, Release

from .asking import ask, loading
from .exp.showing import evaluated, hyperparameters, state_of
from .refusal import Refusal
from .screen import table
from .timing import Stage, stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdl.api.meta import Key
    from cdl.compose import Shelf

    from .watch import Watch

SAMPLES = 3
WIDTH = 32
"""Characters of an identity that people compare; `cdl lineage` shows all of it."""


def show(store: Shelf, keys: Sequence[Key], watch: Watch, begun: datetime, folder: Path) -> None:
    """Print what the project's resources came to, as far as they came."""
    ended = datetime.now(UTC)
    resources = [store.get(KINDS[k.kind], k.namespace, k.name) for k in keys]
    pipelines = [r for r in resources if isinstance(r, DataPipeline)]
    experiments = [r for r in resources if isinstance(r, Experiment)]
    served = [r for r in resources if isinstance(r, ModelDeployment)]
    click.echo()
    for pipeline in pipelines:
        _data(pipeline)
    for experiment in experiments:
        _trials(experiment)
        _evaluation(experiment)
        _release(store, experiment)
    for deployment in served:
        _answers(deployment, folder)
    if pipelines and experiments:
        loads = [span for span in map(loading, served) if span is not None]
        _times(watch, stages(pipelines[0], experiments[0], begun, ended, loads))
    for deployment in served:
        _next(deployment, folder)


def _data(pipeline: DataPipeline) -> None:
    status = pipeline.status
    _labelling(pipeline)
    if status.dataset is None:
        return
    data = status.dataset
    click.echo(f"dataset {pipeline.metadata.name} {data.version}")
    sides = ((side, s.repo, s.commit, s.files) for side, s in (("train", data.train), ("test", data.test)))
    table("", ("SIDE", "REPOSITORY", "COMMIT", "FILES"), sides)
    reasons = ", ".join(f"{count} {reason}" for reason, count in status.rejected.by_reason.items())
    click.echo(
        f"labels {data.labels.rows} rows, {data.labels.snapshot[:19]}; rejected {status.rejected.total}"
        + (f" ({reasons})" if reasons else "")
    )
    click.echo()


def _labelling(pipeline: DataPipeline) -> None:
    told = pipeline.status.labelling
    if told is None:
        return
    agreed = f", agreement {told.agreement:g}" if told.agreement is not None else ""
    counts = f"{told.labelled} of {told.items} items, {told.needed} needed{agreed}"
    click.echo(f"labelled by {told.annotators} in Label Studio, project {told.project or '-'}: {counts}")
    if told.passed_over:
        click.echo(f"passed over {told.passed_over}, as {'; '.join(told.reasons)}")
    click.echo()


def _trials(experiment: Experiment) -> None:
    status = experiment.status
    best = status.best_trial.id if status.best_trial else None
    columns = ("TRIAL", "STATE", "METRIC", "BATCHES", "SECONDS", "HYPERPARAMETERS", "")
    rows = (
        (
            t.id,
            state_of(t.state, stopped_early=t.stopped_early),
            t.metric,
            t.steps,
            f"{(t.finished_at - t.started_at).total_seconds():.1f}" if t.started_at and t.finished_at else "-",
            hyperparameters(t.hparams),
            "best" if t.id == best else "",
        )
        for t in status.trial_table
    )
    run = status.run.id if status.run else "-"
    table(f"run {run} of experiment {experiment.metadata.name}, on validation data", columns, rows)
    click.echo()


def _evaluation(experiment: Experiment) -> None:
    if experiment.status.evaluation is not None:
        evaluated(experiment.status.evaluation)
        click.echo()


def _release(store: Shelf, experiment: Experiment) -> None:
    release = store.get(Release, experiment.metadata.namespace, experiment.status.release)
    if release is None:
        return
    approval = release.status.approval
    click.echo(
        f"release {release.metadata.name} {release.spec.digest}, "
        f"{approval.state.lower()} by {approval.by or 'nobody yet'}"
    )
    table("", ("MEMBER", "IDENTITY"), ((name, identity(value)) for name, value in release.spec.members.items()))
    click.echo()


def identity(member: object) -> str:
    """The shortest thing that pins a member."""
    if not isinstance(member, dict):
        return str(member)
    for name in ("digest", "version", "snapshot", "commit"):
        if member.get(name):
            return f"{name} {str(member[name])[:WIDTH]}"
    if "trial" in member:
        return f"run {member['run']}, trial {member['trial']}, config {identity(member['config'])}"
    parts = (f"{k} {identity(v)}" for k, v in member.items() if v)
    return "; ".join(parts) or "-"


def _answers(deployment: ModelDeployment, folder: Path) -> None:
    if not deployment.status.url:
        return
    click.echo(f"serving {deployment.status.release} at {deployment.status.url}")
    rows: list[tuple[object, ...]] = []
    for sample in _samples(folder):
        try:
            answer = ask(deployment, sample)
        except Refusal as refusal:
            rows.append((sample.name, refusal.message, None, "-", "-"))
            continue
        rows.append((sample.name, answer.label, answer.probability, f"{answer.milliseconds:.1f} ms", answer.release))
    table("", ("SAMPLE", "ANSWER", "PROBABILITY", "TOOK", "RELEASE"), rows)
    click.echo()


def _samples(folder: Path) -> list[Path]:
    inside = folder / "samples"
    return sorted(p for p in inside.iterdir() if p.is_file())[:SAMPLES] if inside.is_dir() else []


def _times(watch: Watch, parts: Sequence[Stage]) -> None:
    if not watch.worked:
        if not watch.ready:
            return
        click.echo(f"nothing changed, so nothing was run again; looked in {watch.elapsed:.1f} s")
        return
    rows = [(p.name, f"{p.wall:.1f} s", f"{p.user:.1f} s", f"{p.platform:.1f} s") for p in parts]
    whole = (f"{sum(x):.1f} s" for x in ([p.wall for p in parts], [p.user for p in parts], [p.platform for p in parts]))
    table("time", ("STAGE", "WALL", "USER CODE", "PLATFORM"), [*rows, ("all", *whole)])


def _next(deployment: ModelDeployment, folder: Path) -> None:
    name = deployment.metadata.name
    sample = next(iter(_samples(folder)), None)
    cdl = _program()
    rows = [
        (f"{cdl} lineage {name}", "everything behind the answer"),
        (f"{cdl} get", "all resources"),
        (f"{cdl} stop", "end the platform; what was made is kept"),
    ]
    if sample and deployment.status.url:
        rows.insert(0, (f"{cdl} predict {name} {sample}", "ask the model"))
    click.echo()
    table("next", ("TYPE", "TO"), rows)


def _program() -> str:
    """How this command was called: what people have to type again."""
    called = Path(sys.argv[0])
    known = shutil.which("cdl")
    return "cdl" if known and Path(known).resolve() == called.resolve() else str(called)
