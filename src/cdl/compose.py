"""The wiring: settings in, a working loop out; the one module that knows every adapter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from cdl.api.duration import length
from cdl.local import LocalStore
from cdl.loop import Engines, Feed, PolledFeed, Reconciler, Runner, datapipeline, experiment, modeldeployment
from cdl.loop.diff import gather
from cdl.loop.forges import Forges
from cdl.loop.observer import SILENT, timed
from cdl.loop.plan import Planner
from cdl.loop.planned import announced, nobody
from cdl.loop.release import Releases
from cdl.loop.rounds import Rounds
from cdl.loop.runner import BEAT, Turner
from cdl.loop.verify import Witnesses
from cdl.ports.errors import NotPermitted, Rejected
from cdl.reconcile.release import Silence
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.stores.sources import Buckets, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import Resource
    from cdl.gitops.report import Reporter
    from cdl.kube.cluster import ClusterStore
    from cdl.kube.operator import Operator
    from cdl.loop.observer import Observer
    from cdl.ports.data import DataEngine, DataHistory
    from cdl.ports.forge import Forge
    from cdl.ports.labelled import LabelledData
    from cdl.ports.labelling import LabellingEngine
    from cdl.ports.labels import LabelStore
    from cdl.ports.ledger import Ledger
    from cdl.ports.raw import RawPipelines
    from cdl.ports.resources import ResourceStore
    from cdl.ports.serving import ServingEngine
    from cdl.ports.signing import Signer
    from cdl.ports.training import TrainingEngine, TrainingHistory
    from cdl.settings import Settings
    from cdl.stores.postgres import PostgresLedger

    Shelf = LocalStore | ClusterStore
    """A store with what people do: apply, delete, annotate."""

RECONCILED = ("DataPipeline", "Experiment", "ModelDeployment")
LAPTOP_BEAT = timedelta(seconds=0.5)
"""A person is watching."""
GITOPS = "cdl-gitops"
"""Who applies what came from git."""
OUTBOX = "outbox"
"""The folder of what the ledger could not be told yet, below the home."""
LEASE_PATIENCE = 3
"""Seconds to wait for an answer about a Lease: a few tries must fit into a term."""


def store(settings: Settings) -> Shelf:
    """Open the resources people speak of: those of a cluster where the settings name one, else those of `cdl run`."""
    if settings.kubeconfig is None:
        return local_store(settings)
    from cdl.kube.cluster import ClusterStore

    return ClusterStore(settings.kubeconfig)


def local_store(settings: Settings, user: str = "") -> LocalStore:
    """Open the resources of `cdl run`, for who asks or for a user."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return LocalStore(settings.home.resolve() / "resources.db", user or settings.user)


def gitops_store(settings: Settings) -> Shelf:
    """Open the same resources for `cdl gitops`, whose writes carry its own name and no person's."""
    if settings.kubeconfig is None and not settings.in_cluster:
        return local_store(settings, GITOPS)
    from cdl.kube.cluster import ClusterStore

    return ClusterStore(settings.kubeconfig, GITOPS)


def room(settings: Settings) -> Callable[[str], None]:
    """Give what makes the namespace of a merge request; on this machine a namespace is a name and no more."""
    if settings.kubeconfig is None and not settings.in_cluster:
        return lambda _: None
    from cdl.kube.namespaces import Namespaces

    return Namespaces(settings.kubeconfig).have


def engines(settings: Settings, resources: ResourceStore, kinds: Sequence[str] = RECONCILED) -> Engines:
    """Reach the engines of these kinds at the addresses the settings name; only now are their SDKs loaded.

    Raises:
        Rejected: one has no address.
    """
    return _reach(settings, resources, kinds, signer(settings))


def _reach(settings: Settings, resources: ResourceStore, kinds: Sequence[str], signs: Signer | NotDriven) -> Engines:
    home = settings.home.resolve()
    shelf = artifacts(settings)
    reads_data = "DataPipeline" in kinds or ("Experiment" in kinds and settings.pachd)  # a Release lists its files
    return Engines(
        resources=resources,
        sources=Sources(home / "sources", settings.data_roots, buckets=_buckets(settings)),
        data=_pachyderm(settings) if reads_data else NotDriven("DataPipeline"),
        training=_determined(settings, shelf) if "Experiment" in kinds else NotDriven("Experiment"),
        serving=_seldon(settings, signs) if "ModelDeployment" in kinds else NotDriven("ModelDeployment"),
        artifacts=shelf,
        signer=signs,
        ledger=ledger(settings),
        labels=labels(settings),
        people=_people(settings),
        labelled=_labelled(settings) if "DataPipeline" in kinds else None,
        raw=_raw(settings) if "DataPipeline" in kinds else None,
        forge=Forges(partial(forge, settings), settings.roles, settings.appliers),
    )


