"""The wiring: settings in, a working loop out; the one module that knows every adapter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cdl.api.canonical import short
from cdl.api.meta import Key
from cdl.local import LocalStore
from cdl.loop import Engines, Reconciler, Runner, Stamp, datapipeline, experiment, modeldeployment
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.stores.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdl.settings import Settings


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


def runner(settings: Settings) -> Runner:
    """Put the loop together for the local store."""
    world = engines(settings)
    controllers: tuple[Any, ...] = (
        datapipeline.controller(world),
        experiment.controller(world),
        modeldeployment.controller(world),
    )
    reconcilers = {c.kind.__name__: Reconciler(c, world.resources, lambda: datetime.now(UTC)) for c in controllers}
    return Runner(reconcilers, LocalFeed(store(settings)))


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


class LocalFeed:
    """The changes of the local store."""

    def __init__(self, store: LocalStore) -> None:
        """Read from the same file the store writes."""
        self._store = store
        self._version = 0

    def version(self) -> int:
        """Give a number that rises with every change."""
        self._version, _ = self._store.changed_since(self._version)
        return self._version

    def stamps(self, kind: str) -> Mapping[Key, Stamp]:
        """Give the state of every resource of a kind."""
        return dict(_stamped(document) for document in self._store.documents(kind))


def _stamped(document: dict[str, Any]) -> tuple[Key, Stamp]:
    meta = document["metadata"]
    wish = short([meta.get("generation"), meta.get("annotations"), meta.get("deletionTimestamp")])
    return Key(document["kind"], meta["namespace"], meta["name"]), Stamp(wish, str(meta["resourceVersion"]))
