"""Look at the world as the loop does, and say what it would do to resources as somebody wants them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from cdl.api.conditions import ConditionType, Reason
from cdl.api.rules import changed
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release, Resource
from cdl.ports.errors import NotPermitted, PortError, Rejected, Unavailable, Unreadable
from cdl.reconcile import plan as pure
from cdl.reconcile.plan import Change, remembered

from . import datapipeline, experiment, modeldeployment
from .forges import Forges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pydantic import JsonValue

    from cdl.reconcile.datapipeline import Seen as DataSeen
    from cdl.reconcile.plan import DataAhead, Plan, ReleaseAhead, ResourcePlan, Stage

    from .controller import Engines

R = TypeVar("R", DataPipeline, Experiment, ModelDeployment)
T = TypeVar("T")
ENGINE = {
    "DataPipeline": "the data engine",
    "Experiment": "the training engine",
    "ModelDeployment": "the serving engine",
}
UNASKED = Forges(asked=False)
"""Who agrees to a merge request is no matter of the plan: it waits for a person, whoever that is."""
BEING_DELETED = "it is being deleted; it can be applied once it is gone, and then starts anew"


class _StandIn:
    """Stands where an engine would, and tells what statuses say of it; what Releases name is taken to be there."""

    def __init__(self, look: Callable[..., object]) -> None:
        self.look = look
        self.checkpoint = lambda uuid: uuid

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands for any engine
        def refuse(*_: object, **__: object) -> NoReturn:
            message = f"a plan asks and does nothing, so it does not {name}"
            raise NotPermitted(message)

        return refuse


@dataclass(frozen=True, slots=True)
class _Pair(Generic[R]):
    """A resource as somebody wants it, and as it is stored."""

    wanted: R
    before: R | None
    change: Change
    notes: tuple[str, ...] = ()

    def planned(self, stages: tuple[Stage, ...], *, asked: bool, note: str) -> ResourcePlan:
        """Put its plan together."""
        before = self.before
        at_rest = asked or before is None or remembered.settled(before.status, before.metadata.generation)
        stalled = before.status.condition(ConditionType.STALLED) if before is not None else None
        stands: str = f"it stands still now: {stalled.message}" if stalled is not None else ""
        notes = (*self.notes, *filter(None, [note, stands]))
        return pure.resource_plan(self.wanted, stages, self.change, asked=asked, at_rest=at_rest, notes=notes)


@dataclass(slots=True)
class Planner:
    """Plans resources kind by kind, each standing on what becomes of those before it."""

    engines: Engines
    """The resources are asked always, the others while they answer."""
    at: datetime
    programs: Mapping[str, str] = field(default_factory=dict)
    """Digest of the built-in programs here: what stands for those of a data engine that is not asked."""
    silent: dict[str, str] = field(default_factory=dict)
    """Kinds whose engine is not asked, with the reason; one that did not answer once is not asked again."""
    _data: dict[tuple[str, str], DataAhead] = field(default_factory=dict)
    _releases: dict[str, list[ReleaseAhead]] = field(default_factory=dict)

    def plan(self, wanted: Sequence[Resource]) -> Plan:
        """Say what applying these leads to, also for those that are stored and stand downstream of them.

        Raises:
            PortError: the resources themselves cannot be read, or something is to change that never may.
        """
        pipelines = [self._paired(r) for r in wanted if isinstance(r, DataPipeline)]
        experiments = [self._paired(r) for r in wanted if isinstance(r, Experiment)]
        deployments = [self._paired(r) for r in wanted if isinstance(r, ModelDeployment)]
        made = [self._data_plan(p) for p in pipelines]
        experiments += self._readers({(r.namespace, r.name) for r in made}, experiments)
        for pair in self._upstream(experiments):
            self._data_plan(pair)
        made += [self._experiment_plan(p) for p in experiments]
        models = {(p.wanted.metadata.namespace, p.wanted.spec.model.name) for p in experiments}
        deployments += self._servers(models, deployments)
        made += [self._deployment_plan(p) for p in deployments]
        return pure.whole_plan([r for r in made if r.change is not Change.AFFECTED or r.busy])

    def _paired(self, wanted: R) -> _Pair[R]:
        kind, meta = type(wanted), wanted.metadata
        try:
            before = self.engines.resources.get(kind, meta.namespace, meta.name)
        except Unreadable as error:
            return _Pair(wanted, None, Change.CONFIGURED, (f"what is stored cannot be read: {error}",))
        if before is None:
            return _Pair(wanted, None, Change.CREATED)
        if before.metadata.deleting:
            return _Pair(wanted, None, Change.CREATED, (BEING_DELETED,))
        refused = changed(kind.__name__, wanted.plain(), before.plain())
        if refused:
            message = f"{wanted.key}: {'; '.join(refused)}"
            raise Rejected(message, Reason.INVALID_SPEC)
        same = before.spec == wanted.spec
        generation = before.metadata.generation + (not same)
        kept = before.metadata.model_copy(
            update={"generation": generation, "annotations": {**before.metadata.annotations, **meta.annotations}}
        )
        merged = wanted.model_copy(update={"metadata": kept, "status": before.status})
        return _Pair(merged, before, Change.UNCHANGED if same else Change.CONFIGURED)

    def _stored(self, kind: type[R], namespaces: set[str], known: Sequence[_Pair[R]]) -> Iterator[_Pair[R]]:
        """Resources that are stored and not among those wanted."""
        names = {(p.wanted.metadata.namespace, p.wanted.metadata.name) for p in known}
        for namespace in sorted(namespaces):
            for found in self.engines.resources.list(kind, namespace):
                if (namespace, found.metadata.name) not in names and not found.metadata.deleting:
                    yield _Pair(found, found, Change.AFFECTED)

    def _readers(self, pipelines: set[tuple[str, str]], known: Sequence[_Pair[Experiment]]) -> list[_Pair[Experiment]]:
        found = self._stored(Experiment, {namespace for namespace, _ in pipelines}, known)
        return [p for p in found if (p.wanted.metadata.namespace, p.wanted.spec.data.pipeline) in pipelines]

    def _servers(
        self, models: set[tuple[str, str]], known: Sequence[_Pair[ModelDeployment]]
    ) -> list[_Pair[ModelDeployment]]:
        found = self._stored(ModelDeployment, {namespace for namespace, _ in models}, known)
        return [p for p in found if (p.wanted.metadata.namespace, p.wanted.spec.model.name) in models]

    def _upstream(self, experiments: Sequence[_Pair[Experiment]]) -> Iterator[_Pair[DataPipeline]]:
        """DataPipelines that are read and not among those wanted: what is stored of them counts."""
        for pair in experiments:
            namespace, name = pair.wanted.metadata.namespace, pair.wanted.spec.data.pipeline or ""
            if (namespace, name) in self._data:
                continue
            stored = self.engines.resources.get(DataPipeline, namespace, name)
            if stored is not None:
                yield _Pair(stored, stored, Change.AFFECTED)
            else:
                self._data[namespace, name] = pure.DataAhead(because="there is no such DataPipeline")

    def _asked(self, kind: str, ask: Callable[[Engines], T], **stand_ins: Any) -> tuple[T, bool, str]:  # noqa: ANN401 - any engine
        """Look through the engines while they answer, else through what stands in for them."""
        if kind not in self.silent:
            try:
                return ask(self.engines), True, ""
            except (Unavailable, NotPermitted) as error:
                self.silent[kind] = str(error)
        note = f"{ENGINE[kind]} was not asked ({self.silent[kind]}): this is what statuses say"
        return ask(replace(self.engines, **stand_ins)), False, note

    def _data_plan(self, pair: _Pair[DataPipeline]) -> ResourcePlan:
        wanted, before = pair.wanted, pair.before
        seen, asked, note = self._data_seen(wanted, before)
        like = self._like(wanted)
        stages, ahead = pure.plan_data(pure.DataFacts(wanted, before, seen, remembered=not asked, like=like))
        self._data[wanted.metadata.namespace, wanted.metadata.name] = ahead
        return pair.planned(stages, asked=asked, note=note if before is not None else "")

    def _data_seen(self, wanted: DataPipeline, before: DataPipeline | None) -> tuple[DataSeen, bool, str]:
        return self._asked(
            "DataPipeline",
            lambda engines: datapipeline.controller(engines).look(wanted, self.at),
            data=_StandIn(lambda _, spec: remembered.data_seen(before, spec, self.programs)),
            sources=_StandIn(remembered.sources_seen),
            labelled=None,
        )

    def _like(self, wanted: DataPipeline) -> pure.LikeSeen | None:
        """Look at the DataPipeline whose work may be taken over; one that cannot be read is none."""
        place = wanted.metadata.like
        if not place or place == wanted.metadata.namespace:
            return None
        try:
            other = self.engines.resources.get(DataPipeline, place, wanted.metadata.name)
        except PortError:
            return None
        return pure.LikeSeen(other, self._data_seen(other, other)[0]) if other is not None else None

    def _experiment_plan(self, pair: _Pair[Experiment]) -> ResourcePlan:
        wanted, before, place = pair.wanted, pair.before, pair.wanted.metadata.namespace
        ahead = self._data[place, wanted.spec.data.pipeline or ""]
        datasets = [d for d in (ahead.dataset, wanted.status.data) if d is not None]
        releases = [r for r in self.engines.resources.list(Release, place) if r.spec.model == wanted.spec.model.name]
        seen, asked, note = self._asked(
            "Experiment",
            lambda engines: experiment.controller(replace(engines, forge=UNASKED)).look(wanted, self.at),
            training=_StandIn(lambda _: remembered.runs_seen(wanted, before, datasets, releases)),
        )
        seen = replace(seen, shelf=_shelf(releases) or seen.shelf)
        for dataset in () if asked else datasets:
            seen = remembered.contents_seen(wanted, dataset, seen, releases)
        stages, release = pure.plan_experiment(pure.ExperimentFacts(wanted, before, seen, ahead))
        self._releases.setdefault(place, []).append(release)
        return pair.planned(stages, asked=asked, note=note if before is not None else "")

    def _deployment_plan(self, pair: _Pair[ModelDeployment]) -> ResourcePlan:
        wanted, before = pair.wanted, pair.before
        look = modeldeployment.controller(replace(self.engines, serving=_StandIn(lambda _: None)))  # type: ignore[arg-type]  # it looks
        releases = look.look(wanted, self.at).releases
        seen, asked, note = self._asked(
            "ModelDeployment",
            lambda engines: modeldeployment.controller(engines).look(wanted, self.at),
            serving=_StandIn(lambda _: remembered.serving_seen(before, releases)),
        )
        facts = pure.DeploymentFacts(wanted, before, seen, tuple(self._releases.get(wanted.metadata.namespace, ())))
        return pair.planned(pure.plan_deployment(facts), asked=asked, note=note if before is not None else "")


def _shelf(releases: Sequence[Release]) -> str:
    """Where the platform keeps documents, as its newest Release says; whoever plans may keep them elsewhere."""
    for release in sorted(releases, key=lambda r: -r.spec.version):
        config = _part(_part(release.spec.members, "experiment"), "config")
        uri, found = config.get("uri"), str(config.get("digest")).removeprefix("sha256:")
        if isinstance(uri, str) and found in uri:
            return uri.partition(found)[0]
    return ""


def _part(tree: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    part = tree.get(name)
    return part if isinstance(part, dict) else {}
