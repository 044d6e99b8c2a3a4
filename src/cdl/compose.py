"""The wiring: settings in, a working loop out; the one module that knows every adapter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cdl.local import LocalStore
from cdl.loop import Engines, Feed, PolledFeed, Reconciler, Runner, datapipeline, experiment, modeldeployment
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.stores.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key
    from cdl.settings import Settings

LAPTOP_BEAT = timedelta(seconds=0.5)
"""A person is watching."""


def store(settings: Settings) -> LocalStore:
    """Open the resources of `cdl run`."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return LocalStore(settings.home.resolve() / "resources.db")


def engines(settings: Settings) -> Engines:
    """Reach every engine at the address the settings name; only now are their SDKs loaded."""
    from cdl.engines.determined import DeterminedEngine
    from cdl.engines.pachyderm import PachydermEngine
    from cdl.engines.seldon import SeldonEngine

    home = settings.home.resolve()
    artifacts = DirectoryArtifacts(home / "artifacts")
    cache = home / "sources"
    return Engines(
        resources=store(settings),
        sources=Sources(cache, settings.data_roots),
        data=PachydermEngine(
            settings.pachd, programs=settings.programs, steps_image=settings.steps_image, file_root=cache
        ),
        training=DeterminedEngine(
            settings.determined,
            user=settings.determined_user,
            password=settings.determined_password,
            pachd=settings.pachd,
            fetch=artifacts.fetch,
            environment={"CDL_CACHE": str(home / "cache")},
        ),
        serving=SeldonEngine(settings.seldon, image=settings.serving_image),
        artifacts=artifacts,
    )


def runner(settings: Settings) -> tuple[Runner, Feed]:
    """Put the loop together for the local store."""
    world = engines(settings)
    return _runner(world, beat=LAPTOP_BEAT), PolledFeed(store(settings))


def _runner(world: Engines, **how: Any) -> Runner:  # noqa: ANN401 - passed on to the runner
    controllers: tuple[Any, ...] = (
        datapipeline.controller(world),
        experiment.controller(world),
        modeldeployment.controller(world),
    )
    reconcilers = {c.kind.__name__: Reconciler(c, world.resources, lambda: datetime.now(UTC)) for c in controllers}
    return Runner(reconcilers, **how)


def logs(settings: Settings, key: Key) -> Iterator[str]:
    """Read what the programs of a resource printed; a Release runs none."""
    from cdl.engines.determined.logs import DeterminedLogs
    from cdl.engines.pachyderm.logs import PachydermLogs
    from cdl.engines.seldon.logs import SeldonLogs

    match key.kind:
        case "DataPipeline":
            return PachydermLogs(settings.pachd).lines(key)
        case "Experiment":
            user, password = settings.determined_user, settings.determined_password
            return DeterminedLogs(settings.determined, user=user, password=password).lines(key)
        case "ModelDeployment":
            return SeldonLogs(settings.seldon).lines(key)
        case _:
            return iter(())