def forge(settings: Settings, project: str) -> Forge | None:
    """Reach a project of the forge; None: no forge is configured.

    Raises:
        Rejected: the token is not lent to this project, or there is none.
    """
    if not settings.forge:
        return None
    if project not in settings.lent_to:
        known = ", ".join(settings.lent_to) or "no project"
        raise Rejected(f"project {project} may not be asked: CDL_FORGE_PROJECTS allows {known}")
    if not settings.forge_token:
        raise Rejected("CDL_FORGE_TOKEN: found nothing, expected a token of the scope api")
    from cdl.engines.gitlab import GitLabForge

    return GitLabForge(settings.forge, settings.forge_token, project)


def reporter(settings: Settings, project: str, place: Path, say: Callable[[str], None]) -> Reporter | None:
    """Put together what tells a project of the forge how things stand; None: no forge is configured.

    Raises:
        Rejected: the token is not lent to this project, or there is none.
    """
    from cdl.gitops.recalled import Memory
    from cdl.gitops.report import Reporter
    from cdl.gitops.viewing import Viewer

    reached = forge(settings, project)
    if reached is None:
        return None
    resources = gitops_store(settings)
    seen = witnesses(settings, resources)
    facts = partial(gather, seen.artifacts, seen.data)
    viewer = Viewer(resources, facts, lambda wanted: planner(settings, resources).plan(wanted), settings.secrets)
    return Reporter(reached, viewer, Memory(place / "told"), say=say)


def planner(settings: Settings, resources: ResourceStore, why_not: str = "") -> Planner:
    """Put together what tells beforehand what the loop would do; engines without an address are not asked."""
    from cdl.engines.pachyderm.programs import programs_below

    asked = {"DataPipeline": settings.pachd, "Experiment": settings.determined, "ModelDeployment": settings.seldon}
    variable = {"DataPipeline": "CDL_PACHD", "Experiment": "CDL_DETERMINED", "ModelDeployment": "CDL_SELDON"}
    if settings.kubeconfig is not None:  # what a cluster serves, it says itself
        asked["ModelDeployment"] = asked["ModelDeployment"] or str(settings.kubeconfig)
    silent = {kind: why_not or f"{variable[kind]} names no address" for kind, address in asked.items() if not address}
    kinds = [kind for kind in RECONCILED if kind not in silent]
    world = _reach(settings, resources, kinds, NotDriven("Release"))
    return Planner(world, datetime.now(UTC), programs_below(settings.programs), silent)


def witnesses(settings: Settings, resources: ResourceStore, why_not: str = "", *, offline: bool = False) -> Witnesses:
    """Put together whom `cdl verify` asks about a Release; git repositories are known to whoever calls."""
    artifacts = DirectoryArtifacts(settings.home.resolve() / "artifacts")
    data: DataHistory | Silence = Silence(why_not or "CDL_PACHD names no address", asked=not offline)
    if settings.pachd and not offline:
        data = _pachyderm(settings)
    training = trained(settings, why_not, offline=offline)
    nowhere = Silence("no git repository was named", asked=False)
    return Witnesses(artifacts, resources, data, training, nowhere, keys(settings))


def trained(settings: Settings, why_not: str = "", *, offline: bool = False) -> TrainingHistory | Silence:
    """Reach who knows what was once trained; a Silence says why nobody is asked."""
    if not settings.determined or offline:
        return Silence(why_not or "CDL_DETERMINED names no address", asked=not offline)
    return _determined(settings, artifacts(settings))


def keys(settings: Settings) -> Signer | Silence:
    """Open the key that signs, where there is one: who only reads makes none, and a home's key is not a cluster's."""
    elsewhere = settings.kubeconfig is not None and settings.kubeconfig.resolve().parent != settings.home.resolve()
    if settings.signing_key is None and (elsewhere or not _own_key(settings).exists()):
        return Silence("no key is at hand to check its signature with; CDL_SIGNING_KEY names one", asked=False)
    return signer(settings)


def _own_key(settings: Settings) -> Path:
    return settings.home.resolve() / "keys" / "release.pem"


def ledger(settings: Settings) -> Ledger | None:
    """Open the ledger of the database the settings name, which is asked only when there is something to tell."""
    if not settings.database:
        return None
    from cdl.stores.outbox import Outbox
    from cdl.stores.postgres import PostgresLedger

    return Outbox(settings.home.resolve() / OUTBOX, PostgresLedger(settings.database))


