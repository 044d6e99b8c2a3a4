"""The ASGI application of a master."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette

from cdl.embedded.determined.api.afterwards import Afterwards
from cdl.embedded.determined.api.checkpoints import Checkpoints
from cdl.embedded.determined.api.cluster import Cluster
from cdl.embedded.determined.api.experiments import Experiments
from cdl.embedded.determined.api.machines import Machines
from cdl.embedded.determined.api.people import People
from cdl.embedded.determined.api.places import Places
from cdl.embedded.determined.api.refusals import Refusals
from cdl.embedded.determined.api.registry import Registry
from cdl.embedded.determined.api.runs import Runs
from cdl.embedded.determined.api.templates import Templates
from cdl.embedded.determined.api.trials import Trials
from cdl.embedded.determined.api.webhooks import Webhooks
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.web import ON_ERROR, Routes

# A fixed path must come before one with a name in the same place.
ROOMS = (
    Cluster,
    People,
    Places,
    Templates,
    Machines,
    Webhooks,
    Afterwards,
    Experiments,
    Trials,
    Checkpoints,
    Registry,
    Runs,
    Refusals,
)


def build(master: Master) -> Starlette:
    """Put the endpoints together and run the engine as long as the server runs."""
    routes = Routes(master.accounts.authenticate)
    for room in ROOMS:
        room(master).add_to(routes)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        master.journal.open()
        tasks = [asyncio.create_task(master.engine.run()), asyncio.create_task(master.shipper.run())]
        yield
        master.engine.closing = True
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        master.store.close()
        master.journal.shut()

    return Starlette(routes=routes.found, exception_handlers=dict(ON_ERROR), lifespan=lifespan)
