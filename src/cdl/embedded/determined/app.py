"""The ASGI application of a master."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette

from cdl.embedded.determined.api.checkpoints import Checkpoints
from cdl.embedded.determined.api.cluster import Cluster
from cdl.embedded.determined.api.experiments import Experiments
from cdl.embedded.determined.api.registry import Registry
from cdl.embedded.determined.api.runs import Runs
from cdl.embedded.determined.api.trials import Trials
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.web import ON_ERROR, Routes


def build(master: Master) -> Starlette:
    """Put the endpoints together and run the engine as long as the server runs."""
    routes = Routes(master.accounts.authenticate)
    for room in (Cluster, Experiments, Trials, Checkpoints, Registry, Runs):
        room(master).add_to(routes)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        engine = asyncio.create_task(master.engine.run())
        yield
        master.engine.closing = True
        engine.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await engine
        master.store.close()

    return Starlette(routes=routes.found, exception_handlers=dict(ON_ERROR), lifespan=lifespan)