def labels(settings: Settings) -> LabelStore | None:
    """Open the label store of the database the settings name; None: no database keeps labels."""
    if not settings.database:
        return None
    from cdl.stores.postgres import PostgresLabels

    return PostgresLabels(settings.database)


def history(address: str) -> PostgresLedger:
    """Open the ledger of a database, as who looks at it."""
    from cdl.stores.postgres import PostgresLedger

    return PostgresLedger(address)


def artifacts(settings: Settings) -> DirectoryArtifacts:
    """Open what is kept below the home."""
    return DirectoryArtifacts(settings.home.resolve() / "artifacts")


def signer(settings: Settings) -> Signer:
    """Open the key that signs Releases: the one the settings name, else the home's own, made when it is first needed.

    Raises:
        Rejected: it cannot be read or made.
    """
    from cdl.stores.signing import from_file, made_once

    if settings.signing_key is not None:
        return from_file(settings.signing_key, "CDL_SIGNING_KEY")
    return made_once(_own_key(settings))


def _buckets(settings: Settings) -> Buckets:
    return Buckets(settings.s3, settings.s3_access_key, settings.s3_secret_key, settings.s3_region)


def _pachyderm(settings: Settings) -> DataEngine:
    from cdl.engines.pachyderm import PachydermEngine

    if not settings.pachd:
        raise Rejected("CDL_PACHD: found nothing, expected Pachyderm's address; it is needed for DataPipelines")
    cache = settings.home.resolve() / "sources"
    return PachydermEngine(
        settings.pachd,
        programs=settings.programs,
        steps_image=settings.steps_image,
        file_root=cache,
        token=settings.pachd_token or None,
    )


def _labelled(settings: Settings) -> LabelledData:
    from cdl.engines.pachyderm.labelling import PachydermLabelled

    return PachydermLabelled(settings.pachd, settings.pachd_token or None)


def _people(settings: Settings) -> LabellingEngine | None:
    """Reach those who label; None: nobody is told where they are."""
    if not settings.label_studio:
        return None
    from cdl.engines.labelstudio import LabelStudio

    return LabelStudio(settings.label_studio, settings.label_studio_token)


def _raw(settings: Settings) -> RawPipelines:
    from cdl.engines.pachyderm.raw import PachydermRaw

    return PachydermRaw(settings.pachd, settings.pachd_token or None)


def _determined(settings: Settings, artifacts: DirectoryArtifacts) -> TrainingEngine:
    from cdl.engines.determined import DeterminedEngine, Identities

    if not settings.determined:
        raise Rejected("CDL_DETERMINED: found nothing, expected the address of a master; it is needed for Experiments")
    return DeterminedEngine(
        settings.determined,
        user=settings.determined_user,
        password=settings.determined_password,
        pachd=settings.pachd,
        fetch=artifacts.fetch,
        environment={"CDL_CACHE": str(settings.home.resolve() / "cache")},
        identities=Identities(
            settings.pachd_trial_token,
            settings.pachd_evaluator_token,
            str(settings.pachd_evaluator_token_file or ""),
        ),
    )


def _seldon(settings: Settings, signs: Signer | NotDriven) -> ServingEngine:
    from cdl.engines.seldon import SeldonEngine

    how: dict[str, Any] = {"image": settings.serving_image, "namespaces": settings.watched, "ingress": settings.ingress}
    if not isinstance(signs, NotDriven):
        how["trusted"] = signs.trusted
    if settings.seldon:
        return SeldonEngine(settings.seldon, **how)
    from cdl.kube.client import Api

    return SeldonEngine(Api.connect(settings.kubeconfig).library, **how)


class NotDriven:
    """Stands where an engine would, so that a wiring is whole; whoever drives no such kind asks it nothing."""

    def __init__(self, kind: str) -> None:
        """Name the kind that is left alone."""
        self._kind = kind

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - stands for any engine
        def refuse(*_: object, **__: object) -> NoReturn:
            raise NotPermitted(f"this operator does not look after {self._kind}s")

        return refuse


def runner(settings: Settings) -> tuple[Runner, Feed]:
    """Put the loop together for the local store."""
    resources = local_store(settings)
    return loop(engines(settings, resources), settings, beat=LAPTOP_BEAT), PolledFeed(resources)


def operator(settings: Settings, kinds: Sequence[str] = RECONCILED, me: str | None = None) -> Operator:
    """Put the loop together for an API server; `me` names it in the Lease."""
    from cdl.kube.cache import Cache
    from cdl.kube.client import Api
    from cdl.kube.feed import KubeFeed
    from cdl.kube.leadership import Leadership
    from cdl.kube.metrics import Metrics
    from cdl.kube.operator import Operator, missed
    from cdl.kube.recorder import Recorder
    from cdl.kube.store import KubeStore

    api, cache, metrics = Api.connect(settings.kubeconfig), Cache(), Metrics()
    api.requested = metrics.requested
    leadership = Leadership(Api.connect(settings.kubeconfig, LEASE_PATIENCE), settings.lease_namespace, kinds, me)
    recorder = Recorder(api, "cdl-operator", dropped=metrics.event_dropped, hidden=settings.secrets)
    resources = KubeStore(api, cache, may_write=leadership.held, told=recorder.told)
    metrics.leader(leadership.held)
    metrics.resources(cache.readiness)
    world = heard(engines(settings, resources, kinds), metrics)
    return Operator(
        api,
        loop(world, settings, kinds, may_act=leadership.held, observer=metrics, planned=recorder.planned),
        KubeFeed(api, cache, settings.watched, missed),
        leadership,
        metrics,
        namespaces=settings.watched,
        probes_at=(settings.metrics_address, settings.metrics_port) if settings.metrics_port else None,
        closing=recorder.close,
    )


def _witnesses_of(world: Engines, settings: Settings, kinds: Sequence[str]) -> Witnesses:
    """Let an operator ask the engines it drives, and the data engine where another one drives it."""
    nobody = Silence("an operator knows no git repository; `cdl verify --git` does", asked=False)
    data: DataHistory | Silence = Silence("CDL_PACHD names no address", asked=False)
    if "DataPipeline" in kinds:
        data = world.data
    elif settings.pachd:
        data = _pachyderm(settings)
    return Witnesses(world.artifacts, world.resources, data, world.training, nobody, world.signer)


def preload() -> None:
    """Load what `operator` needs, so that processes forked after it start in no time."""
    import cdl.engines.determined
    import cdl.engines.pachyderm
    import cdl.engines.seldon
    import cdl.kube.feed
    import cdl.kube.operator
    import cdl.kube.recorder  # noqa: F401 - loading is the purpose


def heard(world: Engines, observer: Observer) -> Engines:
    """Let an observer hear of every call of an engine."""
    names = ("sources", "data", "training", "serving", "artifacts")
    return replace(world, **{name: timed(getattr(world, name), name, observer) for name in names})


def loop(
    world: Engines,
    settings: Settings,
    kinds: Sequence[str] = RECONCILED,
    *,
    beat: timedelta = BEAT,
    may_act: Callable[[], bool] = lambda: True,
    observer: Observer = SILENT,
    planned: Callable[[Resource, str], None] = nobody,
) -> Runner:
    """Put controllers, workers and beats together: the same for every store; `planned` hears what a change leads to."""
    controllers: dict[str, Any] = {
        "DataPipeline": announced(datapipeline.controller(world), planned),
        "Experiment": announced(experiment.controller(world), planned),
        "ModelDeployment": announced(modeldeployment.controller(world), planned),
    }
    pulses: dict[str, Any] = {
        "DataPipeline": world.data,
        "Experiment": world.training,
        "ModelDeployment": world.serving,
    }
    now = partial(datetime.now, UTC)
    reconcilers: dict[str, Turner] = {
        kind: Reconciler(
            controllers[kind], world.resources, now, may_act=may_act, observer=observer, ledger=world.ledger
        )
        for kind in kinds
    }
    if "Experiment" in kinds:  # who writes Releases looks after them
        rounds = Rounds(_witnesses_of(world, settings, kinds), length(settings.verify_interval))
        reconcilers["Release"] = Releases(world, now, observer=observer, rounds=rounds)
    return Runner(
        reconcilers,
        {kind: pulses[kind] for kind in kinds},
        workers=settings.workers,
        beat=beat,
        observer=observer,
    )


def logs(settings: Settings, key: Key) -> Iterator[str]:
    """Read what the programs of a resource printed; a Release runs none."""
    from cdl.engines.pachyderm.logs import PachydermLogs
    from cdl.engines.seldon.logs import SeldonLogs

    match key.kind:
        case "DataPipeline":
            return PachydermLogs(settings.pachd, settings.pachd_token or None).lines(key)
        case "Experiment":
            return trial_logs(settings, key)
        case "ModelDeployment":
            return SeldonLogs(settings.seldon).lines(key)
        case _:
            return iter(())


def trial_logs(settings: Settings, key: Key, trial: int | None = None, *, follow: bool = False) -> Iterator[str]:
    """Read what the trials of an Experiment printed, or one of them; who follows hears what comes until all is over."""
    from cdl.engines.determined.logs import DeterminedLogs

    user, password = settings.determined_user, settings.determined_password
    reader = DeterminedLogs(settings.determined, user=user, password=password)
    return reader.follow(key, trial) if follow else reader.lines(key, trial)
